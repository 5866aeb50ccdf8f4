import { PAGE, vaHigh, vaOf } from '../bits/address.ts'
import type { FrameRange, Memory } from '../machine/memory.ts'
import type { StopFlag } from '../machine/stop-flag.ts'
import type { Instruction } from '../machine/vcpu/instruction.ts'
import { assist } from './assist/assist.ts'
import { type CpuidValues, cpuid } from './assist/cpuid.ts'
import { DebugRegisters } from './assist/debug-registers.ts'
import { CodeCache, LEAST_CODE_BYTES, STRADDLES } from './interpreter/code-cache.ts'
import { type Imports, instantiate } from './interpreter/interpreter.ts'
import { MemoryPort, type Watchpoint } from './memory/memory-port.ts'
import { SoftTlb } from './memory/soft-tlb.ts'
import type { RegionPage } from './region/blocks.ts'
import type { Compiled } from './region/compiled.ts'
import { Regions } from './region/regions.ts'
import { Registers } from './registers.ts'
import type { Site } from './site.ts'
import { EXIT, FIELD, IF, MAX_VCPUS, RECORD_BYTES, RF, STATE_BYTES, stateAt, TF } from './state.ts'
import type { Tier } from './tier.ts'

/**
 * Why the core came back. Its owner carries out what is not its own: system calls, privileged instructions, loads of
 * segment registers, and exceptions. rip is at the instruction, except after a system call and after a trap (vectors 1, 3
 * and 4), where it is behind.
 */
export type Exit =
  | { readonly reason: 'budget' }
  | { readonly reason: 'syscall' }
  | { readonly reason: 'privileged' | 'segment'; readonly instruction: Instruction }
  | {
      readonly reason: 'exception'
      readonly vector: number
      readonly error: number
      /** Of a page fault, the 48-bit address. */
      readonly va: number
    }
  | { readonly reason: 'breakpoint' }
  | { readonly reason: 'watchpoint'; readonly watchpoint: Watchpoint }

const BUDGET: Exit = { reason: 'budget' }
const SYSCALL: Exit = { reason: 'syscall' }

/**
 * Instructions between two returns from WebAssembly. V8 replaces a function that it has compiled quickly by a fast one when
 * it is entered, not while it runs.
 */
const SLICE = 200_000
/** Jumps to a place after which it is compiled. */
const THRESHOLD = 30_000

export const VECTOR_DB = 1
const VECTOR_GP = 13
const VECTOR_PF = 14

/** How a core executes its guest: nothing that the guest could see. */
export type CoreOptions = Pick<CpuOptions, 'tier' | 'threshold' | 'translations'>

export type CpuOptions = {
  /** Whether hot code is compiled; `region` where nothing is said. What a guest does is the same, to the instruction. */
  readonly tier?: Tier
  /** Jumps to a place after which it is compiled, at least 1. */
  readonly threshold?: number
  /** The most translations that its TLB keeps; all that it has room for where nothing is said. */
  readonly translations?: number
  /** Which vCPU's registers these are, 0 to 62. */
  readonly id?: number
  /** Bytes for decoded instructions, a multiple of 4096; 64 MiB, or an eighth of a small memory; at least LEAST_CODE_BYTES. */
  readonly codeBytes?: number
}

/**
 * An x86-64 processor in long mode and ring 3, over the machine's memory. It knows nothing of what it runs under: `run`
 * executes until the budget of instructions is used up or something is its owner's. A reset of the memory, or a restore, ends
 * its life.
 */
export class Cpu extends Registers {
  readonly memory: Memory
  readonly port: MemoryPort
  readonly tlb: SoftTlb
  readonly debug = new DebugRegisters()
  /** Instructions executed so far: the virtual clock. One repeat of a string instruction counts as one. */
  instructions = 0
  /** What is added to the count to give the time stamp counter, in ticks. */
  tscOffset = 0
  /** What cpuid answers. */
  cpuid: (leaf: number, subleaf: number) => CpuidValues = cpuid
  /** Pages of the machine's memory that are the core's own, for its tables: nothing that a guest could see. */
  readonly ownPages: FrameRange
  private readonly cache: CodeCache
  private readonly regions: Regions
  private readonly execute: (state: number) => number
  private slice = 0
  /** What `stop` took from the slice. */
  private stopped = 0
  private breakpoints = new Set<number>()
  /** A breakpoint that execution has stopped at: the next `run` passes it. */
  private passing = -1

