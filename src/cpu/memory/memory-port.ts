import { PAGE, vaHigh, vaOf } from '../../bits/address.ts'
import { D } from '../../bits/pte.ts'
import { BACKING_WORD } from '../../machine/frames.ts'
import type { FaultingStore } from '../../machine/host.ts'
import type { Memory } from '../../machine/memory.ts'
import { type Instruction, NONE } from '../../machine/vcpu/instruction.ts'
import {
  markAccessed,
  markPath,
  PF_FETCH,
  PF_PRESENT,
  PF_USER,
  PF_WRITE,
  Walk,
  walk,
  walkHalves,
} from '../../machine/vcpu/mmu.ts'
import { select } from '../semantics/select.ts'
import type { Site } from '../site.ts'
import { BOUNCE, FIELD, GENERAL } from '../state.ts'
import { MODIFY, READ, WRITE_MORE } from './access.ts'
import type { SoftTlb } from './soft-tlb.ts'

const VECTOR_SS = 12
const VECTOR_GP = 13
const VECTOR_PF = 14

/**
 * What happens on a page fault before the guest hears of it. `retry`: the cause is gone; `emulated`: the store was carried
 * out for the guest; `deliver`: it is the guest's.
 */
export type PageFaultHandler = (
  va: number,
  error: number,
  store: FaultingStore | undefined,
) => 'retry' | 'emulated' | 'deliver'

/** Addresses whose accesses are of interest. */
export type Watchpoint = {
  readonly va: number
  readonly bytes: number
  readonly read: boolean
  readonly write: boolean
}

/**
 * The slow half of every access to memory: what the interpreter's look at the TLB does not answer. It walks the guest's
 * tables, raises faults, and takes the accesses that one page does not hold, or that somebody has to see, through a buffer
 * in the vCPU's state: loads find their bytes there, stores leave theirs, and `commit` carries them out.
 */
export class MemoryPort {
  /** Address of the last page fault. */
  faultAddress = 0
  /** Frame of the L4 in use. */
  root = 0
  onPageFault: PageFaultHandler | null = null
  /**
   * Whether an access that loads and stores faults as a load where nothing is mapped, as QEMU's does. A processor's faults as a
   * store.
   */
  readsFirst = false
  watchpoints: readonly Watchpoint[] = []
  /** A watchpoint that was hit since it was last looked at. */
  hit: Watchpoint | null = null
  /** The slice has to end after this instruction: translations of the running page may have changed. */
  stop: () => void = () => {}
  /** The instruction that is being executed; null where nobody can say. */
  site: () => Site | null = () => null
  private readonly memory: Memory
  private readonly state: number
  private readonly tlb: SoftTlb
  private readonly found = new Walk()
  /** A store that faulted waits for whoever may emulate it. */
  private isRefused = false

  constructor(memory: Memory, state: number, tlb: SoftTlb) {
    this.memory = memory
    this.state = state
    this.tlb = tlb
  }

  private word(field: number): number {
    return this.memory.u32[(this.state + field) >> 2]
  }

  /** The interpreter's import: the bytes at the state's `va`, or 0 after a fault. */
  translate(access: number, bytes: number): number {
    const host = this.inOnePage(access, bytes)
    if (host !== 0) return host
    const lo = this.word(FIELD.va)
    const va = vaOf(lo, this.word(FIELD.va + 4))
    // No access wraps around the ends of the two canonical halves.
    const last = va === -1 ? -1 : va + bytes - 1
    const isWhole = va !== -1 && last < 2 ** 48 && va < 2 ** 47 === last < 2 ** 47
    if (!isWhole && !(va >= 2 ** 47 && last >= 2 ** 48)) return this.notCanonical()
    const offset = lo & (PAGE - 1)
    if (access === READ) return offset + bytes > PAGE ? this.readTwo(va, bytes) : this.readOne(va, bytes)
    if (access === MODIFY && this.readsFirst && !this.isReadable(va, bytes)) return 0
    return this.prepareStore(va, bytes, access === WRITE_MORE)
  }

