import { PAGE, SLOTS, vaHigh } from '../../bits/address.ts'
import { D } from '../../bits/pte.ts'
import {
  type CodeState,
  type FaultingStore,
  GuestTrap,
  type Host,
  RAX,
  VECTOR_GP,
  VECTOR_PF,
  VECTOR_UD,
} from '../host.ts'
import type { Memory } from '../memory.ts'
import { markAccessed, markPath, PF_FETCH, PF_PRESENT, PF_USER, PF_WRITE, Walk, walk } from './mmu.ts'
import { Tlb, tlbSlot } from './tlb.ts'

// Drivers know the machine by this file alone.
export * from '../host.ts'

/** Told of every plain store while something watches; null otherwise. */
export type StoreObserver = (mfn: number, slot: number, count: number, lo: number, hi: number) => void

/**
 * The vCPU port: all that a driver has of the machine. Loads and stores go through the guest's own tables and may fault;
 * everything else is a hypercall. 64-bit values travel as two u32 halves; a load returns the low one and leaves the
 * high one in `hi`.
 */
export class Vcpu {
  /** General registers, two words each. Where code is executed this is a view of the core's. */
  regs: Uint32Array = new Uint32Array(32)
  /** Where code is executed: rip and rflags; null for a model. */
  code: CodeState | null = null
  /** Where the guest is, for people: a symbol, as the model kernel has no addresses. Empty when it is not known. */
  rip = ''
  /** cr2: the address of the last page fault that went to the guest. */
  faultAddress = 0
  /** Frame of the L4 in use. */
  root = 0
  /** High half of what the last 64-bit load read. */
  hi = 0
  /** Whether the guest's own kernel mode is on; PV kernels and their processes both run in ring 3. */
  kernelMode = true
  observer: StoreObserver | null = null
  readonly tlb = new Tlb()
  readonly id: number
  readonly memory: Memory
  private readonly host: Host
  private readonly found = new Walk()
  /** Registers that the driver has given a value, as bits: a model's guest does not have all of them. */
  private given = 0

  constructor(memory: Memory, host: Host, id: number) {
    this.memory = memory
    this.host = host
    this.id = id
  }

  // ---- registers ----

  set(register: number, lo: number, hi = 0): void {
    this.regs[register * 2] = lo
    this.regs[register * 2 + 1] = hi
    this.given |= 1 << register
  }

  /** Whether a register has ever been given a value. Where code is executed all of them have one. */
  has(register: number): boolean {
    return this.code !== null || (this.given & (1 << register)) !== 0
  }

  /** A register from a 48-bit address, sign extended. */
  setVa(register: number, va: number): void {
    this.set(register, va >>> 0, vaHigh(va))
  }

  /** A register from a whole number, negative ones as two's complement. */
  setNumber(register: number, n: number): void {
    if (n === n >>> 0) this.set(register, n)
    else this.set(register, n >>> 0, Math.floor(n / 0x1_0000_0000) >>> 0)
  }

  /** A register read as a signed 64-bit number; exact for what hypercalls return. */
  number(register: number): number {
    return (this.regs[register * 2 + 1] | 0) * 0x1_0000_0000 + this.regs[register * 2]
  }

  /** Make a hypercall with the arguments that the registers hold; its result, signed. */
  hypercall(nr: number): number {
    this.set(RAX, nr)
    this.host.hypercall(this)
    return this.number(RAX)
  }

  /** SYSCALL in user mode: the guest's kernel is entered where it wants to be. rax and the others stay. */
  systemCall(): void {
    this.host.hypercall(this)
  }

  /** ud2: what BUG() compiles to. */
  undefinedInstruction(): never {
    this.raise(VECTOR_UD, 0, 0)
  }

  /** Load a data segment register with a selector of 16 bits; what is wrong with it is the guest's trap. */
  loadSegment(selector: number): void {
    const trap = this.host.loadSegment(this, selector)
    if (trap === null) return
    if (trap.vector === VECTOR_PF) this.faultAddress = trap.va
    this.raise(trap.vector, trap.error, trap.va)
  }

  // ---- loads ----

