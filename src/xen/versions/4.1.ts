import { EINVAL } from '../../bits/errno.ts'
import { seed } from './seed.ts'
import type { XenVersion } from './version.ts'

/**
 * Xen 4.1.0 of March 2011, as a debug build of its tag by a compiler of today, which is what recorded boots ran on: builds of
 * its time give the last line of a statement.
 */
export const xen41: XenVersion = {
  ...seed,
  name: '4.1',
  standsFrom: [0, 0],
  banner: 'Xen-4.1.0  x86_64  debug=y  Not tainted',
  errnos: { ...seed.errnos, refusedEntry: EINVAL },
  abi: { ...seed.abi, version: 0x4_0001, extraversion: '.0' },
  messages: { ...seed.messages, release: '4.1', line: 'first' },
}