  /**
   * Nearly every access: within a page that is mapped for it, of which nobody wants to know. 0 for any other, which nothing has
   * been done about.
   */
  private inOnePage(access: number, bytes: number): number {
    const { i32 } = this.memory
    const at = (this.state + FIELD.va) >> 2
    const lo = i32[at]
    const hi = i32[at + 1]
    const offset = lo & (PAGE - 1)
    const sign = hi >> 15
    if (offset + bytes > PAGE || this.watchpoints.length > 0 || (sign !== 0 && sign !== -1)) return 0
    const w = walkHalves(this.memory, this.root, lo, hi & 0xffff, this.found)
    if (w.missing !== 0 || !w.user || (access !== READ && !w.writable)) return 0
    const page = this.cachePage(lo & -PAGE, hi, w, access !== READ)
    if (access !== READ) {
      this.isRefused = false
      const { decoded } = this.memory
      if (access === WRITE_MORE) this.memory.touchPage(page)
      if (decoded !== null && decoded[page] !== 0 && this.memory.isDecoded(page, offset, bytes)) return 0
    }
    return page * PAGE + offset
  }

  private isReadable(va: number, bytes: number): boolean {
    const here = PAGE - offsetOf(va)
    return this.readable(va) !== 0 && (here >= bytes || this.readable(wrap(va + here)) !== 0)
  }

  /** Non-canonical addresses: #SS through rsp and rbp without a segment prefix, else #GP. */
  private notCanonical(): number {
    const instruction = this.site()?.instruction
    const isStack =
      instruction !== undefined && (namesStack(instruction) || this.isImplicitStack(instruction))
    this.setException(isStack ? VECTOR_SS : VECTOR_GP, 0)
    return 0
  }

  /** Whether the address is one that an instruction like push makes from rsp, or leave from rbp. */
  private isImplicitStack(instruction: Instruction): boolean {
    if (!select(instruction).semantic.usesStack) return false
    return [RSP, RBP].some((register) => {
      const at = GENERAL + register * 8
      const distance = (this.word(FIELD.va) - this.word(at)) | 0
      return this.word(FIELD.va + 4) >>> 16 === this.word(at + 4) >>> 16 && Math.abs(distance) <= 512
    })
  }

  // ---- loads ----

  /** Address of the byte at `va` for a load that stays in its page, or 0. */
  private readOne(va: number, bytes: number): number {
    const host = this.readable(va)
    if (host !== 0 && this.watchpoints.length > 0) this.watch(va, bytes, false)
    return host
  }

  private readTwo(va: number, bytes: number): number {
    const here = PAGE - offsetOf(va)
    const first = this.readable(va)
    if (first === 0) return 0
    const second = this.readable(wrap(va + here))
    if (second === 0) return 0
    const { u8 } = this.memory
    const buffer = this.state + BOUNCE
    for (let i = 0; i < bytes; i++) u8[buffer + i] = i < here ? u8[first + i] : u8[second + i - here]
    this.watch(va, bytes, false)
    return buffer
  }

  private readable(va: number): number {
    for (;;) {
      const host = this.tryReadable(va)
      if (host !== 0) return host
      if (!this.raise(va, 0)) return 0
    }
  }

  /** The same without a fault. */
  tryReadable(va: number): number {
    const w = walk(this.memory, this.root, va, this.found)
    if (w.missing !== 0 || !w.user) return 0
    return this.cachePage(pageLow(va), vaHigh(va), w, false) * PAGE + offsetOf(va)
  }

  /** Address of the byte at `va` as the last walk found it, with no sign of an access. */
  private peek(va: number): number {
    const { mfn } = this.found
    const record = this.memory.record(mfn)
    if (this.memory.isDevice(mfn, record)) return this.memory.device(mfn) * 4 + offsetOf(va)
    return this.memory.backing(record) * 4 + offsetOf(va)
  }

  // ---- stores ----

  /** @param more whether the instruction may store to more of the page than these bytes */
  private prepareStore(va: number, bytes: number, more: boolean): number {
    this.isRefused = false
    const here = PAGE - offsetOf(va)
    const crosses = here < bytes
    const first = this.writable(va, bytes)
    if (first === 0) return 0
    const second = crosses ? this.writable(wrap(va + here), bytes) : 0
    if (crosses && second === 0) return 0
    const isPlain = !crosses && !this.isRefused && this.watchpoints.length === 0
    const page = first >>> 12
    if (isPlain && more) this.memory.touchPage(page)
    if (isPlain && !this.memory.isDecoded(page, offsetOf(first), bytes)) return first
    const { u8 } = this.memory
    const buffer = this.state + BOUNCE
    for (let i = 0; i < bytes; i++) u8[buffer + i] = i < here ? u8[first + i] : u8[second + i - here]
    this.memory.u32[(this.state + FIELD.pendingBytes) >> 2] = bytes
    this.memory.u32[(this.state + FIELD.pendingVa) >> 2] = va >>> 0
    this.memory.u32[(this.state + FIELD.pendingVa + 4) >> 2] = vaHigh(va)
    return buffer
  }

