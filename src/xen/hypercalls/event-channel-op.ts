import { DOMID } from '../../bits/domid.ts'
import { EVTCHNOP, VIRQ } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain, Port } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { domainNamed, mayActOn } from '../mm/foreign.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { bindPort, clearPending, isValidPort, setPending, unmaskPort } from '../sched/event-channels.ts'
import { isOfXen, lineOf, mayUsePirq, pirqLimit, releasePirq } from '../sched/pirqs.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa, giveWords, wordsAt } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

const NR_VIRQS = 24
/** Interrupts that each vCPU has for itself; the others are for vCPU 0 only. */
const PER_VCPU: ReadonlySet<number> = new Set([VIRQ.TIMER, VIRQ.DEBUG, VIRQ.XENOPROF, VIRQ.XENPMU])
/** Status numbers of EVTCHNOP_status. */
const STATUS = { closed: 0, unbound: 1, interdomain: 2, pirq: 3, virq: 4, ipi: 5 } as const

/**
 * event_channel_op(command, structure*): bind, close, send, mask. The two-level layout is the only one: what belongs to
 * the other, FIFO, is not there, and guests fall back. Xen: do_event_channel_op().
 */
export const eventChannelOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  return readOperation(call, OPERATIONS, arg32(call.port, 0), argVa(call.port, 1))
}

/** Bytes of struct evtchn_op, by words: a command, and the largest of the structures. */
const COMPAT_WORDS = 7

/** The same before 3.0.2: {u32 command, structure}*, all of it read at once, and no command that came later. */
export const eventChannelOpCompat = flat(readCompat, applyOperation)

function readCompat(call: Call): OperationRequest | Refusal {
  const at = argVa(call.port, 0)
  const words = wordsAt(call, at, COMPAT_WORDS)
  if (isRefusal(words)) return words
  const [command] = words
  if (command > EVTCHNOP.unmask) return refused(call.xen, 'unknownCommand', { cmd: command })
  return readOperation(call, OPERATIONS, command, at + 4)
}

/** The operations, with what their structures say. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // {u16 remote domain, u32 remote port, out u32 port}
  [EVTCHNOP.bind_interdomain, { words: 2, apply: bindInterdomain }],
  // {u32 virq, u32 vcpu, out u32 port}
  [EVTCHNOP.bind_virq, { words: 2, apply: bindVirq }],
  // {u32 pirq, u32 flags, out u32 port}
  [EVTCHNOP.bind_pirq, { words: 2, apply: bindPirq }],
  // {u32 port}
  [EVTCHNOP.close, { words: 1, apply: ({ xen, domain }, { words }) => close(xen, domain, words[0]) }],
  [EVTCHNOP.send, { words: 1, apply: send }],
  // {u16 domain, u32 port, out u32 status, u32 vcpu, union}
  [EVTCHNOP.status, { words: 6, apply: status }],
  // {u16 domain, u16 remote domain, out u32 port}
  [EVTCHNOP.alloc_unbound, { words: 1, apply: allocUnbound }],
  // {u32 vcpu, out u32 port}
  [EVTCHNOP.bind_ipi, { words: 1, apply: bindIpi }],
  // {u32 port, u32 vcpu}
  [EVTCHNOP.bind_vcpu, { words: 2, apply: bindVcpu }],
  // {u32 port}
  [EVTCHNOP.unmask, { words: 1, apply: unmask }],
  // {u16 domain}
  [EVTCHNOP.reset, { words: 1, apply: reset }],
])

/** Bind a port and tell the guest its number, at a word of the structure. When it cannot be told, the port is bound all the same. */
function bind(call: Call, { at }: OperationRequest, index: number, port: Port, domain = call.domain): number {
  const n = bindPort(domain, port)
  return n === -1
    ? refuse(call.xen, 'noPortLeft', { domid: domain.id })
    : giveWords(call, at + index * 4, [n])
}

/** A domain that an operation names, and that the caller may act on. */
function targetOf({ xen, domain: caller }: Call, domid: number): Domain | Refusal {
  const domain = domainNamed(xen, caller, domid)
  if (domain === undefined) return refused(xen, 'noDomain', { domid })
  return mayActOn(caller, domain) ? domain : refused(xen, 'notAllowed', { domid })
}

function bindInterdomain(call: Call, request: OperationRequest): number {
  const { xen, domain: caller } = call
  const [domid, remotePort] = [request.words[0] & 0xffff, request.words[1]]
  const remote = domainNamed(xen, caller, domid)
  if (remote === undefined) return refuse(xen, 'noDomain', { domid })
  const end = remote.ports[remotePort]
  const awaited = end?.kind !== 'unbound' ? -1 : end.remote === DOMID.SELF ? remote.id : end.remote
  if (end === undefined || awaited !== caller.id) return refuse(xen, 'badPort', { domid, port: remotePort })
  const port = bindPort(caller, { kind: 'interdomain', domain: remote, port: remotePort, vcpu: 0 })
  if (port === -1) return refuse(xen, 'noPortLeft', { domid: caller.id })
  remote.ports[remotePort] = { kind: 'interdomain', domain: caller, port, vcpu: end.vcpu }
  // What the other end has sent before there was anybody is told now.
  setPending(xen, caller, port)
  return giveWords(call, request.at + 8, [port])
}

