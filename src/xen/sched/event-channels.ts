import { SHARED_INFO, VCPU_INFO } from '../abi.ts'
import { type Domain, LAST_PORT, type Port } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { vcpuInfoWords } from './vcpu-info.ts'

/** Ports that there can be. Port 0 is never given out. */
const MAX_PORTS = LAST_PORT + 1

/** Ports come in buckets, of which a domain has as many as it has ever needed: those in them are valid. */
const BUCKET_PORTS = 64

/** Whether a port exists for the domain, bound or not. Port 0 does, too, though nothing is ever bound to it. */
export function isValidPort(domain: Domain, port: number): boolean {
  const buckets = Math.max(1, Math.ceil(domain.ports.length / BUCKET_PORTS))
  return port < Math.min(MAX_PORTS, buckets * BUCKET_PORTS)
}

/** The lowest free port takes a binding. -1 when there is none, or none that the domain may have. */
export function bindPort(domain: Domain, port: Port): number {
  for (let n = 1; n <= domain.maxPort; n++) {
    if (domain.ports[n] === undefined) {
      domain.ports[n] = port
      return n
    }
  }
  return -1
}

/** A port of the guest whose other end is dom0's: console and xenstore. `notify` is called when the guest sends. */
export function bindBackend(domain: Domain, notify: () => void): number {
  return bindPort(domain, { kind: 'backend', remote: 0, notify, vcpu: 0 })
}

/** An event from a backend, known by its `notify`. A guest that has closed its end of the channel is told nothing any more. */
export function sendFromBackend(xen: Hypervisor, domain: Domain, port: number, notify: () => void): void {
  const end = domain.ports[port]
  if (end?.kind === 'backend' && end.notify === notify) setPending(xen, domain, port)
}

/** Mark an event as pending, and tell the vCPU unless the guest has masked the port. Xen: evtchn_2l_set_pending(). */
export function setPending(xen: Hypervisor, domain: Domain, port: number): void {
  const { u32 } = xen.memory
  const shared = xen.memory.frameWords(domain.sharedInfo)
  const word = port >>> 5
  const bit = (1 << (port & 31)) >>> 0
  const pending = shared + SHARED_INFO.evtchn_pending / 4 + word
  if ((u32[pending] & bit) !== 0) return
  u32[pending] |= bit
  if ((u32[shared + SHARED_INFO.evtchn_mask / 4 + word] & bit) === 0) select(xen, domain, port)
  // A vCPU that polls does so with its events masked.
  for (const vcpu of domain.vcpus) if (isPolledBy(vcpu, port)) wake(vcpu)
}

/** Whether a vCPU that polls is told of a port: Xen remembers one port, and of several none: evtchn_check_pollers(). */
function isPolledBy({ polled }: PvVcpu, port: number): boolean {
  return polled !== null && (polled.length !== 1 || polled[0] === port)
}

/** The port was masked and is not any more: what came meanwhile is told now. Xen: evtchn_2l_unmask(). */
export function unmaskPort(xen: Hypervisor, domain: Domain, port: number): void {
  const { u32 } = xen.memory
  const shared = xen.memory.frameWords(domain.sharedInfo)
  const word = port >>> 5
  const bit = (1 << (port & 31)) >>> 0
  const mask = shared + SHARED_INFO.evtchn_mask / 4 + word
  if ((u32[mask] & bit) === 0) return
  u32[mask] &= ~bit
  if ((u32[shared + SHARED_INFO.evtchn_pending / 4 + word] & bit) !== 0) select(xen, domain, port)
}

/**
 * Set the bit of the port's word in the selector, and, where it was clear, that events are pending, which wakes the vCPU the
 * first time only: evtchn_2l_set_pending(), vcpu_mark_events_pending().
 */
function select(xen: Hypervisor, domain: Domain, port: number): void {
  const { u8, u32 } = xen.memory
  const vcpu = domain.vcpus[domain.ports[port]?.vcpu ?? 0]
  const info = vcpuInfoWords(xen, vcpu)
  const at = info + VCPU_INFO.pending_sel / 4 + (port >>> 11)
  const bit = (1 << ((port >>> 6) & 31)) >>> 0
  if ((u32[at] & bit) !== 0) return
  u32[at] |= bit
  if (u8[info * 4 + VCPU_INFO.upcall_pending] !== 0) return
  u8[info * 4 + VCPU_INFO.upcall_pending] = 1
  wake(vcpu)
}

/** Let a vCPU go on that waits: vcpu_unblock(). One that is down stays so. */
export function wake(vcpu: PvVcpu): void {
  vcpu.blocked = vcpu.down
  vcpu.polled = null
}

/** Whether a port is pending in the guest's view. */
export function isPending(xen: Hypervisor, domain: Domain, port: number): boolean {
  const at = xen.memory.frameWords(domain.sharedInfo) + SHARED_INFO.evtchn_pending / 4 + (port >>> 5)
  return (xen.memory.u32[at] & (1 << (port & 31))) !== 0
}

/** Forget that a port is pending: it is closed. */
export function clearPending(xen: Hypervisor, domain: Domain, port: number): void {
  const at = xen.memory.frameWords(domain.sharedInfo) + SHARED_INFO.evtchn_pending / 4 + (port >>> 5)
  xen.memory.u32[at] &= ~(1 << (port & 31))
}

/** An interrupt of Xen's own for the guest, if it has a port for it: send_guest_vcpu_virq(). */
export function sendVirq(xen: Hypervisor, { domain, id }: PvVcpu, virq: number): void {
  const port = domain.ports.findIndex((p) => p?.kind === 'virq' && p.virq === virq && p.vcpu === id)
  if (port !== -1) setPending(xen, domain, port)
}