  /** Address of the byte at `va` for a store; of one that somebody may emulate, for reading; or 0. */
  private writable(va: number, bytes: number): number {
    for (;;) {
      const host = this.tryWritable(va)
      if (host !== 0) return host
      const { missing, user } = this.found
      if (this.onPageFault !== null && missing === 0 && user && bytes <= 16) {
        this.isRefused = true
        return this.peek(va)
      }
      if (!this.raise(va, PF_WRITE)) return 0
    }
  }

  private tryWritable(va: number): number {
    const w = walk(this.memory, this.root, va, this.found)
    if (w.missing !== 0 || !w.user || !w.writable) return 0
    return this.cachePage(pageLow(va), vaHigh(va), w, true) * PAGE + offsetOf(va)
  }

  /** Carry out the store in the buffer; false after a fault. */
  commit(): boolean {
    const bytes = this.word(FIELD.pendingBytes)
    const va = vaOf(this.word(FIELD.pendingVa), this.word(FIELD.pendingVa + 4))
    const expects = this.word(FIELD.expects) !== 0
    // The instruction does not come back to clear it when the store faults.
    this.memory.u32[(this.state + FIELD.expects) >> 2] = 0
    if (this.isRefused) {
      const outcome = this.emulate(va, bytes, expects)
      if (outcome !== 'retry') return outcome === 'emulated'
    }
    const buffer = this.state + BOUNCE
    const here = Math.min(bytes, PAGE - offsetOf(va))
    // Both pages were looked at before; what a retry has changed may let one fault now, before anything is stored.
    const first = this.plainWritable(va)
    if (first === 0) return false
    const second = here < bytes ? this.plainWritable(wrap(va + here)) : 0
    if (here < bytes && second === 0) return false
    this.storeBytes(first, buffer, here)
    if (here < bytes) this.storeBytes(second, buffer + here, bytes - here)
    this.watch(va, bytes, true)
    return true
  }

  private plainWritable(va: number): number {
    for (;;) {
      const host = this.tryWritable(va)
      if (host !== 0) return host
      if (!this.raise(va, PF_WRITE)) return 0
    }
  }

  private storeBytes(host: number, from: number, bytes: number): void {
    const { u8 } = this.memory
    u8.copyWithin(host, from, from + bytes)
    const page = host >>> 12
    if (this.memory.isDecoded(page, offsetOf(host), bytes)) this.memory.touchPage(page)
  }

  /** Ask whoever handles page faults about a store that the tables refuse, with what it would store. */
  private emulate(va: number, bytes: number, expects: boolean): 'emulated' | 'retry' | 'fault' {
    const { u32 } = this.memory
    const at = (this.state + BOUNCE) >> 2
    const mask = bytes < 4 ? 2 ** (8 * bytes) - 1 : 0xffff_ffff
    const expected = { lo: this.word(FIELD.expected), hi: this.word(FIELD.expected + 4) }
    const store: FaultingStore = {
      va,
      bytes: bytes as 1 | 2 | 4 | 8 | 16,
      lo: (u32[at] & mask) >>> 0,
      hi: bytes >= 8 ? u32[at + 1] : 0,
      ...(expects ? { expected } : {}),
    }
    this.isRefused = false
    const crosses = offsetOf(va) + bytes > PAGE
    const faulting = crosses && this.tryWritable(va) !== 0 ? wrap(va + PAGE - offsetOf(va)) : va
    walk(this.memory, this.root, faulting, this.found)
    const outcome = this.ask(faulting, PF_WRITE | PF_PRESENT, store)
    if (outcome === 'deliver') this.pageFault(faulting, PF_WRITE | PF_PRESENT)
    return outcome === 'deliver' ? 'fault' : outcome
  }

  // ---- fetches ----

  /** The page of the machine's memory that code at `va` lies in, or -1 after a fault. */
  fetch(va: number): number {
    for (;;) {
      const w = walk(this.memory, this.root, va, this.found)
      if (w.missing === 0 && w.user && w.executable) return this.backing(w, false)
      if (!this.raise(va, PF_FETCH)) return -1
    }
  }

