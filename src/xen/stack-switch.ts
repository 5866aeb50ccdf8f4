import { vaOf } from '../bits/address.ts'
import { EINVAL } from '../bits/errno.ts'
import type { Vcpu } from '../machine/vcpu.ts'
import { arg32, argHigh } from './arguments.ts'
import type { Domain } from './domain.ts'
import type { Hypervisor } from './hypervisor.ts'

/** stack_switch(ss, sp): the stack on which the kernel is entered from its processes. Xen: do_stack_switch(). */
export function stackSwitch(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  caller.kernelSs = (arg32(vcpu, 0) & 0xffff) | 3
  caller.kernelSp = vaOf(arg32(vcpu, 1), argHigh(vcpu, 1))
  return 0
}

/** fpu_taskswitch(set): whether the guest's next use of its FPU is to trap. The machine has no FPU state of its own. */
export function fpuTaskswitch(): number {
  return 0
}

/**
 * set_segment_base(which, base): bases of fs (0), gs of user mode (1) and of the kernel (2), or the selector of user gs
 * (3). The machine's loads and stores name whole addresses, so only the answer matters. Xen: do_set_segment_base().
 */
export function setSegmentBase(xen: Hypervisor, _caller: Domain, vcpu: Vcpu): number {
  const which = arg32(vcpu, 0)
  if (which > 3) return EINVAL
  const isBase = which < 3 && xen.version.messages !== 'seed'
  return isBase && vaOf(arg32(vcpu, 1), argHigh(vcpu, 1)) === -1 ? EINVAL : 0
}