  /** Eight bytes: the low half is returned, the high half is left in `hi`. */
  load64(va: number): number {
    const slot = tlbSlot(va)
    const offset = (va >>> 0) & (PAGE - 1)
    if (this.tlb.readTag[slot] !== va - offset || (offset & 7) !== 0) return this.loadSlow(va, offset)
    const at = this.tlb.words[slot] + (offset >>> 2)
    this.hi = this.memory.u32[at + 1]
    return this.memory.u32[at]
  }

  load32(va: number): number {
    return this.load(va, 4)
  }

  load8(va: number): number {
    return this.load(va, 1)
  }

  private loadSlow(va: number, offset: number): number {
    if ((offset & 7) !== 0) {
      const lo = this.load(va, 4)
      this.hi = this.load(va + 4, 4)
      return lo
    }
    const at = this.readable(va) + (offset >>> 2)
    this.hi = this.memory.u32[at + 1]
    return this.memory.u32[at]
  }

  private load(va: number, bytes: 1 | 2 | 4): number {
    const offset = (va >>> 0) & (PAGE - 1)
    let value = 0
    let at = this.readable(va) * 4 + offset
    for (let i = 0; i < bytes; i++) {
      if (offset + i === PAGE) at = this.readable(va + i) * 4 - i
      value += this.memory.u8[at + i] * 2 ** (8 * i)
    }
    return value >>> 0
  }

  /** Word index of the page at `va` for a load; faults are the guest's. */
  private readable(va: number): number {
    for (;;) {
      const words = this.tryReadable(va)
      if (words !== -1) return words
      this.fault(va, this.found.missing === 0 ? PF_PRESENT : 0, undefined)
    }
  }

  /** Word index of the page's bytes if ring 3 may load from it, else -1. For Xen's copies from a guest: no fault. */
  tryReadable(va: number): number {
    const slot = tlbSlot(va)
    const page = va - ((va >>> 0) & (PAGE - 1))
    if (this.tlb.readTag[slot] === page) return this.tlb.words[slot]
    const w = walk(this.memory, this.root, va, this.found)
    if (w.missing !== 0 || !w.user) return -1
    return this.cache(page, w, false)
  }

  /** Fetch an instruction from `va`: what a guest does everywhere, and a driver without code where it matters. */
  fetch(va: number): void {
    const page = va - ((va >>> 0) & (PAGE - 1))
    if (this.tlb.readTag[tlbSlot(va)] === page) return
    for (;;) {
      const w = walk(this.memory, this.root, va, this.found)
      if (w.missing === 0 && w.user && w.executable) break
      this.fault(va, PF_FETCH | (w.missing === 0 ? PF_PRESENT : 0), undefined)
    }
    this.cache(page, this.found, false)
  }

  /** An access to an address that is not canonical: no page fault, but a general protection fault. */
  nonCanonical(): never {
    this.raise(VECTOR_GP, 0, 0)
  }

  // ---- stores ----

  store64(va: number, lo: number, hi: number): void {
    const slot = tlbSlot(va)
    const offset = (va >>> 0) & (PAGE - 1)
    const isPlain = this.observer === null && this.memory.decoded === null
    if (this.tlb.writeTag[slot] !== va - offset || (offset & 7) !== 0 || !isPlain) {
      this.storeSlow({ va, bytes: 8, lo, hi })
      return
    }
    const at = this.tlb.words[slot] + (offset >>> 2)
    this.memory.u32[at] = lo
    this.memory.u32[at + 1] = hi
  }

  store32(va: number, value: number): void {
    this.storeSlow({ va, bytes: 4, lo: value, hi: 0 })
  }

  store16(va: number, value: number): void {
    this.storeSlow({ va, bytes: 2, lo: value, hi: 0 })
  }

  store8(va: number, value: number): void {
    this.storeSlow({ va, bytes: 1, lo: value, hi: 0 })
  }

  /** A 16-byte store, as SSE has it: one access, faulted as a whole. */
  store128(
    va: number,
    low: readonly [lo: number, hi: number],
    high: readonly [lo: number, hi: number],
  ): void {
    const offset = (va >>> 0) & (PAGE - 1)
    if (!this.writableOrEmulated({ va, bytes: 16, lo: low[0], hi: low[1] })) return
    if (offset > PAGE - 16) {
      const next = va + PAGE - offset
      if (!this.writableOrEmulated({ va: next, bytes: 16, lo: low[0], hi: low[1] })) return
    }
    this.storeSlow({ va, bytes: 8, lo: low[0], hi: low[1] })
    this.storeSlow({ va: va + 8, bytes: 8, lo: high[0], hi: high[1] })
  }

