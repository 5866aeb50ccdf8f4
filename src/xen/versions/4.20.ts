import { EACCES, EBUSY, EOPNOTSUPP } from '../../bits/errno.ts'
import { xen417 } from './4.17.ts'
import type { XenVersion } from './version.ts'

/** Xen 4.20.4, the series of Debian 13, as a debug build of its tag. */
export const xen420: XenVersion = {
  ...xen417,
  name: '4.20',
  standsFrom: [4, 18],
  banner: 'Xen-4.20.4  x86_64  debug=y  Not tainted',
  rules: { ...xen417.rules, deniedLapicPages: 1 },
  errnos: { ...xen417.errnos, flushCacheGlobal: EACCES, vcpuInfoType: EACCES, vcpuInfoTwice: EBUSY },
  abi: {
    ...xen417.abi,
    version: 0x4_0014,
    extraversion: '.4',
    // memory_op_vnode_supported, direct_mapped, runstate_phys_area, vcpu_time_phys_area, dm_msix_all_writes.
    features: [13, 17, 18, 19, 20],
    paeByNote: false,
    lastPhysdevOp: 32,
    cmosIndexMask: 0x7f,
    unknownKexec: EOPNOTSUPP,
    hasLongTexts: true,
    hasPhysicalAreas: true,
  },
  messages: {
    ...xen417.messages,
    release: '4.20.4',
    entryFault: {
      noHandler: 'ffff82d040204b75 x86_64/entry.S#create_bounce_frame+0x165/0x190',
      labels: 0x40378d74,
    },
  },
}
