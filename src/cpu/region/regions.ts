import type { Memory } from '../../machine/memory.ts'
import { ModuleBuilder } from '../../wasm/wasm-module.ts'
import type { CodeCache } from '../interpreter/code-cache.ts'
import { HOT_BYTES } from '../state.ts'
import { type Blocks, type CodeSource, findBlocks, MOST_PAGES, type RegionPage } from './blocks.ts'
import type { Compiled } from './compiled.ts'
import { codeOf, isSameCode, type RegionCode } from './region-code.ts'
import { regionFunction } from './region-function.ts'

/** A compiled region: where it is entered, what it was made from, and its place in the table of functions. */
type Region = {
  readonly va: number
  readonly place: number
  readonly code: RegionCode
  readonly bytes: number
  /** While it can be entered: the record that leads to it, and the pages of the machine's memory that its code lies in. */
  entry: { readonly record: number; readonly pages: readonly number[] } | null
}

/** What the regions of a core are made from and for. */
export type RegionsOptions = {
  readonly memory: Memory
  readonly cache: CodeCache
  /** Arrivals of jumps after which a place is hot. */
  readonly threshold: number
  /** The page that code at a 48-bit address lies in, as the tables have it now, or null. */
  readonly pageAt: (va: number) => RegionPage | null
  /** Called where an instruction has taken long: 1 when the slice is to end. */
  readonly effort: () => number
}

const PAGE = 4096
/** A place that is asked for once and not again: what it takes to count down to 0. */
const NEVER = 0x7fff_ffff
/**
 * Regions that are compiled as one module when they are waiting, and how long one waits for others: instructions for each jump
 * that makes a place hot.
 */
const BATCH = 24
const PATIENCE = 100
/** What is kept at most: regions, and bytes of their modules, which the engine makes several times as much of. */
const MOST_REGIONS = 8192
const MOST_BYTES = 16 * 2 ** 20
const MOST_IN_MODULE = 256
/** Instructions that a region has at least, if it does not jump back. */
const LEAST_STEPS = 6
/** Of each region, the addresses of the tables of its pages, which its code takes from there. */
const CELLS_BYTES = MOST_PAGES * 4

/** What is compiled. */
type Choice = {
  /** Whether jumps go to an address, so that its block is part of a region. */
  readonly isWarm: (va: number) => boolean
  /** Instructions that a region has at least. */
  readonly least: number
  /** Whether places have a region of their own that are part of another one. */
  readonly isEach: boolean
}

/** What is over sooner than it is entered is no gain: a return, say, that many functions share. */
function isTooShort({ all }: Blocks, least: number): boolean {
  const steps = all.reduce((sum, block) => sum + block.steps.length, 0)
  return steps < least && !all.some(({ va, taken }) => taken?.block != null && taken.va <= va)
}

/**
 * The compiled regions of a core. Jumps are counted by the interpreter; where many arrive, a region is wanted, and those
 * that are wanted are compiled together, between two slices. A region begins at a record of its own, which the table of its
 * page leads to in place of the plain one.
 *
 * When a page changes that a region was made from, or all that was decoded is forgotten, it is entered no more. It is kept: a
 * place that is hot again, with the same bytes, needs no compiler.
 */
