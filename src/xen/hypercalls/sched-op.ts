import { vaOf } from '../../bits/address.ts'
import { SCHED_OP } from '../abi.ts'
import type { Call } from '../call.ts'
import { LAST_PORT } from '../domain.ts'
import { isGuestRange } from '../mm/guest-copy.ts'
import { isRefusal, type Refusal, refuse } from '../refusal.ts'
import { isPending } from '../sched/event-channels.ts'
import { nanoseconds } from '../sched/timers.ts'
import { eventsMasked, eventsPending, setEventsMasked } from '../sched/vcpu-info.ts'
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
  [SCHED_OP.shutdown_code, { words: 1, apply: setShutdownCode }],
  // {u32 id, u32 seconds}
  [SCHED_OP.watchdog, { words: 2, apply: watchdog }],
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

/** Xen takes any byte for a reason, and the first one that it was told counts: domain_shutdown(). */
function shutDown({ domain }: Call, reason: number): number {
  domain.shutdown = domain.shutdownCode ?? reason & 0xff
  return 0
}

function setShutdownCode({ domain }: Call, { words: [reason] }: OperationRequest): number {
  domain.shutdownCode ??= reason & 0xff
  return 0
}

/** The id 0 takes a watchdog that is not in use, and gives its number; no time gives it back. Xen: domain_watchdog(). */
function watchdog({ xen, domain }: Call, { words: [id, seconds] }: OperationRequest): number {
  const { watchdogs } = domain
  const n = id === 0 ? watchdogs.indexOf(null) : id - 1
  if (id > watchdogs.length || (id === 0 && seconds === 0)) return refuse(xen, 'badArgument', { id })
  if (n === -1) return refuse(xen, 'noWatchdog', { domid: domain.id })
  if (id !== 0 && watchdogs[n] === null) return refuse(xen, 'badArgument', { id })
  watchdogs[n] = seconds === 0 ? null : xen.clock.now + seconds * 1e9
  return id === 0 ? n + 1 : 0
}

/**
 * Wait for one port, or with several or none for any, while events are masked. An event that may be delivered is a reason
 * to go on at once; otherwise ports are looked at in order, so that one that is pending hides what is wrong with a later
 * one. A timeout of 0 is none. Xen: do_poll().
 */
function poll(call: Call, { words }: OperationRequest): number {
  const { xen, domain, vcpu } = call
  const count = words[2]
  if (count > MOST_POLLED) return refuse(xen, 'badArgument', { count })
  const list = vaOf(words[0], words[1])
  if (!isGuestRange(list, count * 4)) return refuse(xen, 'unreadable', { va: list })
  if (eventsPending(xen, vcpu) && !eventsMasked(xen, vcpu)) return 0
  const ports: number[] = []
  for (let i = 0; i < count; i++) {
    const port = wordsAt(call, list + i * 4, 1)
    if (isRefusal(port)) return port.errno
    if (!mayBePolled(call, port[0])) return refuse(xen, 'badPort', { port: port[0] })
    if (isPending(xen, domain, port[0])) return 0
    ports.push(port[0])
  }
  const timeout = nanoseconds(words[4], words[5])
  if (timeout !== 0) vcpu.timers.poll = timeout
  vcpu.polled = ports
  vcpu.blocked = true
  return 0
}

function mayBePolled({ xen, domain }: Call, port: number): boolean {
  return xen.version.rules.pollsBoundPorts ? domain.ports[port] !== undefined : port <= LAST_PORT
}