  /** lock cmpxchg of 4 or 8 bytes: stores when memory holds `expected`. Returns what it held, high half in `hi`. */
  compareExchange(
    va: number,
    bytes: 4 | 8,
    expected: readonly [lo: number, hi: number],
    lo: number,
    hi: number,
  ): number {
    return this.locked(va, bytes, (oldLo, oldHi) =>
      oldLo === expected[0] && (bytes === 4 || oldHi === expected[1]) ? [lo, hi] : null,
    )
  }

  /** xchg of 8 bytes. Returns what memory held, high half in `hi`. */
  exchange64(va: number, lo: number, hi: number): number {
    return this.locked(va, 8, () => [lo, hi])
  }

  /** lock or of 8 bytes. */
  or64(va: number, lo: number, hi: number): void {
    this.locked(va, 8, (oldLo, oldHi) => [(oldLo | lo) >>> 0, (oldHi | hi) >>> 0])
  }

  /** lock btr of a bit 0..63. Returns the bit as it was. */
  bitReset64(va: number, bit: number): number {
    const mask = (1 << (bit & 31)) >>> 0
    const lo = this.locked(va, 8, (oldLo, oldHi) =>
      bit < 32 ? [(oldLo & ~mask) >>> 0, oldHi] : [oldLo, (oldHi & ~mask) >>> 0],
    )
    return ((bit < 32 ? lo : this.hi) >>> (bit & 31)) & 1
  }

  /**
   * A locked read-modify-write. It reads first, as QEMU's CPU does when it has but one: so the fault of a page that is
   * not there says read, that of a read-only one says write. Xen may carry out the whole of the latter.
   */
  private locked(
    va: number,
    bytes: 4 | 8,
    next: (lo: number, hi: number) => readonly [lo: number, hi: number] | null,
  ): number {
    for (;;) {
      const oldLo = this.load(va, 4)
      const oldHi = bytes === 8 ? this.load(va + 4, 4) : 0
      const isWritable = this.tryWritable(va) !== -1
      const value = next(oldLo, oldHi)
      const store = {
        va,
        bytes,
        lo: value === null ? oldLo : value[0],
        hi: value === null ? oldHi : value[1],
        // One that does not match stores nothing: Xen sees that by an expectation which memory does not meet.
        expected: { lo: value === null ? ~oldLo >>> 0 : oldLo, hi: oldHi },
      }
      if (isWritable) this.storeSlow(store)
      else if (!this.fault(va, PF_WRITE | PF_PRESENT, store)) continue
      this.hi = oldHi
      return oldLo
    }
  }

  /**
   * Store `count` entries from `entries` (pairs of halves) to consecutive slots from `va` on, inside one page, as that
   * many 64-bit stores one after another would. A table in use takes them one by one through Xen.
   */
  storeEntries(va: number, entries: Uint32Array, count: number): void {
    if (count === 0) return
    const offset = (va >>> 0) & (PAGE - 1)
    const page = this.tryWritable(va)
    if (page === -1) {
      for (let i = 0; i < count; i++) this.store64(va + i * 8, entries[i * 2], entries[i * 2 + 1])
      return
    }
    const whole = entries.length === count * 2 ? entries : entries.subarray(0, count * 2)
    this.memory.u32.set(whole, page + (offset >>> 2))
    if (this.observer !== null) this.observer(this.frameAt(va), offset >>> 3, count, entries[0], entries[1])
  }

  /** Load `count` entries of one page from `va` on. */
  loadEntries(va: number, entries: Uint32Array, count: number): void {
    const offset = (va >>> 0) & (PAGE - 1)
    const at = this.readable(va) + (offset >>> 2)
    entries.set(this.memory.u32.subarray(at, at + count * 2))
  }

