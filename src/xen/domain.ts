import { DOMID } from '../bits/domid.ts'
import type { E820Entry } from './abi.ts'
import type { PvVcpu } from './pv-vcpu.ts'

/** A page of a domain that its toolstack has mapped writable in dom0 for as long as the domain lives, and who uses it there. */
export type BackendPage = { readonly mfn: number; readonly user: 'console' | 'xenstore' }

/** What a port is bound to. A backend is the toolstack's end in dom0, which is not a guest here. */
export type Port =
  | (Notifies & { readonly kind: 'unbound'; readonly remote: number })
  | (Notifies & { readonly kind: 'interdomain'; readonly domain: Domain; readonly port: number })
  | (Notifies & { readonly kind: 'backend'; readonly remote: number; readonly notify: () => void })
  | (Notifies & { readonly kind: 'virq'; readonly virq: number })
  | (Notifies & { readonly kind: 'ipi' })

/** Which of the domain's vCPUs is told of the event: notify_vcpu_id. */
type Notifies = { readonly vcpu: number }

/** The event channels of a domain, by port. */
export type Ports = (Port | undefined)[]

/** A domain: who owns frames and makes hypercalls. */
export type Domain = {
  readonly id: number
  /** The number by which frame records name it. */
  readonly owner: number
  /** May act on other domains' memory, and map the machine's own devices: dom0. */
  readonly privileged: boolean
  /** By number, from 0. */
  readonly vcpus: PvVcpu[]
  totPages: number
  maxPages: number
  /** Bits of vm_assist that are on. */
  assist: number
  crashed: boolean
  /** Why the guest shut itself down, or null while it runs: Xen's SHUTDOWN_* numbers. */
  shutdown: number | null
  /** The reason that a shutdown will have, where the guest has said it before: SCHEDOP_shutdown_code. */
  shutdownCode: number | null
  /** When each of the domain's two watchdogs ends it, in nanoseconds; null for one that is not in use. */
  readonly watchdogs: (number | null)[]
  /** What was written last to port 0x70 and, as four bytes, to 0xcf8: a guest reads it back. */
  cmosIndex: number
  pciAddress: number
  /** What the guest has written to the console since its last newline. */
  consoleLine: string
  sharedInfo: number
  /** The highest port that it may have: max_evtchn_port. */
  maxPort: number
  /** Event channels by port. */
  readonly ports: Ports
  /** Frames of the grant table. */
  readonly grantFrames: number[]
  /** Pages that dom0 has mapped: each holds a reference on its frame, and one on its type. */
  readonly backendPages: BackendPage[]
  /** The memory map that the toolstack gave it, or null: then the hypercall is not there. */
  memoryMap: readonly E820Entry[] | null
}

/** The last port of the two-level layout of a 64-bit guest: 64 words of 64 ports. */
export const LAST_PORT = 4095

/** A domain with nothing in it. Its vCPUs and frames come from the builder. */
export function emptyDomain(id: number, owner: number, privileged: boolean): Domain {
  return {
    id,
    owner,
    privileged,
    vcpus: [],
    totPages: 0,
    maxPages: 0,
    assist: 0,
    crashed: false,
    shutdown: null,
    shutdownCode: null,
    watchdogs: [null, null],
    cmosIndex: 0,
    pciAddress: 0,
    consoleLine: '',
    sharedInfo: 0,
    maxPort: LAST_PORT,
    ports: [],
    grantFrames: [],
    backendPages: [],
    memoryMap: null,
  }
}

/** The largest extent of frames that a domain may ask for: max_order(). */
export function maxExtentOrder(domain: Domain): number {
  return domain.privileged ? 12 : 9
}

/** The owners of frames that no guest owns: MMIO and the first MiB, and Xen itself. They have no vCPU. */
export const DOM_IO_ID = DOMID.IO
export const DOM_XEN_ID = DOMID.XEN
