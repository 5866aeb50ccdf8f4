import { PAGE } from '../bits/address.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import type { E820Entry } from '../xen/abi.ts'
import type { Generation } from './generation.ts'
import { consoleWrite } from './hypercalls.ts'
import { Memblock } from './memory/memblock.ts'
import { KernelP2m } from './memory/p2m.ts'
import { type MarkState, newMarkState } from './tables/mark-state.ts'

/** What a boot ended in, when it did not end in Xen: the kernel's own panic, or its oops on a fault. */
export class KernelPanic extends Error {
  override name = 'KernelPanic'
}

/**
 * The buffer for the early tables, in pfns: tables are taken from `start` upwards, `end` is the next to be taken, and
 * nothing from `top` on may be. [start, end) is its used part and [end, top) its tail. Linux: pgt_buf_start, _end, _top.
 */
export type PageTableBuffer = { start: number; end: number; top: number }

/** One finished or running call of init_memory_mapping, for the boot's account. */
export type MappingCall = {
  readonly buffer: PageTableBuffer
  readonly startByte: number
  readonly endByte: number
}

/** The steps of setup_arch() from the direct map to the run-time operations, by the functions of the kernel. */
export type KernelStage =
  | 'setup_node_bootmem'
  | 'memblock_find_dma_reserve'
  | 'sparse_init'
  | 'free_area_init_nodes'
  | 'xen_post_allocator_init'

/** What the kernel reports to whoever watches: nothing is built when nobody does. */
export type KernelTrace = (what: string, args: Record<string, unknown>) => void

/**
 * The model kernel: the state that Linux's early boot has in its own variables. Everything that it knows of memory it
 * reads and writes through its vCPU.
 */
export type Kernel = {
  readonly vcpu: Vcpu
  readonly generation: Generation
  readonly commandLine: string
  readonly dom0: boolean
  /** From start_info, in frames and physical bytes. */
  readonly nrPages: number
  readonly mfnList: number
  readonly ptBase: number
  readonly nrPtFrames: number
  readonly initrd: { readonly start: number; readonly bytes: number }
  readonly kernelEnd: number

  readonly p2m: KernelP2m
  readonly memblock: Memblock
  e820: readonly E820Entry[]
  /** Pages taken from the brk so far. */
  brkPages: number
  /** Highest pfns that a call has mapped, and the limits of RAM: Linux's names. */
  maxPfnMapped: number
  minPfnMapped: number
  maxPfn: number
  maxLowPfn: number
  readonly pgtBuf: PageTableBuffer
  /** Since 3.9: whether tables may come from the brk just now, and how many have been taken in all. */
  canUseBrk: boolean
  tablesTaken: number
  readonly calls: MappingCall[]
  /** Number of the call of init_memory_mapping that runs, or ran last; 0 before the first. */
  mappingCall: number
  readonly mark: MarkState
  /** Both calls of init_memory_mapping are over. */
  mappingDone: boolean
  /** Where the node's own structure is, bytes; null before it is placed. */
  nodeData: { readonly base: number; readonly end: number } | null
  /** What runs after the direct map is done; null before that. */
  stage: KernelStage | null
  /** The run-time operations are installed: xen_post_allocator_init is past. */
  postAllocator: boolean
  readonly trace: KernelTrace | null
  /** Lines of the kernel's log buffer. */
  readonly log: (line: string) => void
  readonly earlyConsole: boolean
}

export type KernelStart = Pick<
  Kernel,
  | 'vcpu'
  | 'generation'
  | 'commandLine'
  | 'dom0'
  | 'nrPages'
  | 'mfnList'
  | 'ptBase'
  | 'nrPtFrames'
  | 'initrd'
  | 'kernelEnd'
  | 'trace'
  | 'log'
>

/** A kernel as Xen starts it, before it has looked at anything. */
export function newKernel(start: KernelStart): Kernel {
  return {
    ...start,
    p2m: new KernelP2m(start.vcpu, start.mfnList, start.nrPages),
    memblock: new Memblock(),
    e820: [],
    brkPages: 0,
    maxPfnMapped: 0,
    minPfnMapped: 0,
    canUseBrk: true,
    tablesTaken: 0,
    maxPfn: 0,
    maxLowPfn: 0,
    pgtBuf: { start: 0, end: 0, top: 0 },
    calls: [],
    mappingCall: 0,
    mark: newMarkState(),
    mappingDone: false,
    nodeData: null,
    stage: null,
    postAllocator: false,
    earlyConsole: /(?:^|\s)earlyprintk=xen/.test(start.commandLine),
  }
}

/**
 * printk: into the log buffer, and on the console when an early console is on. Until a console driver registers, which
 * none does as early as this, the buffer is all there is: that is why the seed's log has none of these lines.
 */
export function printk(kernel: Kernel, line: string): void {
  if (kernel.earlyConsole) consoleWrite(kernel.vcpu, `${line}\n`)
  else kernel.log(line)
}

/** panic(): the kernel stops by itself. */
export function panic(kernel: Kernel, why: string): never {
  printk(kernel, `Kernel panic - not syncing: ${why}`)
  throw new KernelPanic(why)
}

/** BUG(): ud2, which ends the domain when nothing handles it. `where` is the function, for the dump. */
export function bug(vcpu: Vcpu, where: string): never {
  vcpu.rip = where
  vcpu.undefinedInstruction()
}

/** A number below 2^53 as sixteen hex digits. */
export function hex64Of(n: number): string {
  return n.toString(16).padStart(16, '0')
}

/** Physical bytes of the end of a pfn range. */
export function bytesOf(pfn: number): number {
  return pfn * PAGE
}
