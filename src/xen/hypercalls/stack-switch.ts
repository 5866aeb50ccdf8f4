import { vaOf } from '../../bits/address.ts'
import { EINVAL } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { arg32, argHigh } from './arguments.ts'

/** stack_switch(ss, sp): the stack on which the kernel is entered from its processes. Xen: do_stack_switch(). */
export function stackSwitch(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  caller.kernelSs = (arg32(vcpu, 0) & 0xffff) | 3
  caller.kernelSp = vaOf(arg32(vcpu, 1), argHigh(vcpu, 1))
  return 0
}

/** fpu_taskswitch(set): whether the guest's next use of its FPU is to trap. Xen: do_fpu_taskswitch(). */
export function fpuTaskswitch(_xen: Hypervisor, _caller: Domain, vcpu: Vcpu): number {
  if (vcpu.code !== null) vcpu.code.fpuTraps = arg32(vcpu, 0) !== 0
  return 0
}

const WHICH = { fs: 0, userGs: 1, kernelGs: 2, userGsSelector: 3 } as const

/**
 * set_segment_base(which, base): bases of fs (0), gs of user mode (1) and of the kernel (2), or the selector of user gs
 * (3). The model's loads and stores name whole addresses, so only the answer matters there. Xen: do_set_segment_base().
 */
export function setSegmentBase(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [which, lo, hi] = [arg32(vcpu, 0), arg32(vcpu, 1), argHigh(vcpu, 1)]
  if (which > WHICH.userGsSelector) return EINVAL
  const isBase = which !== WHICH.userGsSelector && xen.version.rules.checksSegmentBases
  if (isBase && vaOf(lo, hi) === -1) return EINVAL
  if (which === WHICH.fs) vcpu.code?.setSegmentBase('fs', lo, hi)
  if (which === WHICH.kernelGs) vcpu.code?.setSegmentBase('gs', lo, hi)
  if (which === WHICH.userGs) caller.otherGsBase = [lo, hi]
  // Without a descriptor there is no base.
  if (which === WHICH.userGsSelector) caller.otherGsBase = [0, 0]
  return 0
}
