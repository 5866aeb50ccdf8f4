import { vaOf } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { PHYSDEV_OP, SCHED_OP, SHUTDOWN } from '../abi.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { isPending, MAX_PORTS } from '../sched/event-channels.ts'
import { nanoseconds } from '../sched/timers.ts'
import { eventsPending, setEventsMasked } from '../sched/vcpu-info.ts'
import { arg32, argVa } from './arguments.ts'

/** Most ports that a vCPU may poll at once. */
const MOST_POLLED = 128

/**
 * sched_op(command, argument*): give the CPU up. A vCPU that is blocked goes on when an event comes; a driver without code
 * is never blocked, as nothing could wake it. shutdown({u32 reason}) ends the domain. Xen: do_sched_op().
 */
export function schedOp(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const words = new Uint32Array(6)
  const argument = argVa(vcpu, 1)
  switch (arg32(vcpu, 0)) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      return block(xen, caller)
    case SCHED_OP.shutdown:
      if (!copyFromGuest(vcpu, argument, words, 1)) return EFAULT
      return shutDown(caller, words[0])
    case SCHED_OP.poll:
      return copyFromGuest(vcpu, argument, words, 6) ? poll(xen, caller, vcpu, words) : EFAULT
    case SCHED_OP.remote_shutdown:
      return EPERM
    case SCHED_OP.shutdown_code:
      return copyFromGuest(vcpu, argument, words, 1) ? 0 : EFAULT
    default:
      return ENOSYS
  }
}

/** sched_op as it was before 3.0.2: sched_op(command, argument). */
export function schedOpCompat(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  switch (arg32(vcpu, 0)) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      return block(xen, caller)
    case SCHED_OP.shutdown:
      return shutDown(caller, arg32(vcpu, 1))
    default:
      return ENOSYS
  }
}

/** Blocking takes events again, or nothing could wake the vCPU. */
function block(xen: Hypervisor, caller: Domain): number {
  setEventsMasked(xen, caller, false)
  caller.blocked = !eventsPending(xen, caller)
  return 0
}

function shutDown(caller: Domain, reason: number): number {
  if (reason > SHUTDOWN.soft_reset) return EINVAL
  caller.shutdown = reason
  return 0
}

/** {u32 ports[]*, u32 count, u64 timeout}: wait for one of the ports while events are masked. 0 is no timeout. */
function poll(xen: Hypervisor, caller: Domain, vcpu: Vcpu, words: Uint32Array): number {
  const count = words[2]
  if (count > MOST_POLLED) return EINVAL
  const list = new Uint32Array(count)
  if (!copyFromGuest(vcpu, vaOf(words[0], words[1]), list, count)) return EFAULT
  const ports = [...list]
  if (ports.some((port) => port >= MAX_PORTS)) return EINVAL
  if (ports.some((port) => isPending(xen, caller, port))) return 0
  const timeout = nanoseconds(words[4], words[5])
  caller.timers.poll = timeout === 0 ? Infinity : timeout
  caller.polled = ports
  caller.blocked = true
  return 0
}

/** physdev_op(command, argument*): of it only the I/O privilege that every PV kernel asks for. Xen: do_physdev_op(). */
export function physdevOp(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const command = arg32(vcpu, 0)
  const words = new Uint32Array(1)
  if (command !== PHYSDEV_OP.set_iopl && command !== PHYSDEV_OP.set_iobitmap) return ENOSYS
  if (!copyFromGuest(vcpu, argVa(vcpu, 1), words, 1)) return EFAULT
  if (command !== PHYSDEV_OP.set_iopl) return 0
  if (words[0] > 3) return EINVAL
  caller.iopl = words[0]
  return 0
}
