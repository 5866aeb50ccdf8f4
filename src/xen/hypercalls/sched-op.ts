import { vaOf } from '../../bits/address.ts'
import { PHYSDEV_OP, SCHED_OP, SHUTDOWN } from '../abi.ts'
import type { Call } from '../call.ts'
import { isRefusal, type Refusal, refuse } from '../refusal.ts'
import { isPending, MAX_PORTS } from '../sched/event-channels.ts'
import { nanoseconds } from '../sched/timers.ts'
import { eventsPending, setEventsMasked } from '../sched/vcpu-info.ts'
import { arg32, argVa, wordsAt } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

/** Most ports that a vCPU may poll at once. */
const MOST_POLLED = 128

/**
 * sched_op(command, argument*): give the CPU up. A vCPU that is blocked goes on when an event comes; a driver without code
 * is never blocked, as nothing could wake it. shutdown({u32 reason}) ends the domain. Xen: do_sched_op().
 */
export const schedOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  return readOperation(call, OPERATIONS, arg32(call.port, 0), argVa(call.port, 1))
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [SCHED_OP.yield, { words: 0, apply: () => 0 }],
  [SCHED_OP.block, { words: 0, apply: block }],
  // {u32 reason}
  [SCHED_OP.shutdown, { words: 1, apply: (call, { words }) => shutDown(call, words[0]) }],
  // {u32 ports[]*, u32 count, u64 timeout}
  [SCHED_OP.poll, { words: 6, apply: poll }],
  [
    SCHED_OP.remote_shutdown,
    { words: 0, apply: ({ xen }, { command }) => refuse(xen, 'notAllowed', { cmd: command }) },
  ],
  // {u32 reason}
  [SCHED_OP.shutdown_code, { words: 1, apply: () => 0 }],
])

/** sched_op as it was before 3.0.2: sched_op(command, argument). All of it is in registers: there is nothing to read. */
export function schedOpCompat(call: Call): number {
  const { xen, port } = call
  const cmd = arg32(port, 0)
  switch (cmd) {
    case SCHED_OP.yield:
      return 0
    case SCHED_OP.block:
      return block(call)
    case SCHED_OP.shutdown:
      return shutDown(call, arg32(port, 1))
    default:
      return refuse(xen, 'unknownCommand', { cmd })
  }
}

/** Blocking takes events again, or nothing could wake the vCPU. */
function block({ xen, vcpu }: Call): number {
  setEventsMasked(xen, vcpu, false)
  vcpu.blocked = !eventsPending(xen, vcpu)
  return 0
}

function shutDown({ xen, domain }: Call, reason: number): number {
  if (reason > SHUTDOWN.soft_reset) return refuse(xen, 'badArgument', { shutdown: reason })
  domain.shutdown = reason
  return 0
}

/** Wait for one of the ports while events are masked. A timeout of 0 is none. */
function poll(call: Call, { words }: OperationRequest): number {
  const { xen, domain, vcpu } = call
  const count = words[2]
  if (count > MOST_POLLED) return refuse(xen, 'badArgument', { count })
  const list = wordsAt(call, vaOf(words[0], words[1]), count)
  if (isRefusal(list)) return list.errno
  const ports = [...list]
  const beyond = ports.find((n) => n >= MAX_PORTS)
  if (beyond !== undefined) return refuse(xen, 'badPort', { port: beyond })
  if (ports.some((n) => isPending(xen, domain, n))) return 0
  const timeout = nanoseconds(words[4], words[5])
  vcpu.timers.poll = timeout === 0 ? Infinity : timeout
  vcpu.polled = ports
  vcpu.blocked = true
  return 0
}

/** physdev_op(command, argument*): of it only the I/O privilege that every PV kernel asks for. Xen: do_physdev_op(). */
export const physdevOp = flat(readPhysdev, applyOperation)

function readPhysdev(call: Call): OperationRequest | Refusal {
  return readOperation(call, PHYSDEV_OPERATIONS, arg32(call.port, 0), argVa(call.port, 1))
}

const PHYSDEV_OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // {u32 level}
  [PHYSDEV_OP.set_iopl, { words: 1, apply: setIopl }],
  [PHYSDEV_OP.set_iobitmap, { words: 1, apply: () => 0 }],
])

function setIopl({ xen, vcpu }: Call, { words: [level] }: OperationRequest): number {
  if (level > 3) return refuse(xen, 'badArgument', { level })
  vcpu.iopl = level
  return 0
}
