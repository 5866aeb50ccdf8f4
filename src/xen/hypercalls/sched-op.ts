import { vaOf } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../../bits/errno.ts'
import { PHYSDEV_OP, SCHED_OP, SHUTDOWN } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
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
export function schedOp(call: Call): number {
  const { domain, port } = call
  const words = new Uint32Array(6)
  const argument = argVa(port, 1)
  switch (arg32(port, 0)) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      return block(call.xen, call.vcpu)
    case SCHED_OP.shutdown:
      if (!copyFromGuest(port, argument, words, 1)) return EFAULT
      return shutDown(domain, words[0])
    case SCHED_OP.poll:
      return copyFromGuest(port, argument, words, 6) ? poll(call, words) : EFAULT
    case SCHED_OP.remote_shutdown:
      return EPERM
    case SCHED_OP.shutdown_code:
      return copyFromGuest(port, argument, words, 1) ? 0 : EFAULT
    default:
      return ENOSYS
  }
}

/** sched_op as it was before 3.0.2: sched_op(command, argument). */
export function schedOpCompat({ xen, domain, vcpu, port }: Call): number {
  switch (arg32(port, 0)) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      return block(xen, vcpu)
    case SCHED_OP.shutdown:
      return shutDown(domain, arg32(port, 1))
    default:
      return ENOSYS
  }
}

/** Blocking takes events again, or nothing could wake the vCPU. */
function block(xen: Hypervisor, vcpu: PvVcpu): number {
  setEventsMasked(xen, vcpu, false)
  vcpu.blocked = !eventsPending(xen, vcpu)
  return 0
}

function shutDown(domain: Domain, reason: number): number {
  if (reason > SHUTDOWN.soft_reset) return EINVAL
  domain.shutdown = reason
  return 0
}

/** {u32 ports[]*, u32 count, u64 timeout}: wait for one of the ports while events are masked. 0 is no timeout. */
function poll({ xen, domain, vcpu, port }: Call, words: Uint32Array): number {
  const count = words[2]
  if (count > MOST_POLLED) return EINVAL
  const list = new Uint32Array(count)
  if (!copyFromGuest(port, vaOf(words[0], words[1]), list, count)) return EFAULT
  const ports = [...list]
  if (ports.some((n) => n >= MAX_PORTS)) return EINVAL
  if (ports.some((n) => isPending(xen, domain, n))) return 0
  const timeout = nanoseconds(words[4], words[5])
  vcpu.timers.poll = timeout === 0 ? Infinity : timeout
  vcpu.polled = ports
  vcpu.blocked = true
  return 0
}

/** physdev_op(command, argument*): of it only the I/O privilege that every PV kernel asks for. Xen: do_physdev_op(). */
export function physdevOp({ vcpu, port }: Call): number {
  const command = arg32(port, 0)
  const words = new Uint32Array(1)
  if (command !== PHYSDEV_OP.set_iopl && command !== PHYSDEV_OP.set_iobitmap) return ENOSYS
  if (!copyFromGuest(port, argVa(port, 1), words, 1)) return EFAULT
  if (command !== PHYSDEV_OP.set_iopl) return 0
  if (words[0] > 3) return EINVAL
  vcpu.iopl = words[0]
  return 0
}
