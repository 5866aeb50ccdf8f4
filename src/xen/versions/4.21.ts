import { xen420 } from './4.20.ts'
import { UNKNOWN_PLACE } from './messages.ts'
import type { XenVersion } from './version.ts'

/** Xen 4.21.2 as its source reads: no recording of the real one has judged it. */
export const xen421: XenVersion = {
  ...xen420,
  name: '4.21',
  standsFrom: [4, 21],
  banner: 'Xen-4.21.2  x86_64  debug=y  Not tainted',
  abi: { ...xen420.abi, version: 0x4_0015, extraversion: '.2' },
  messages: { ...xen420.messages, release: '4.21.2', entryFault: { noHandler: UNKNOWN_PLACE, labels: null } },
}