  constructor(memory: Memory, options: CpuOptions = {}) {
    const id = options.id ?? 0
    if (id < 0 || id >= MAX_VCPUS) throw new RangeError(`a machine has at most ${MAX_VCPUS} vCPUs`)
    super(memory, stateAt(id))
    this.memory = memory
    this.words.fill(0, this.state >> 2, (this.state + STATE_BYTES) >> 2)
    const firstPage = memory.used / PAGE
    this.tlb = new SoftTlb(memory, options.translations)
    const eighth = Math.floor(memory.u8.length / 8 / PAGE) * PAGE
    const size = Math.max(LEAST_CODE_BYTES, Math.min(2 ** 26, options.codeBytes ?? eighth))
    const views = { u8: memory.u8, u16: new Uint16Array(memory.wasm.buffer), i32: memory.i32 }
    this.cache = new CodeCache(memory, views, this.state, size)
    const pageAt = (va: number): RegionPage | null => this.codePageAt(va)
    const threshold = options.threshold ?? THRESHOLD
    const effort = (): number => this.obey()
    this.regions = new Regions({ memory, cache: this.cache, threshold, pageAt, effort })
    this.ownPages = { start: firstPage, end: memory.used / PAGE }
    memory.addCodeWatcher({
      becomesCode: (page) => this.tlb.protect(page),
      touched: (page) => {
        // What is being executed goes on to its end; what follows is decoded anew.
        if (this.cache.drop(page)) this.stop()
      },
      isDecoded: (page, offset, bytes) => this.cache.isDecoded(page, offset, bytes),
    })
    this.cache.onFlush = () => {
      this.tlb.flushCode()
      this.regions.restAll()
    }
    this.cache.onDrop = (page) => this.regions.drop(page)
    this.port = new MemoryPort(memory, this.state, this.tlb)
    this.port.stop = () => this.stop()
    this.port.site = () => this.cache.siteOf(this.word(FIELD.record))
    this.setWord(FIELD.tlb, this.tlb.data)
    this.setWord(FIELD.codeTlb, this.tlb.code)
    this.setWord(FIELD.hot, this.regions.counters)
    this.setWord(FIELD.mxcsr, 0x1f80)
    this.setWord(FIELD.controlWord, 0x37f)
    this.setFlags(IF | 2)
    const imports: Imports = {
      translate: (access, bytes) => {
        this.obey()
        return this.port.translate(access, bytes)
      },
      commit: () => (this.port.commit() ? 1 : 0),
      enter: () => {
        // Since `run` began, the instruction that it passes a breakpoint at has been executed.
        this.passing = -1
        this.obey()
        return this.enter()
      },
      assist: () => {
        this.obey()
        return assist(this, this.site())
      },
      effort,
      hot: (entry) => {
        const lo = this.word(FIELD.page) + (entry - this.word(FIELD.map)) / 4
        this.regions.hot(entry, vaOf(lo, this.word(FIELD.page + 4)), this.instructions)
        return 0
      },
    }
    const counts = (options.tier ?? 'region') === 'region'
    this.execute = instantiate(memory.wasm, imports, { table: this.regions.table, counts })
  }

  /** What has been compiled so far; all zeros with `tier: 'interpreter'`. */
  get compiled(): Compiled {
    return this.regions.compiled
  }

  /** The page that code at a page's address lies in, where instructions were decoded from it; no sign of an access. */
  private codePageAt(va: number): RegionPage | null {
    const page = this.port.codePage(va)
    const map = page === -1 ? 0 : this.cache.knownMap(page)
    return map === 0 ? null : { va, page, map }
  }

  /**
   * Compile regions that begin at 48-bit addresses, as one module, however seldom code has come there. Each is looked up when it
   * is asked for.
   */
  compileAt(places: Iterable<{ readonly va: number }>): void {
    this.regions.compile(this.decoded(places), { isWarm: () => true, least: 1, isEach: true })
  }