  /** The page of the machine's memory that code at `va` lies in, with no sign of an access; -1 where there is none. */
  codePage(va: number): number {
    const w = walk(this.memory, this.root, va, this.found)
    if (w.missing !== 0 || !w.user || !w.executable) return -1
    const record = this.memory.record(w.mfn)
    if (this.memory.isDevice(w.mfn, record)) return -1
    const page = this.memory.u32[record + BACKING_WORD]
    return page === 0 ? -1 : page
  }

  /** Word index of the entry that the last walk ended at. */
  get lastEntry(): number {
    return this.found.at
  }

  // ---- what they share ----

  /** @param lo low half of the page's address, @param hi its high half */
  private cachePage(lo: number, hi: number, w: Walk, store: boolean): number {
    const { memory } = this
    // Where the dirty bit is not set yet, a load caches the page for loads only.
    const isWritable = store || (w.writable && (w.lo & D) !== 0)
    const page = this.backing(w, store)
    if (memory.isDevice(w.mfn, memory.record(w.mfn))) return page
    const isWatched = this.watchpoints.length > 0 && this.isWatched(lo, hi)
    const isCode = memory.decoded !== null && memory.decoded[page] !== 0
    this.tlb.fill(lo, hi, page, !isWatched, isWritable && !isWatched && !isCode, w.at)
    return page
  }

  private isWatched(lo: number, hi: number): boolean {
    const va = vaOf(lo, hi)
    return this.watchpoints.some((point) => overlaps(point, va, PAGE))
  }

  /** Number of the page of the machine's memory that holds a frame's bytes, and A and D where the access sets them. */
  private backing(w: Walk, store: boolean): number {
    const record = this.memory.record(w.mfn)
    markAccessed(this.memory, w, store)
    if (this.memory.isDevice(w.mfn, record)) {
      return (store ? this.memory.nowhere : this.memory.device(w.mfn)) >>> 10
    }
    // The core sees its own stores to code: they need not count as touches of the page.
    const page = this.memory.i32[record + BACKING_WORD]
    return page !== 0 ? page : this.memory.backing(record) >>> 10
  }

  /** A page fault at an address whose walk was the last; true when the access is to be tried again. */
  private raise(va: number, kind: number): boolean {
    const error = kind | (this.found.missing === 0 ? PF_PRESENT : 0)
    if (this.ask(va, error, undefined) === 'retry') return true
    this.pageFault(va, error)
    return false
  }

  private ask(va: number, error: number, store: FaultingStore | undefined): 'retry' | 'emulated' | 'deliver' {
    const { missing } = this.found
    markPath(this.memory, this.found, missing === 0 ? 2 : missing + 1)
    if (this.onPageFault === null) return 'deliver'
    const outcome = this.onPageFault(va, error | PF_USER, store)
    if (outcome !== 'deliver') this.stop()
    return outcome
  }

  private pageFault(va: number, error: number): void {
    this.setException(VECTOR_PF, error | PF_USER)
    this.faultAddress = va
  }

  /** The exception that the running instruction ends in. */
  setException(vector: number, error: number): void {
    this.memory.u32[(this.state + FIELD.vector) >> 2] = vector
    this.memory.u32[(this.state + FIELD.errorCode) >> 2] = error
  }

  private watch(va: number, bytes: number, isStore: boolean): void {
    for (const point of this.watchpoints) {
      if (!(isStore ? point.write : point.read) || !overlaps(point, va, bytes)) continue
      this.hit = point
      this.stop()
    }
  }
}

const RSP = 4
const RBP = 5

/** Whether a memory operand has rsp or rbp as its base, and no segment prefix. */
function namesStack(instruction: Instruction): boolean {
  return instruction.operands.some(
    (o) => o.kind === 'memory' && (o.base === RSP || o.base === RBP) && o.segment === NONE,
  )
}

function overlaps(point: Watchpoint, va: number, bytes: number): boolean {
  return va < point.va + point.bytes && point.va < va + bytes
}

/** Where a 48-bit address is in its page, and the low half of the page's. */
function offsetOf(va: number): number {
  return va & (PAGE - 1)
}

function pageLow(va: number): number {
  return va & -PAGE
}

/** The highest address is followed by the lowest. */
function wrap(va: number): number {
  return va % 2 ** 48
}
