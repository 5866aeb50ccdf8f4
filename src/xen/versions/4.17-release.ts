import { xen417 } from './4.17.ts'
import type { XenVersion } from './version.ts'

/** Debian 12's Xen as Debian ships it: a release build, which prints no diagnostics and clobbers no registers. */
export const xen417Release: XenVersion = {
  ...xen417,
  name: '4.17-release',
  banner: 'Xen-4.17.7  x86_64  debug=n  Not tainted',
  // Bit 62 marks granted pages in debug builds only.
  rules: {
    ...xen417.rules,
    badFlags: { ...xen417.rules.badFlags, l1: 0x98, l1Devices: 0 },
    dom0FramesBackwards: false,
  },
  abi: { ...xen417.abi, clobber: null },
  messages: {
    ...xen417.messages,
    build: 'release',
    guestLog: { always: 0, limited: 2 },
    entryFault: ': fault at ffff82d040204b78 x86_64/entry.S#create_bounce_frame+0x14f/0x177',
    pushFaults: 0x403602d0,
  },
}