  private *decoded(places: Iterable<{ readonly va: number }>): Generator<number> {
    for (const { va } of places) {
      this.cache.begin()
      const page = this.port.codePage(va - (va % PAGE))
      if (page === -1) continue
      if (this.cache.recordAt(this.cache.mapOf(page), va % PAGE) === 0) this.cache.decodeAt(page, va % PAGE)
      yield va
    }
  }

  /** Frame of the L4 in use. A new one leaves no translation. */
  get root(): number {
    return this.port.root
  }

  set root(mfn: number) {
    this.port.root = mfn
    this.tlb.flush()
  }

  /** The time stamp counter, in ticks: one for each instruction. Exact inside an instruction, too. */
  get tsc(): number {
    return this.instructions + this.inSlice() + this.tscOffset
  }

  private inSlice(): number {
    return this.slice === 0 ? 0 : this.slice - this.word(FIELD.left) - this.stopped
  }

  // ---- stopping ----

  /** Addresses at which `run` stops before the instruction, 48 bits each. */
  setBreakpoints(addresses: Iterable<number>): void {
    this.breakpoints = new Set(addresses)
    this.updateStops()
  }

  /** Accesses after which `run` stops. */
  setWatchpoints(points: readonly Watchpoint[]): void {
    this.watchpoints = points
    this.updateStops()
  }
  private watchpoints: readonly Watchpoint[] = []

  /** A debug register: two halves. */
  debugRegister(n: number): readonly [lo: number, hi: number] {
    return [this.debug.words[n * 2], this.debug.words[n * 2 + 1]]
  }

  /** Set a debug register, whose break- and watchpoints end in #DB. */
  setDebugRegister(n: number, lo: number, hi: number): void {
    this.debug.set(n, lo, hi)
    this.updateStops()
  }

  private updateStops(): void {
    const places = [...this.breakpoints, ...this.debug.breakpoints()]
    this.cache.breakpoints = new Set(places.map((va) => va % PAGE))
    this.cache.forget()
    this.stop()
    this.port.watchpoints = [...this.watchpoints, ...this.debug.watchpoints()]
    this.tlb.flush()
  }

  /** End the slice after the instruction that is being executed. */
  stop(): void {
    const left = this.word(FIELD.left)
    this.stopped += left
    this.setWord(FIELD.left, 0)
  }

  /** By what somebody on another thread ends the run: looked at wherever an instruction takes long. */
  stopFlag: StopFlag | null = null

  private obey(): number {
    if (this.stopFlag?.isSet !== true) return 0
    this.stop()
    return 1
  }

  /** Somebody else than this core stored to a page of the machine's memory. */
  codeWritten(page: number): void {
    this.memory.touchPage(page)
  }

  // ---- running ----

  /** Execute at most `budget` instructions; fewer when the stop flag is set. */
  run(budget: number): Exit {
    let left = budget
    while (left > 0) {
      if (this.regions.isDue(this.instructions)) this.regions.compileWanted()
      const isStepping = (this.word(FIELD.otherFlags) & TF) !== 0
      this.slice = isStepping ? 1 : Math.min(left, SLICE)
      this.stopped = 0
      this.setWord(FIELD.left, this.slice)
      const record = this.enter()
      this.setWord(FIELD.record, record)
      const reason = record === 0 ? EXIT.exception : this.execute(this.state)
      const done = this.inSlice()
      this.slice = 0
      left -= done
      this.instructions += done
      if (done > 0) this.passing = this.isRepeating() ? vaOf(this.ripLow, this.ripHigh) : -1
      if (reason !== EXIT.budget) {
        const exit = this.exitOf(reason)
        if (exit !== null) return exit
      }
      const watched = this.watched()
      if (watched !== null) return watched
      if (isStepping && done === 1) return this.singleStep()
      if (this.stopFlag?.isSet === true) return BUDGET
    }
    return BUDGET
  }

  /** Whether a slice has ended between two repeats of a string instruction with a breakpoint, which is behind it. */
  private isRepeating(): boolean {
    return this.cache.isBreakpoint(this.word(FIELD.record) - RECORD_BYTES)
  }