  /** Zero the page at `va` (page aligned) with stores. A frame that was never touched stays so. */
  clearPage(va: number): void {
    const slot = tlbSlot(va)
    if (this.tlb.writeTag[slot] !== va) {
      for (;;) {
        const w = walk(this.memory, this.root, va, this.found)
        if (w.missing === 0 && w.user && w.writable && this.memory.record(w.mfn) !== -1) break
        const done = this.fault(va, PF_WRITE | (w.missing === 0 ? PF_PRESENT : 0), {
          va,
          bytes: 8,
          lo: 0,
          hi: 0,
        })
        if (done) {
          // A table in use: Xen carried out the first store, and takes the others one at a time too.
          for (let i = 1; i < SLOTS; i++) this.store64(va + i * 8, 0, 0)
          return
        }
      }
      markAccessed(this.memory, this.found, true)
      this.memory.clearFrame(this.found.mfn)
    } else {
      const at = this.tryWritable(va)
      this.memory.u8.fill(0, at * 4, at * 4 + PAGE)
    }
    if (this.observer !== null) this.observer(this.frameAt(va), 0, SLOTS, 0, 0)
  }

  /** Word index of the page's bytes if ring 3 may store to it, else -1. For Xen's copies to a guest: no fault. */
  tryWritable(va: number): number {
    const slot = tlbSlot(va)
    const page = va - ((va >>> 0) & (PAGE - 1))
    if (this.tlb.writeTag[slot] === page) {
      if (this.memory.decoded !== null) this.memory.touchPage(this.tlb.words[slot] >>> 10)
      return this.tlb.words[slot]
    }
    const w = walk(this.memory, this.root, va, this.found)
    if (w.missing !== 0 || !w.user || !w.writable) return -1
    return this.cache(page, w, true)
  }

  private storeSlow(store: FaultingStore): void {
    const { va, bytes } = store
    const offset = (va >>> 0) & (PAGE - 1)
    const crosses = offset + bytes > PAGE
    if (!this.writableOrEmulated(store)) return
    // A store that crosses a page must be possible in both before either half happens.
    if (crosses && !this.writableOrEmulated({ ...store, va: va + (PAGE - offset) })) return
    let at = this.tryWritable(va) * 4 + offset
    for (let i = 0; i < bytes; i++) {
      if (offset + i === PAGE) at = this.tryWritable(va + i) * 4 - i
      this.memory.u8[at + i] = i < 4 ? store.lo >>> (8 * i) : store.hi >>> (8 * (i - 4))
    }
    if (this.observer !== null) this.observer(this.frameAt(va), offset >>> 3, 1, store.lo, store.hi)
  }

  /** True when the store may go ahead, false when Xen carried it out. */
  private writableOrEmulated(store: FaultingStore): boolean {
    while (this.tryWritable(store.va) === -1) {
      const present = this.found.missing === 0 ? PF_PRESENT : 0
      if (this.fault(store.va, PF_WRITE | present, store)) return false
    }
    return true
  }

  // ---- what both need ----

  /** Raise a page fault; true when Xen carried out the store. Ring 3 faults, so the CPU sets the user bit. */
  private fault(va: number, error: number, store: FaultingStore | undefined): boolean {
    const { missing } = this.found
    markPath(this.memory, this.found, missing === 0 ? 2 : missing + 1)
    // The CPU knows ring 3 only; the guest is told whether it was a process.
    const told = this.kernelMode ? error : error | PF_USER
    const outcome = this.host.pageFault(this, va, error | PF_USER, store)
    if (outcome === 'deliver') {
      this.faultAddress = va
      this.raise(VECTOR_PF, told, va)
    }
    return outcome === 'emulated'
  }

  private raise(vector: number, error: number, va: number): never {
    this.host.deliver(this, vector, error)
    throw new GuestTrap(vector, error, va)
  }

  private cache(page: number, w: Walk, store: boolean): number {
    const record = this.memory.record(w.mfn)
    markAccessed(this.memory, w, store)
    if (this.memory.isDevice(w.mfn, record)) return store ? this.memory.nowhere : this.memory.device(w.mfn)
    const words = this.memory.backing(record)
    // Where the dirty bit is not set yet, a load caches the page for loads only.
    this.tlb.fill(page, words, store || (w.writable && (w.lo & D) !== 0), w.at)
    return words
  }

  /** The frame that a mapped page has; for observers only. */
  private frameAt(va: number): number {
    return walk(this.memory, this.root, va, this.found).mfn
  }
}
