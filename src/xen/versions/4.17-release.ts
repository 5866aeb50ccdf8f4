import { xen417 } from './4.17.ts'
import { asReleaseBuild } from './release-build.ts'
import type { XenVersion } from './version.ts'

/** Xen 4.17.7 as Debian 12 ships it. */
export const xen417Release: XenVersion = asReleaseBuild(xen417, {
  banner: 'Xen-4.17.7  x86_64  debug=n  Not tainted',
  messages: {
    entryFault: {
      noHandler: 'ffff82d040204b78 x86_64/entry.S#create_bounce_frame+0x14f/0x177',
      labels: 0x403602d0,
    },
  },
})
