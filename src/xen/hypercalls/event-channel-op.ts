import { DOMID } from '../../bits/domid.ts'
import { EEXIST, EFAULT, EINVAL, ENOENT, ENOSPC, ENOSYS, EPERM, ESRCH } from '../../bits/errno.ts'
import { EVTCHNOP, VIRQ } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { mayActOn } from '../mm/foreign.ts'
import { copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import {
  bindPort,
  clearPending,
  isValidPort,
  type Port,
  setPending,
  unmaskPort,
} from '../sched/event-channels.ts'
import { COST_NS } from '../sched/work.ts'
import { arg32, argVa } from './arguments.ts'

const NR_VIRQS = 24
/** Interrupts that each vCPU has for itself; the others are for vCPU 0 only. */
const PER_VCPU: ReadonlySet<number> = new Set([VIRQ.TIMER, VIRQ.DEBUG, VIRQ.XENOPROF, VIRQ.XENPMU])
/** Status numbers of EVTCHNOP_status. */
const STATUS = { closed: 0, unbound: 1, interdomain: 2, virq: 4, ipi: 5 } as const

/** One operation: words of its structure that are read, and what it does with them. */
type Operation = {
  readonly words: number
  readonly run: (call: Request, w: Uint32Array) => number
}
type Request = {
  readonly xen: Hypervisor
  readonly caller: Domain
  /** Write words of the structure back; false when the guest cannot take them. */
  readonly put: (index: number, words: readonly number[]) => boolean
}

/**
 * event_channel_op(command, structure*): bind, close, send, mask. The two-level layout is the only one: what belongs to
 * the other, FIFO, is not there, and guests fall back. Xen: do_event_channel_op().
 */
export function eventChannelOp(call: Call): number {
  return perform(call, arg32(call.port, 0), argVa(call.port, 1))
}

/** The same before 3.0.2: {u32 command, pad, structure}*. */
export function eventChannelOpCompat(call: Call): number {
  const { port } = call
  const command = new Uint32Array(1)
  if (!copyFromGuest(port, argVa(port, 0), command, 1)) return EFAULT
  return perform(call, command[0], argVa(port, 0) + 8)
}

function perform({ xen, domain: caller, port }: Call, command: number, argument: number): number {
  const operation = OPERATIONS.get(command)
  if (operation === undefined) return ENOSYS
  const words = new Uint32Array(6)
  if (!copyFromGuest(port, argument, words, operation.words)) return EFAULT
  const put = (index: number, values: readonly number[]): boolean =>
    copyToGuest(port, argument + index * 4, values, values.length)
  return operation.run({ xen, caller, put }, words)
}

/** Bind a port and tell the guest its number; when it cannot be told, the port is free again. */
function bind({ caller, put }: Request, index: number, port: Port): number {
  const n = bindPort(caller, port)
  if (n === -1) return ENOSPC
  if (put(index, [n])) return 0
  caller.ports[n] = undefined
  return EFAULT
}

function domainNamed(call: Request, id: number): Domain | undefined {
  return id === DOMID.SELF || id === call.caller.id ? call.caller : call.xen.domainById(id)
}

const OPERATIONS = new Map<number, Operation>([
  // {u16 remote domain, u32 remote port, out u32 port}
  [
    EVTCHNOP.bind_interdomain,
    {
      words: 2,
      run: (call, w) => {
        const remote = domainNamed(call, w[0] & 0xffff)
        if (remote === undefined) return ESRCH
        const end = remote.ports[w[1]]
        if (end?.kind !== 'unbound') return EINVAL
        if ((end.remote === DOMID.SELF ? remote.id : end.remote) !== call.caller.id) return EINVAL
        const rc = bind(call, 2, { kind: 'interdomain', domain: remote, port: w[1], vcpu: 0 })
        if (rc !== 0) return rc
        const port = call.caller.ports.findIndex(
          (p) => p?.kind === 'interdomain' && p.domain === remote && p.port === w[1],
        )
        remote.ports[w[1]] = { kind: 'interdomain', domain: call.caller, port, vcpu: end.vcpu }
        // What the other end has sent before there was anybody is told now.
        setPending(call.xen, call.caller, port)
        return 0
      },
    },
  ],
  // {u32 virq, u32 vcpu, out u32 port}
  [
    EVTCHNOP.bind_virq,
    {
      words: 2,
      run: (call, [virq, vcpu]) => {
        if (virq >= NR_VIRQS) return EINVAL
        if (!PER_VCPU.has(virq) && vcpu !== 0) return EINVAL
        if (call.caller.vcpus[vcpu] === undefined) return ENOENT
        if (call.caller.ports.some((p) => p?.kind === 'virq' && p.virq === virq && p.vcpu === vcpu))
          return EEXIST
        return bind(call, 2, { kind: 'virq', virq, vcpu })
      },
    },
  ],
  // {u32 pirq, u32 flags, out u32 port}: there are no physical interrupts.
  [EVTCHNOP.bind_pirq, { words: 2, run: () => EPERM }],
  [EVTCHNOP.close, { words: 1, run: (call, [port]) => close(call, call.caller, port) }],
  [
    EVTCHNOP.send,
    {
      words: 1,
      run: ({ xen, caller }, [port]) => {
        const end = caller.ports[port]
        if (end === undefined || end.kind === 'virq') return EINVAL
        if (end.kind === 'interdomain') setPending(xen, end.domain, end.port)
        else if (end.kind === 'ipi') setPending(xen, caller, port)
        else if (end.kind === 'backend') {
          xen.work.done += COST_NS.notification
          end.notify()
        }
        return 0
      },
    },
  ],
  // {u16 domain, u32 port, out u32 status, u32 vcpu, union}
  [
    EVTCHNOP.status,
    {
      words: 6,
      run: (call, w) => {
        const domain = domainNamed(call, w[0] & 0xffff)
        if (domain === undefined) return ESRCH
        if (!mayActOn(call.caller, domain)) return EPERM
        if (!isValidPort(domain, w[1])) return EINVAL
        return call.put(2, statusOf(domain.ports[w[1]], w[4])) ? 0 : EFAULT
      },
    },
  ],
  // {u16 domain, u16 remote domain, out u32 port}
  [
    EVTCHNOP.alloc_unbound,
    {
      words: 1,
      run: (call, w) => {
        const domain = domainNamed(call, w[0] & 0xffff)
        if (domain === undefined) return ESRCH
        if (!mayActOn(call.caller, domain)) return EPERM
        const remote = w[0] >>> 16
        const port: Port = {
          kind: 'unbound',
          remote: remote === DOMID.SELF ? call.caller.id : remote,
          vcpu: 0,
        }
        return bind({ ...call, caller: domain }, 1, port)
      },
    },
  ],
  // {u32 vcpu, out u32 port}
  [
    EVTCHNOP.bind_ipi,
    {
      words: 1,
      run: (call, [vcpu]) =>
        call.caller.vcpus[vcpu] === undefined ? ENOENT : bind(call, 1, { kind: 'ipi', vcpu }),
    },
  ],
  // {u32 port, u32 vcpu}
  [
    EVTCHNOP.bind_vcpu,
    {
      words: 2,
      run: ({ caller }, [port, vcpu]) => {
        if (caller.vcpus[vcpu] === undefined) return ENOENT
        const end = caller.ports[port]
        const mayMove =
          end !== undefined && end.kind !== 'ipi' && !(end.kind === 'virq' && PER_VCPU.has(end.virq))
        if (!mayMove) return EINVAL
        caller.ports[port] = { ...end, vcpu }
        return 0
      },
    },
  ],
  [
    EVTCHNOP.unmask,
    {
      words: 1,
      run: ({ xen, caller }, [port]) => {
        if (!isValidPort(caller, port)) return EINVAL
        unmaskPort(xen, caller, port)
        return 0
      },
    },
  ],
  // {u16 domain}
  [
    EVTCHNOP.reset,
    {
      words: 1,
      run: (call, w) => {
        const domain = domainNamed(call, w[0] & 0xffff)
        if (domain === undefined) return ESRCH
        if (!mayActOn(call.caller, domain)) return EPERM
        for (let port = 1; port < domain.ports.length; port++) close(call, domain, port)
        return 0
      },
    },
  ],
])

/** Close a port. The other end of a channel between domains waits for a partner again. */
function close({ xen }: Request, domain: Domain, port: number): number {
  const end = domain.ports[port]
  if (end === undefined) return EINVAL
  if (end.kind === 'interdomain') {
    end.domain.ports[end.port] = { kind: 'unbound', remote: domain.id, vcpu: 0 }
  }
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
    case 'virq':
      return [STATUS.virq, port.vcpu, port.virq]
    case 'ipi':
      return [STATUS.ipi, port.vcpu]
  }
}
