import { DOMID } from '../bits/domid.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import type { E820Entry } from './abi.ts'
import type { Ports } from './sched/event-channels.ts'
import { noTimers, type Timers } from './sched/timers.ts'

/** A handler that the guest registered for a CPU exception: Xen's struct trap_info. */
export type TrapHandler = { readonly flags: number; readonly cs: number; readonly address: number }

/** An entry point that the guest registered; bit 0 of the flags masks events. */
export type Callback = { readonly flags: number; readonly address: number }

/** A page of a domain that its toolstack has mapped writable in dom0 for as long as the domain lives, and who uses it there. */
export type BackendPage = { readonly mfn: number; readonly user: 'console' | 'xenstore' }

/** A domain: who owns frames and makes hypercalls. */
export type Domain = {
  readonly id: number
  /** The number by which frame records name it. */
  readonly owner: number
  /** May act on other domains' memory, and map the machine's own devices: dom0. */
  readonly privileged: boolean
  readonly vcpus: Vcpu[]
  /** Root of the guest's user mode, an mfn; 0 when it has none. Holds one type and page reference, as each root does. */
  userRoot: number
  totPages: number
  maxPages: number
  /** Bits of vm_assist that are on. */
  assist: number
  readonly traps: Map<number, TrapHandler>
  /** Where Xen enters the guest, by type of callback. */
  readonly callbacks: Map<number, Callback>
  /** The stack for entries from user mode; the address has 48 bits, or is -1 for one that is not canonical. */
  kernelSs: number
  kernelSp: number
  /** Root of the kernel while the vCPU is in user mode. */
  kernelRoot: number
  crashed: boolean
  /** Why the guest shut itself down, or null while it runs: Xen's SHUTDOWN_* numbers. */
  shutdown: number | null
  /** What the guest has written to the console since its last newline. */
  consoleLine: string
  sharedInfo: number
  /** Where the guest has its vcpu_info, or null while that is at the beginning of shared_info. */
  vcpuInfo: { readonly mfn: number; readonly offset: number } | null
  /** Event channels by port. */
  readonly ports: Ports
  readonly timers: Timers
  /** The vCPU waits for an event. */
  blocked: boolean
  /** It waits for one of these ports, or null. */
  polled: readonly number[] | null
  /** Where the guest wants to read for how long its vCPU ran and waited, a 48-bit address, or -1. */
  runstateAt: number
  /** Nanoseconds that the vCPU has been blocked for. */
  blockedNs: number
  /** The I/O privilege level that the guest believes to have. */
  iopl: number
  /** Bases of gs in the mode that does not run: the other one of kernel and processes. Two halves. */
  otherGsBase: readonly [lo: number, hi: number]
  /** Frames of the grant table. */
  readonly grantFrames: number[]
  /** Pages that dom0 has mapped: each holds a reference on its frame, and one on its type. */
  readonly backendPages: BackendPage[]
  /** Frames of the guest's GDT, 512 entries each; each is held as a page of descriptors. */
  gdtFrames: number[]
  gdtEntries: number
  /** The guest's LDT: its 48-bit address, its size, and by page of it the frame that is held for it since its first use. */
  ldtBase: number
  ldtEntries: number
  readonly ldtFrames: Map<number, number>
  /** The memory map that the toolstack gave it, or null: then the hypercall is not there. */
  memoryMap: readonly E820Entry[] | null
}

/** A domain with nothing in it. Its vCPUs and frames come from the builder. */
export function emptyDomain(id: number, owner: number, privileged: boolean): Domain {
  return {
    id,
    owner,
    privileged,
    vcpus: [],
    userRoot: 0,
    totPages: 0,
    maxPages: 0,
    assist: 0,
    traps: new Map(),
    callbacks: new Map(),
    kernelSs: 0,
    kernelSp: 0,
    kernelRoot: 0,
    crashed: false,
    shutdown: null,
    consoleLine: '',
    sharedInfo: 0,
    vcpuInfo: null,
    ports: [],
    timers: noTimers(),
    blocked: false,
    polled: null,
    runstateAt: -1,
    blockedNs: 0,
    iopl: 0,
    otherGsBase: [0, 0],
    grantFrames: [],
    backendPages: [],
    gdtFrames: [],
    gdtEntries: 0,
    ldtBase: 0,
    ldtEntries: 0,
    ldtFrames: new Map(),
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