  private exitOf(reason: number): Exit | null {
    switch (reason) {
      case EXIT.syscall:
        return this.systemCall()
      case EXIT.privileged:
        return { reason: 'privileged', instruction: this.site().instruction }
      case EXIT.segment:
        return { reason: 'segment', instruction: this.site().instruction }
      case EXIT.breakpoint:
        return this.atBreakpoint()
      default: {
        // The instruction did not happen; it will meet its watchpoint again.
        this.port.hit = null
        const vector = this.word(FIELD.vector)
        const va = vector === VECTOR_PF ? this.port.faultAddress : 0
        return { reason: 'exception', vector, error: this.word(FIELD.errorCode), va }
      }
    }
  }

  /** The architecture's part of SYSCALL: rcx and r11 take rip and rflags. */
  private systemCall(): Exit {
    this.instructions++
    const lo = this.ripLow + 2
    this.setRip(lo >>> 0, lo > 0xffff_ffff ? this.ripHigh + 1 : this.ripHigh)
    this.setRegister(1, this.ripLow, this.ripHigh)
    this.setRegister(11, this.getFlags() & ~RF, 0)
    return SYSCALL
  }

  /** The instruction that somebody outside carries out: an assist while it runs, the owner after an exit. */
  site(): Site {
    return this.cache.keptSite(this.word(FIELD.record))
  }

  private atBreakpoint(): Exit | null {
    const va = vaOf(this.ripLow, this.ripHigh)
    const isOwn = this.breakpoints.has(va)
    const isDebug = this.debug.isBreakpoint(va) && (this.word(FIELD.otherFlags) & RF) === 0
    this.passing = va
    if (isOwn) return { reason: 'breakpoint' }
    if (!isDebug) return null
    this.debug.hitBreakpoint(va)
    return { reason: 'exception', vector: VECTOR_DB, error: 0, va: 0 }
  }

  private watched(): Exit | null {
    const { hit } = this.port
    if (hit === null) return null
    this.port.hit = null
    if (!this.debug.hitWatchpoint(hit)) return { reason: 'watchpoint', watchpoint: hit }
    return { reason: 'exception', vector: VECTOR_DB, error: 0, va: 0 }
  }

  private singleStep(): Exit {
    this.debug.hitSingleStep()
    return { reason: 'exception', vector: VECTOR_DB, error: 0, va: 0 }
  }

  /** The interpreter's import: the record at rip, whose page becomes the running one; 0 after a fault. */
  private enter(): number {
    const lo = this.ripLow
    const hi = this.ripHigh
    const va = vaOf(lo, hi)
    if (va === -1) {
      this.port.setException(VECTOR_GP, 0)
      return 0
    }
    // Nothing is being executed: what the walks below may change is looked at behind them, and ends no slice.
    this.setWord(FIELD.map, 0)
    this.cache.begin()
    const page = this.port.fetch(va)
    if (page === -1) return 0
    const offset = lo & (PAGE - 1)
    const map = this.cache.mapOf(page)
    const pageLow = (lo & ~(PAGE - 1)) >>> 0
    this.tlb.fillCode(pageLow, hi, map, this.port.lastEntry)
    this.setWord(FIELD.page, pageLow)
    this.setWord(FIELD.page + 4, hi)
    let record = this.cache.recordAt(map, offset)
    if (record === 0) record = this.cache.decodeAt(page, offset)
    if (record === STRADDLES || this.cache.isBeyond(record)) {
      const next = this.nextPage(va)
      if (next === -1) return 0
      // Looked for once more: the walk to the next page may have changed this one, if it is a page table, too.
      record = this.cache.straddlerAt(page, offset, next)
    }
    this.setWord(FIELD.map, map)
    if (this.passing === va && this.cache.isBreakpoint(record)) record += RECORD_BYTES
    return record
  }

  /** The page behind that of `va`, for an instruction that reaches into it; -1 after a fault. */
  private nextPage(va: number): number {
    const next = (va - (va % PAGE) + PAGE) % 2 ** 48
    if (next === 2 ** 47) {
      // Behind the lower half of the addresses lies nothing.
      this.port.setException(VECTOR_GP, 0)
      return -1
    }
    const page = this.port.fetch(next)
    if (page === -1) return -1
    this.tlb.fillCode(next >>> 0, vaHigh(next), this.cache.mapOf(page), this.port.lastEntry)
    return page
  }
}