function bindVirq(call: Call, request: OperationRequest): number {
  const { xen, domain } = call
  const [virq, vcpu] = request.words
  if (virq >= NR_VIRQS) return refuse(xen, 'badArgument', { virq })
  if (!PER_VCPU.has(virq) && vcpu !== 0) return refuse(xen, 'badArgument', { virq, vcpu })
  if (domain.vcpus[vcpu] === undefined) return refuse(xen, 'noVcpu', { vcpu })
  const isBound = domain.ports.some((p) => p?.kind === 'virq' && p.virq === virq && p.vcpu === vcpu)
  if (isBound) return refuse(xen, 'boundAlready', { virq, vcpu })
  return bind(call, request, 2, { kind: 'virq', virq, vcpu })
}

/** A domain's number of an interrupt, whose line has to be its own and nobody else's. Xen: evtchn_bind_pirq(). */
function bindPirq(call: Call, request: OperationRequest): number {
  const { xen, domain } = call
  const pirq = request.words[0]
  if (pirq >= pirqLimit(xen, domain)) return refuse(xen, 'badArgument', { pirq })
  if (!mayUsePirq(xen, domain, pirq)) return refuse(xen, 'notAllowed', { pirq })
  const isBound = domain.ports.some((p) => p?.kind === 'pirq' && p.pirq === pirq)
  if (isBound) return refuse(xen, 'boundAlready', { pirq })
  if (isOfXen(lineOf(domain, pirq))) return refuse(xen, 'lineOfXen', { pirq })
  return bind(call, request, 2, { kind: 'pirq', pirq, vcpu: 0 })
}

function bindIpi(call: Call, request: OperationRequest): number {
  const vcpu = request.words[0]
  if (call.domain.vcpus[vcpu] === undefined) return refuse(call.xen, 'noVcpu', { vcpu })
  return bind(call, request, 1, { kind: 'ipi', vcpu })
}

function allocUnbound(call: Call, request: OperationRequest): number {
  const domain = targetOf(call, request.words[0] & 0xffff)
  if (isRefusal(domain)) return domain.errno
  const named = request.words[0] >>> 16
  const remote = named === DOMID.SELF ? call.domain.id : named
  return bind(call, request, 1, { kind: 'unbound', remote, vcpu: 0 }, domain)
}

function bindVcpu({ xen, domain }: Call, { words: [port, vcpu] }: OperationRequest): number {
  if (domain.vcpus[vcpu] === undefined) return refuse(xen, 'noVcpu', { vcpu })
  const end = domain.ports[port]
  const mayMove = end !== undefined && end.kind !== 'ipi' && !(end.kind === 'virq' && PER_VCPU.has(end.virq))
  if (!mayMove) return refuse(xen, 'badPort', { port })
  domain.ports[port] = { ...end, vcpu }
  return 0
}

function send({ xen, domain }: Call, { words: [port] }: OperationRequest): number {
  const end = domain.ports[port]
  if (end === undefined || end.kind === 'virq' || end.kind === 'pirq') return refuse(xen, 'badPort', { port })
  if (end.kind === 'interdomain') setPending(xen, end.domain, end.port)
  else if (end.kind === 'ipi') setPending(xen, domain, port)
  else if (end.kind === 'backend') {
    xen.work.done += COST_NS.notification
    end.notify()
  }
  return 0
}

function unmask({ xen, domain }: Call, { words: [port] }: OperationRequest): number {
  if (!isValidPort(domain, port)) return refuse(xen, 'badPort', { port })
  unmaskPort(xen, domain, port)
  return 0
}

function status(call: Call, { words, at }: OperationRequest): number {
  const domain = targetOf(call, words[0] & 0xffff)
  if (isRefusal(domain)) return domain.errno
  const port = words[1]
  if (!isValidPort(domain, port)) return refuse(call.xen, 'badPort', { port })
  return giveWords(call, at + 8, statusOf(domain.ports[port], words[4]))
}

function reset(call: Call, { words }: OperationRequest): number {
  const domain = targetOf(call, words[0] & 0xffff)
  if (isRefusal(domain)) return domain.errno
  for (let port = 1; port < domain.ports.length; port++) {
    if (domain.ports[port] !== undefined) close(call.xen, domain, port)
  }
  return 0
}

/** Close a port. The other end of a channel between domains waits for a partner again. */
function close(xen: Hypervisor, domain: Domain, port: number): number {
  const end = domain.ports[port]
  if (end === undefined) return refuse(xen, 'badPort', { port })
  if (end.kind === 'interdomain') {
    end.domain.ports[end.port] = { kind: 'unbound', remote: domain.id, vcpu: 0 }
  }
  if (end.kind === 'pirq') releasePirq(domain, end.pirq)
  domain.ports[port] = undefined
  clearPending(xen, domain, port)
  return 0
}

/** Status, vCPU, and what the port is bound to. A domain has 16 bits there, the others keep what the guest had in them. */
function statusOf(port: Port | undefined, before: number): number[] {
  const named = (domain: number): number => ((before & 0xffff_0000) | domain) >>> 0
  switch (port?.kind) {
    case undefined:
      return [STATUS.closed, 0]
    case 'unbound':
      return [STATUS.unbound, port.vcpu, named(port.remote)]
    case 'interdomain':
      return [STATUS.interdomain, port.vcpu, named(port.domain.id), port.port]
    case 'backend':
      return [STATUS.interdomain, port.vcpu, named(port.remote), 0]
    case 'pirq':
      return [STATUS.pirq, port.vcpu, port.pirq]
    case 'virq':
      return [STATUS.virq, port.vcpu, port.virq]
    case 'ipi':
      return [STATUS.ipi, port.vcpu]
  }
}
