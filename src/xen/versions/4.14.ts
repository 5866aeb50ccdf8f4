import { EFAULT, EINVAL, EPERM, ETIME } from '../../bits/errno.ts'
import { HYPERCALL, MEMORY_OP } from '../abi.ts'
import { xen417 } from './4.17.ts'
import { UNKNOWN_PLACE } from './messages.ts'
import type { XenVersion } from './version.ts'

/** Xen 4.14.6, the last of Debian 11's and Qubes 4.1's series, as a debug build of its tag. */
export const xen414: XenVersion = {
  ...xen417,
  name: '4.14',
  // What is between it and the Xen of 2011 has its prefixes and its silence in release builds.
  standsFrom: [4, 6],
  banner: 'Xen-4.14.6  x86_64  debug=y   Not tainted',
  rules: {
    ...xen417.rules,
    adjustsFirst: false,
    ioFramesAreHeap: true,
    m2pTableIsHeap: true,
    unknownMsrsPass: true,
    mapsLineAgain: false,
  },
  errnos: { ...xen417.errnos, vcpuInfoPlace: EINVAL, lateTimer: ETIME },
  abi: {
    ...xen417.abi,
    version: 0x4_000e,
    extraversion: '.6',
    // memory_op_vnode_supported.
    features: [13],
    calls: { ...xen417.abi.calls, [HYPERCALL.dm_op]: [EPERM, EINVAL] },
    memoryOps: {
      ...xen417.abi.memoryOps,
      [MEMORY_OP.set_pod_target]: [0, EPERM],
      [MEMORY_OP.get_pod_target]: [0, EPERM],
      [MEMORY_OP.paging_op]: [EPERM, EPERM],
      [MEMORY_OP.machphys_compat_mfn_list]: [EFAULT, 0],
      [MEMORY_OP.acquire_resource]: [EINVAL, EINVAL],
    },
  },
  messages: {
    ...xen417.messages,
    release: '4.14.6',
    files: 'name',
    // The first is an absolute path of the build's, of which only this much is Xen's.
    headers: { pageRef: 'include/asm/mm.h', globalKernel: 'pv/mm.h', globalKernelPtwr: 'mm.h' },
    trapNames: 'words',
    // As far behind its messages as in 4.17.
    iretFailure: 'iret.c:103',
    entryFault: { noHandler: UNKNOWN_PLACE, labels: 0x4038a820 },
  },
}
