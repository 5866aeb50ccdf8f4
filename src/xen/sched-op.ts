import { EFAULT, EINVAL, ENOSYS } from '../bits/errno.ts'
import type { Vcpu } from '../machine/vcpu.ts'
import { PHYSDEV_OP, SCHED_OP } from './abi.ts'
import { arg32, argVa } from './arguments.ts'
import type { Domain } from './domain.ts'
import { copyFromGuest } from './guest-copy.ts'
import type { Hypervisor } from './hypervisor.ts'

/**
 * sched_op(command, argument*): give the CPU up. With one vCPU and no time yet, yielding and blocking return at once;
 * shutdown({u32 reason}) ends the domain. Xen: do_sched_op().
 */
export function schedOp(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  switch (arg32(vcpu, 0)) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      // Blocking takes events again, or nothing could wake the vCPU.
      caller.eventsMasked = false
      return 0
    case SCHED_OP.shutdown: {
      const reason = new Uint32Array(1)
      if (!copyFromGuest(vcpu, argVa(vcpu, 1), reason, 1)) return EFAULT
      caller.shutdown = reason[0]
      return 0
    }
    default:
      return ENOSYS
  }
}

/** physdev_op(command, argument*): of it only the I/O privilege that every PV kernel asks for. Xen: do_physdev_op(). */
export function physdevOp(_xen: Hypervisor, _caller: Domain, vcpu: Vcpu): number {
  const command = arg32(vcpu, 0)
  const words = new Uint32Array(1)
  if (command !== PHYSDEV_OP.set_iopl && command !== PHYSDEV_OP.set_iobitmap) return ENOSYS
  if (!copyFromGuest(vcpu, argVa(vcpu, 1), words, 1)) return EFAULT
  return command === PHYSDEV_OP.set_iopl && words[0] > 3 ? EINVAL : 0
}