export class Regions {
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: MOST_REGIONS })
  /** Address of the counters of jumps. */
  readonly counters: number
  readonly compiled: Compiled = { blocks: 0, regions: 0, bytes: 0, milliseconds: 0 }
  private readonly options: RegionsOptions
  private readonly cells: number
  private readonly wanted = new Map<number, { va: number; since: number }>()
  /** Those that can be entered, by the pages of the machine's memory that they were made from. */
  private readonly byPage = new Map<number, Set<Region>>()
  /** Those that cannot, by the address that they begin at. */
  private readonly resting = new Map<number, Region>()
  private readonly free: number[] = []
  private used = 0

  constructor(options: RegionsOptions) {
    const { memory } = options
    this.options = options
    this.counters = memory.takePages(HOT_BYTES / PAGE) * PAGE
    this.cells = memory.takePages((MOST_REGIONS * CELLS_BYTES) / PAGE) * PAGE
    this.countAnew()
  }

  /** Word index of the counter for an entry of a page's table: the hash that the interpreter's emitter computes, too. */
  private counterOf(entry: number): number {
    return (this.counters + ((entry ^ (entry >>> 14)) & (HOT_BYTES - 4))) >>> 2
  }

  private countAnew(): void {
    const { memory, threshold } = this.options
    memory.i32.fill(threshold, this.counters >>> 2, (this.counters + HOT_BYTES) >>> 2)
  }

  // ---- what is hot ----

  /** The interpreter's import: many jumps have come to the address behind an entry of a page's table. */
  hot(entry: number, va: number, now: number): void {
    this.options.memory.i32[this.counterOf(entry)] = NEVER
    this.wanted.set(entry, { va, since: now })
  }

  /** Whether what is wanted should be compiled, after so many instructions. */
  isDue(now: number): boolean {
    if (this.wanted.size === 0) return false
    if (this.wanted.size >= BATCH) return true
    const [first] = this.wanted.values()
    return now - first.since >= PATIENCE * (this.options.threshold - 1)
  }

  /** Compile what is wanted. Nobody may have a record in hand. */
  compileWanted(): void {
    const places = [...this.wanted.values()].map(({ va }) => va)
    this.wanted.clear()
    this.compile(places, {
      isWarm: (va) => this.isWarm(va),
      least: Math.min(LEAST_STEPS, this.options.threshold),
      isEach: false,
    })
  }

  /** Whether jumps have come to an address, an eighth of what makes it hot at least. */
  private isWarm(va: number): boolean {
    const { pageAt, memory, threshold } = this.options
    const page = pageAt(va - (va % PAGE))
    if (page === null) return false
    const left = memory.i32[this.counterOf(page.map + (va % PAGE) * 4)]
    return left > threshold || left < threshold - (threshold >> 3)
  }

  // ---- compiling ----

  /** Have regions begin at 48-bit addresses; those that have to be compiled are one module. */
  compile(places: Iterable<number>, choice: Choice): void {
    const started = performance.now()
    this.makeRoom()
    const module = new ModuleBuilder()
    const effort = module.import('effort', { parameters: [], result: 'i32' })
    const made: { blocks: Blocks; place: number }[] = []
    for (const blocks of this.find(places, choice)) {
      const place = this.takePlace()
      const type = { parameters: ['i32'], result: 'i32' } as const
      module.function(`${place}`, type, regionFunction(blocks, { cells: this.cellsOf(place), effort }))
      made.push({ blocks, place })
    }
    if (made.length > 0) this.install(module.bytes(), made)
    this.compiled.milliseconds += performance.now() - started
  }

  /** What is to be compiled; each place is looked at when it is asked for. */
  private find(places: Iterable<number>, { isWarm, least, isEach }: Choice): readonly Blocks[] {
    const { memory, cache, pageAt } = this.options
    const isReserved = (offset: number): boolean => cache.breakpoints.has(offset)
    const source: CodeSource = { bytes: memory.u8, pageAt, isWarm, isReserved }
    const found: Blocks[] = []
    for (const va of places) {
      if (found.length === MOST_IN_MODULE) break
      if (this.wake(va)) continue
      const blocks = findBlocks(source, va)
      if (blocks === null || isTooShort(blocks, least)) continue
      if (cache.canLead(blocks.pages[0].map, va % PAGE)) found.push(blocks)
    }
    return isEach ? found : this.withoutRepeats(found)
  }

  /** A place that lies in a larger region may be hot for its sake alone: it has to be so once more, for a while. */
  private withoutRepeats(found: readonly Blocks[]): readonly Blocks[] {
    const seen = new Set<number>()
    return found
      .toSorted((a, b) => b.all.length - a.all.length)
      .filter(({ entry, all, pages }) => {
        if (seen.has(entry.va)) {
          this.countShort(pages[0].map + (entry.va % PAGE) * 4)
          return false
        }
        for (const { va } of all) seen.add(va)
        return true
      })
  }

  private cellsOf(place: number): number {
    return this.cells + place * CELLS_BYTES
  }

  private install(
    bytes: Uint8Array<ArrayBuffer>,
    made: readonly { readonly blocks: Blocks; readonly place: number }[],
  ): void {
    const { memory, effort } = this.options
    const env = { memory: memory.wasm, effort }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env })
    for (const { blocks, place } of made) {
      this.table.set(place, exports[`${place}`])
      const region: Region = {
        va: blocks.entry.va,
        place,
        code: codeOf(memory.u8, blocks),
        bytes: Math.round(bytes.length / made.length),
        entry: null,
      }
      this.compiled.regions++
      this.compiled.blocks += blocks.all.length
      this.compiled.bytes += region.bytes
      if (!this.enable(region, blocks.pages)) this.forget(region)
    }
  }

  /** Let a region be entered, whose code lies in these pages now. */
  private enable(region: Region, pages: readonly RegionPage[]): boolean {
    const { memory, cache } = this.options
    // What was decoded may have been forgotten since.
    if (pages.some(({ page, map }) => cache.knownMap(page) !== map)) return false
    const record = cache.lead(pages[0].map, region.va % PAGE, region.place)
    if (record === 0) return false
    for (const [n, { map }] of pages.entries()) memory.u32[(this.cellsOf(region.place) >>> 2) + n] = map
    for (const { page, offset, bytes } of region.code.pieces) {
      cache.markCompiled(pages[page].page, offset, bytes.length)
    }
    region.entry = { record, pages: [...new Set(pages.map(({ page }) => page))] }
    for (const page of region.entry.pages) {
      const known = this.byPage.get(page)
      if (known === undefined) this.byPage.set(page, new Set([region]))
      else known.add(region)
    }
    return true
  }

  /** Let a region be entered again that was made from the bytes that are at an address now. */
  private wake(va: number): boolean {
    const region = this.resting.get(va)
    const { memory, cache, pageAt } = this.options
    if (region === undefined || cache.breakpoints.size > 0) return false
    const pages: RegionPage[] = []
    for (const start of region.code.pages) {
      const page = pageAt(start)
      if (page === null) return false
      pages.push(page)
    }
    if (!isSameCode(memory.u8, region.code, pages) || !this.enable(region, pages)) return false
    this.resting.delete(va)
    return true
  }

  // ---- an end ----

  /** A page with code of theirs has changed. */
  drop(page: number): void {
    for (const region of this.byPage.get(page) ?? []) this.rest(region)
  }

  /** All records are forgotten. */
  restAll(): void {
    for (const regions of this.byPage.values()) for (const region of regions) this.rest(region)
    this.wanted.clear()
    this.countAnew()
  }

  private rest(region: Region): void {
    const { entry, va } = region
    if (entry === null) return
    this.options.cache.unlead(entry.pages[0], va % PAGE, entry.record)
    for (const page of entry.pages) {
      const others = this.byPage.get(page)
      others?.delete(region)
      if (others?.size === 0) this.byPage.delete(page)
    }
    region.entry = null
    const other = this.resting.get(va)
    if (other !== undefined) this.forget(other)
    this.resting.set(va, region)
    const map = this.options.cache.knownMap(entry.pages[0])
    if (map !== 0) this.countShort(map + (va % PAGE) * 4)
  }

  /** What was hot is so again soon. */
  private countShort(entry: number): void {
    const { memory, threshold } = this.options
    memory.i32[this.counterOf(entry)] = Math.max(1, threshold >> 5)
  }

  private forget(region: Region): void {
    if (this.resting.get(region.va) === region) this.resting.delete(region.va)
    this.table.set(region.place, null)
    this.free.push(region.place)
    this.compiled.bytes -= region.bytes
  }

  /** Room for one more module: what rests is forgotten first, and then all. */
  private makeRoom(): void {
    const isFull = (): boolean =>
      this.used - this.free.length + MOST_IN_MODULE > MOST_REGIONS || this.compiled.bytes > MOST_BYTES
    if (!isFull()) return
    for (const region of [...this.resting.values()]) this.forget(region)
    if (!isFull()) return
    this.restAll()
    for (const region of [...this.resting.values()]) this.forget(region)
  }

  private takePlace(): number {
    return this.free.pop() ?? this.used++
  }
}
