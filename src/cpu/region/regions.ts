import type { Memory } from '../../machine/memory.ts'
import { ModuleBuilder } from '../../wasm/wasm-module.ts'
import type { CodeCache } from '../interpreter/code-cache.ts'
import { HOT_BYTES } from '../state.ts'
import { type Blocks, type CodeSource, findBlocks, type RegionPage } from './blocks.ts'
import type { Compiled } from './compiled.ts'
import { regionFunction } from './region-function.ts'

/** A compiled region: where it is entered, what it was made from, and its place in the table of functions. */
type Region = {
  readonly page: number
  readonly offset: number
  /** Address of the record that leads to it. */
  readonly marker: number
  readonly place: number
  readonly pages: readonly number[]
  readonly bytes: number
}

/** A function of a module that is being made. */
type Made = { readonly blocks: Blocks; readonly offset: number }

/** What the regions of a core are made from and for. */
export type RegionsOptions = {
  readonly memory: Memory
  readonly cache: CodeCache
  /** Arrivals of jumps after which a place is hot. */
  readonly threshold: number
  /** The page that code at a 48-bit address lies in, as the tables have it now, or null. */
  readonly pageAt: (va: number) => RegionPage | null
}

const PAGE = 4096
/** A place that is asked for once and not again: what it takes to count down to 0. */
const NEVER = 0x7fff_ffff
/**
 * Regions that are compiled as one module when they are waiting, and how long one waits for others: instructions for each jump
 * that makes a place hot.
 */
const BATCH = 24
const PATIENCE = 400
/** Bytes of modules from which on everything compiled is dropped. */
const MOST_BYTES = 48 * 2 ** 20
const FIRST_PLACES = 1024

/**
 * The compiled regions of a core. Jumps are counted by the interpreter; where many arrive, a region is wanted, and those
 * that are wanted are compiled together, between two slices. A region begins at a record of its own, which the table of its
 * page leads to in place of the plain one. It ends with any page that it was made from.
 */
export class Regions {
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: FIRST_PLACES })
  /** Address of the counters of jumps. */
  readonly counters: number
  readonly compiled: Compiled = { blocks: 0, regions: 0, bytes: 0, milliseconds: 0 }
  private readonly options: RegionsOptions
  private readonly wanted = new Map<number, { va: number; since: number }>()
  private readonly byPage = new Map<number, Set<Region>>()
  private readonly byPlace = new Map<number, Region>()
  private readonly free: number[] = []
  private used = 0

  constructor(options: RegionsOptions) {
    this.options = options
    this.counters = options.memory.takePages(HOT_BYTES / PAGE) * PAGE
    options.memory.i32.fill(options.threshold, this.counters >> 2, (this.counters + HOT_BYTES) >> 2)
  }

  /** Word index of the counter for an entry of a page's table: the hash that the interpreter's emitter computes, too. */
  private counterOf(entry: number): number {
    return (this.counters + ((entry ^ (entry >>> 14)) & (HOT_BYTES - 4))) >>> 2
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
    this.compile(places, (va) => this.isWarm(va))
  }

  private isWarm(va: number): boolean {
    const page = this.options.pageAt(va - (va % PAGE))
    if (page === null) return false
    const left = this.options.memory.i32[this.counterOf(page.map + (va % PAGE) * 4)]
    return left > this.options.threshold || left < this.options.threshold - (this.options.threshold >> 5)
  }

  // ---- compiling ----

  /** Compile regions that begin at 48-bit addresses, as one module. */
  compile(places: readonly number[], isWarm: (va: number) => boolean): void {
    const started = performance.now()
    const { memory, cache, pageAt } = this.options
    if (this.compiled.bytes > MOST_BYTES) this.clear()
    const source: CodeSource = {
      bytes: memory.u8,
      pageAt,
      isWarm,
      isReserved: (offset) => cache.breakpoints.has(offset),
    }
    const module = new ModuleBuilder()
    const made: Made[] = []
    for (const va of places) {
      const blocks = findBlocks(source, va)
      if (blocks === null || !cache.canLead(blocks.pages[0].map, va % PAGE)) continue
      module.function(`${made.length}`, { parameters: ['i32'], result: 'i32' }, regionFunction(blocks))
      made.push({ blocks, offset: va % PAGE })
    }
    if (made.length > 0) this.install(module.bytes(), made)
    this.compiled.milliseconds += performance.now() - started
  }

  private install(bytes: Uint8Array<ArrayBuffer>, made: readonly Made[]): void {
    const { memory, cache } = this.options
    const env = { memory: memory.wasm }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env })
    for (const [n, { blocks, offset }] of made.entries()) {
      const [first] = blocks.pages
      const place = this.takePlace()
      const marker = cache.lead(first.map, offset, place)
      if (marker === 0) {
        this.free.push(place)
        continue
      }
      this.table.set(place, instance.exports[`${n}`])
      const pages = [...new Set(blocks.pages.map(({ page }) => page))]
      this.add({ page: first.page, offset, marker, place, pages, bytes: bytes.length / made.length })
      this.compiled.blocks += blocks.all.length
      for (const block of blocks.all) {
        const { page } = blocks.pages[block.page]
        for (const { va, instruction } of block.steps) cache.markCompiled(page, va % PAGE, instruction.length)
      }
    }
  }

  private add(region: Region): void {
    this.byPlace.set(region.place, region)
    for (const page of region.pages) {
      const known = this.byPage.get(page)
      if (known === undefined) this.byPage.set(page, new Set([region]))
      else known.add(region)
    }
    this.compiled.regions++
    this.compiled.bytes += region.bytes
  }

  private takePlace(): number {
    const known = this.free.pop()
    if (known !== undefined) return known
    if (this.used === this.table.length) this.table.grow(this.table.length)
    return this.used++
  }

  // ---- dropping ----

  /** A page with code of theirs has changed. */
  drop(page: number): void {
    const regions = this.byPage.get(page)
    if (regions === undefined) return
    for (const region of regions) this.remove(region)
  }

  private remove(region: Region): void {
    this.options.cache.unlead(region.page, region.offset, region.marker)
    for (const page of region.pages) {
      const others = this.byPage.get(page)
      others?.delete(region)
      if (others?.size === 0) this.byPage.delete(page)
    }
    this.byPlace.delete(region.place)
    this.table.set(region.place, null)
    this.free.push(region.place)
    this.compiled.bytes -= region.bytes
  }

  /** All records are forgotten. */
  clear(): void {
    for (const region of this.byPlace.values()) this.remove(region)
    this.wanted.clear()
    this.options.memory.i32.fill(this.options.threshold, this.counters >> 2, (this.counters + HOT_BYTES) >> 2)
  }
}
