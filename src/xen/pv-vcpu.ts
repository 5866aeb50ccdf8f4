import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import type { Domain } from './domain.ts'

/** A handler that the guest registered for a CPU exception: Xen's struct trap_info. */
export type TrapHandler = { readonly flags: number; readonly cs: number; readonly address: number }

/** An entry point that the guest registered; bit 0 of the flags masks events. */
export type Callback = { readonly flags: number; readonly address: number }

/** What a vCPU waits for in time: nanoseconds of the machine's clock, Infinity for nothing. */
export type Timers = {
  /** Nanoseconds between two ticks, or 0 for none. */
  period: number
  nextTick: number
  /** The deadline that the guest has set. */
  singleshot: number
  /** Until when the vCPU polls its ports. */
  poll: number
}

/** The tick that every PV vCPU starts with. */
const FIRST_PERIOD = 10_000_000

function noTimers(): Timers {
  return { period: FIRST_PERIOD, nextTick: FIRST_PERIOD, singleshot: Infinity, poll: Infinity }
}

/** A record that Xen shares with a guest in a page of the guest's, which holds the page writable. */
export type Place = { readonly mfn: number; readonly offset: number }

/** Bits of ports, 0 for one that may be used: a 48-bit address of the guest's, and how many ports they are about. */
export type IoBitmap = { readonly at: number; readonly ports: number }

/**
 * A vCPU as Xen knows it: Xen's struct vcpu and its arch_vcpu. Registers, the root in use and translations are the
 * port's; what all vCPUs of a guest share is the domain's.
 */
export type PvVcpu = {
  /** Number in its domain, from 0. */
  readonly id: number
  readonly domain: Domain
  /** What drivers hold. */
  readonly port: Vcpu
  /** Root of the guest's user mode, an mfn; 0 when it has none. Holds one type and page reference, as each root does. */
  userRoot: number
  /** Root of the kernel while the vCPU is in user mode. */
  kernelRoot: number
  readonly traps: Map<number, TrapHandler>
  /** Where Xen enters the guest, by type of callback. */
  readonly callbacks: Map<number, Callback>
  /** The stack for entries from user mode; the address has 48 bits, or is -1 for one that is not canonical. */
  kernelSs: number
  kernelSp: number
  /** Frames of the guest's GDT, 512 entries each; each is held as a page of descriptors. */
  gdtFrames: number[]
  gdtEntries: number
  /** The guest's LDT: its 48-bit address, its size, and by page of it the frame that is held for it since its first use. */
  ldtBase: number
  ldtEntries: number
  readonly ldtFrames: Map<number, number>
  readonly timers: Timers
  /** It waits for an event. */
  blocked: boolean
  /** It was taken down, and does not run again: there is no other vCPU to bring it up. */
  down: boolean
  /** It polls these ports, or does not: null. Of one port it is told, of several or none that any of the domain's is pending. */
  polled: readonly number[] | null
  /** Where the guest wants to read for how long it ran and waited, a 48-bit address, or -1. */
  runstateAt: number
  /** Nanoseconds that it has been blocked for. */
  blockedNs: number
  /** Where the guest has its vcpu_info, or null while that is in shared_info. */
  vcpuInfo: Place | null
  /** Where the guest wants to read the time as well, a 48-bit address, or -1. */
  timeAt: number
  /** An NMI waits for it; and its handler of NMIs has not left by iret yet. */
  nmiPending: boolean
  nmiMasked: boolean
  /** Where it has the run state and the time by physical address, too, or null. */
  runstateArea: Place | null
  timeArea: Place | null
  /** The I/O privilege level that the guest believes to have. */
  iopl: number
  /** The bits, one a port, by which the guest lets itself use ports: where they are, and of how many ports. Null for none. */
  ioBitmap: IoBitmap | null
  /** Bases of gs in the mode that does not run: the other one of kernel and processes. Two halves. */
  otherGsBase: readonly [lo: number, hi: number]
}

/** The next vCPU of a domain, which nothing has been told yet. */
export function newVcpu(domain: Domain, port: Vcpu): PvVcpu {
  return {
    id: domain.vcpus.length,
    domain,
    port,
    userRoot: 0,
    kernelRoot: 0,
    traps: new Map(),
    callbacks: new Map(),
    kernelSs: 0,
    kernelSp: 0,
    gdtFrames: [],
    gdtEntries: 0,
    ldtBase: 0,
    ldtEntries: 0,
    ldtFrames: new Map(),
    timers: noTimers(),
    blocked: false,
    down: false,
    polled: null,
    runstateAt: -1,
    timeAt: -1,
    nmiPending: false,
    nmiMasked: false,
    blockedNs: 0,
    vcpuInfo: null,
    runstateArea: null,
    timeArea: null,
    iopl: 0,
    ioBitmap: null,
    otherGsBase: [0, 0],
  }
}

/** Root of the vCPU's kernel: while a process runs, its root is in the register and the kernel's is kept. */
export function kernelRootOf({ port, kernelRoot }: PvVcpu): number {
  return port.kernelMode ? port.root : kernelRoot
}

/** The guest's frames in which records of the vCPU lie. */
export function recordFrames({ vcpuInfo, runstateArea, timeArea }: PvVcpu): number[] {
  return [vcpuInfo, runstateArea, timeArea].flatMap((place) => (place === null ? [] : [place.mfn]))
}
