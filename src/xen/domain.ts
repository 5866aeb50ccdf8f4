import { DOMID } from '../bits/domid.ts'
import { BOARD_IRQS, type Board } from '../machine/board/board.ts'
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
  | (Notifies & { readonly kind: 'pirq'; readonly pirq: number })
  | (Notifies & { readonly kind: 'ipi' })

/** Which of the domain's vCPUs is told of the event: notify_vcpu_id. */
type Notifies = { readonly vcpu: number }

/** The event channels of a domain, by port. */
export type Ports = (Port | undefined)[]

/**
 * A number by which a domain knows a line of the machine's interrupts. Line 0 is none yet: the number was only given out. One
 * that was taken away while a port was bound to it is leaving until that is closed. Xen: struct pirq.
 */
export type Pirq = { readonly pirq: number; readonly line: number; readonly isLeaving: boolean }

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
  /** Numbers of interrupts that it has. */
  readonly pirqs: Pirq[]
  /** Lines that it had a right to and has lost. */
  readonly deniedLines: number[]
  /** The page in which it wants to see which interrupts need an end, held as writable; 0 for none. */
  eoiFrame: number
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
    pirqs: [],
    deniedLines: [],
    eoiFrame: 0,
    grantFrames: [],
    backendPages: [],
    memoryMap: null,
  }
}

/**
 * The numbers that dom0 has from the start: of the lines that no IO-APIC has, which are those of the PICs, or the one between
 * them only. Xen: init_domain_irq_mapping().
 */
export function firstPirqs(board: Board | null): Pirq[] {
  const lines = board?.hasIoApic === false ? BOARD_IRQS.pics - 1 : 0
  const first = lines === 0 ? [CASCADE] : Array.from({ length: lines }, (_, i) => i + 1)
  return first.map((line) => ({ pirq: line, line, isLeaving: false }))
}

/** The line by which one PIC hangs on the other. */
const CASCADE = 2

/** The frame that a domain has its flags of interrupts in, where it has. */
export function eoiFrames({ eoiFrame }: Domain): readonly number[] {
  return eoiFrame === 0 ? [] : [eoiFrame]
}

/** The largest extent of frames that a domain may ask for: max_order(). */
export function maxExtentOrder(domain: Domain): number {
  return domain.privileged ? 12 : 9
}

/** The owners of frames that no guest owns: MMIO and the first MiB, and Xen itself. They have no vCPU. */
export const DOM_IO_ID = DOMID.IO
export const DOM_XEN_ID = DOMID.XEN
