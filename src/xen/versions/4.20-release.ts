import { xen420 } from './4.20.ts'
import { asReleaseBuild } from './release-build.ts'
import type { XenVersion } from './version.ts'

const release = asReleaseBuild(xen420, {
  banner: 'Xen-4.20.5-pre  x86_64  debug=n  Not tainted',
  messages: {
    entryFault: {
      noHandler: 'ffff82d040216197 x86_64/entry.S#create_bounce_frame+0x157/0x180',
      labels: 0x40361e75,
    },
  },
})

/** Xen 4.20 as Debian 13 ships it, 63 commits behind 4.20.4. */
export const xen420Release: XenVersion = { ...release, abi: { ...release.abi, extraversion: '.5-pre' } }
