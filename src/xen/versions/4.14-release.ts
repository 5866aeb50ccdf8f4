import { xen414 } from './4.14.ts'
import { asReleaseBuild } from './release-build.ts'
import type { XenVersion } from './version.ts'

/** Xen 4.14.6 as Debian 11 ships it. */
export const xen414Release: XenVersion = asReleaseBuild(xen414, {
  banner: 'Xen-4.14.6  x86_64  debug=n   Not tainted',
  messages: {
    entryFault: {
      noHandler: 'ffff82d040303d6e x86_64/entry.S#create_bounce_frame+0x135/0x157',
      labels: 0x4036e8c0,
    },
  },
})
