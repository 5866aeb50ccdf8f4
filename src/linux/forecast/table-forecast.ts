import { PAGE, slotAt, TWO_32 } from '../../bits/address.ts'
import type { E820Entry } from '../../xen/abi.ts'
import type { KernelStage } from '../kernel.ts'
import type { BootMemory } from '../memory/bootmem.ts'
import { anyMapped } from '../memory/e820.ts'
import type { Memblock } from '../memory/memblock.ts'
import { findDmaReserve, initZones, sparseInit } from '../memory/sparse-init.ts'
import { type PfnRange, xenMemorySetup } from '../memory/xen-memory-setup.ts'
import { NODE_DATA_PAGES } from '../setup-arch.ts'
import { SYMBOLS } from '../symbols.ts'
import { bufferPages } from '../tables/early-tables.ts'
import { markStep } from '../tables/mark-rw-past-pgt.ts'
import { newMarkState } from '../tables/mark-state.ts'
import {
  earlyMemory,
  type ForecastInput,
  GIB,
  losesTables,
  next,
  nodeDataPlace,
  REGION,
  reserveTrampolines,
} from './forecast-memory.ts'

/** How the early tables come out: `pfn` is the page it ends at, `call` the call of init_memory_mapping. */
export type Forecast =
  | { readonly end: 'booted' }
  | { readonly end: 'pin-refused'; readonly pfn: number; readonly call: number }
  | { readonly end: 'live-table'; readonly pfn: number; readonly call: number }
  | { readonly end: 'read-only'; readonly pfn: number; readonly stage: KernelStage }
  | { readonly end: 'taken-back'; readonly pfn: number }
  | { readonly end: 'panic'; readonly message: string }

/** Ends the forecast where the boot would end. */
class Ended extends Error {
  readonly forecast: Forecast
  constructor(forecast: Forecast) {
    super(forecast.end)
    this.forecast = forecast
  }
}

/**
 * Forecast how the early tables of generations with a buffer come out, without writing an entry. Whether a boot is refused
 * follows from which page becomes a table when, and which regions of 2 MiB have been filled by then: 512 entries are looked
 * at as one. Everything that decides where things go is the kernel's own code: the memory map, memblock, the sizing.
 *
 * It is silent on what depends on single entries: null for a generation without a buffer (E), for `memtest=`, where the direct
 * map covers frames of the machine, given in `denied` (bytes), that the domain may not map, and where the kernel loses its
 * own tables because the map has no RAM under them.
 */
export function forecastTables(
  input: ForecastInput,
  denied: readonly { readonly start: number; readonly end: number }[],
): Forecast | null {
  const { generation, commandLine } = input
  if (generation.placement === 'brk' || generation.released !== 'for-good') return null
  if (/(?:^|\s)memtest=/.test(commandLine)) return null
  const forecast = new TableForecast(input)
  if (forecast.maps(denied) || losesTables(input, forecast.identity)) return null
  try {
    forecast.run()
    return { end: 'booted' }
  } catch (ended) {
    if (ended instanceof Ended) return ended.forecast
    throw ended
  }
}

class TableForecast {
  readonly identity: readonly PfnRange[]
  private readonly maxPfn: number
  private readonly input: ForecastInput
  private readonly e820: readonly E820Entry[]
  private readonly memblock: Memblock
  private readonly maxLowPfn: number
  /** Regions that tables map from the start: Xen's, and the four of the brk. */
  private readonly premapped: number
  private readonly mark = newMarkState()
  private readonly buffer = { start: 0, end: 0, top: 0 }
  private call = 0
  /** For each region filled by the running call: where the buffer's used part ended at that moment. */
  private filled = new Map<number, number>()
  /** The GiB and the 512 GiB whose tables are not linked yet. */
  private openGib = -1
  private openL3 = -1
  /** Tails [from, to) that are mapped read-only and free. */
  private tails: PfnRange[] = []
  /** Pages that are tables of the vmemmap. */
  private mapTables: readonly number[] = []
  private stage: KernelStage = 'setup_node_bootmem'

  constructor(input: ForecastInput) {
    this.input = input
    const { generation, nrPages, mfnList, ptBase, dom0, rawMap } = input
    const setup = xenMemorySetup({ rawMap, nrPages, dom0, generation, mfnList, ptBase })
    this.identity = setup.identity
    const memory = earlyMemory(input, setup)
    this.e820 = memory.e820
    this.memblock = memory.memblock
    this.maxPfn = memory.maxPfn
    this.maxLowPfn = memory.maxLowPfn
    this.premapped = memory.premapped
  }

  /** Whether the direct map gets entries for frames of the machine in these ranges (bytes, below 4 GiB). */
  maps(ranges: readonly { readonly start: number; readonly end: number }[]): boolean {
    return this.identity.some((range) =>
      ranges.some(
        ({ start, end }) => start < Math.min(range.end, this.maxLowPfn) * PAGE && end > range.start * PAGE,
      ),
    )
  }

  run(): void {
    const { memblock, maxLowPfn, maxPfn } = this
    if (!reserveTrampolines(memblock)) panic('Cannot allocate trampoline')
    const { firstMapped } = this.input.generation
    const first =
      firstMapped === 'mfn-list' ? Math.floor(this.input.mfnList / PAGE) : this.premapped * REGION - 1
    this.initMemoryMapping(0, maxLowPfn, first)
    if (maxPfn > maxLowPfn) this.initMemoryMapping(TWO_32 / PAGE, maxPfn, maxLowPfn)
    this.nodeData()
    this.paging()
    this.postAllocator()
  }

  /** One call of init_memory_mapping, in frames. */
  private initMemoryMapping(start: number, end: number, mapped: number): void {
    const { memblock, buffer } = this
    const { generation } = this.input
    this.call++
    const pages = bufferPages(generation, start * PAGE, end * PAGE)
    const highest = generation.placement === 'high' ? end : mapped
    const base = memblock.findInRange(generation.searchFrom, highest * PAGE, pages * PAGE, PAGE)
    if (base === null) panic('Cannot find space for the kernel page tables')
    Object.assign(buffer, { start: base / PAGE, end: base / PAGE, top: base / PAGE + pages })
    this.filled = new Map()
    for (let at = start; at < end; at = next(at, GIB * 512))
      this.mapL3(at, Math.min(next(at, GIB * 512), end))
    if (buffer.end > buffer.start) this.reserve()
  }

  /** 512 GiB: the L3 of the first exists. */
  private mapL3(start: number, end: number): void {
    const isNew = start >= GIB * 512
    if (isNew) {
      this.takeTable()
      this.openL3 = Math.floor(start / (GIB * 512))
    } else this.openExisting()
    for (let at = start; at < end; at = next(at, GIB)) {
      const gib = at - (at % GIB)
      if (anyMapped(this.e820, gib * PAGE, (gib + GIB) * PAGE)) this.mapL2(at, Math.min(next(at, GIB), end))
    }
    this.openL3 = -1
  }

  /** A GiB: the L2 of the first exists. */
  private mapL2(start: number, end: number): void {
    const isNew = start >= GIB
    if (isNew) {
      this.takeTable()
      this.openGib = Math.floor(start / GIB)
    } else this.openExisting()
    for (let at = start; at < end; at = next(at, REGION)) {
      const region = Math.floor(at / REGION)
      if (region < this.premapped) {
        this.openExisting()
        this.callMark()
        continue
      }
      const page = this.takeTable()
      this.filled.set(region, this.buffer.end)
      this.callMark()
      if (this.isWritable(page)) throw new Ended({ end: 'pin-refused', pfn: page, call: this.call })
    }
    this.openGib = -1
  }

  /** alloc_low_page(), which maps the page through a slot and so runs the workaround's hook. */
  private takeTable(): number {
    const { buffer } = this
    const page = buffer.end++
    if (page >= buffer.top) panic('alloc_low_page: ran out of memory')
    this.callMark()
    return page
  }

  /** map_low_page() of a table that exists: without d8aa5ec3382e Xen refuses to have it mapped writable. */
  private openExisting(): void {
    const { existingTables, ioremapSlots } = this.input.generation
    if (existingTables !== 'fixmap') return
    if (ioremapSlots === 'as-asked')
      throw new Ended({ end: 'live-table', pfn: SYMBOLS.level3_ident_pgt / PAGE, call: this.call })
    this.callMark()
  }

  /**
   * Whether an entry maps a page writable that is about to become a table: its region was filled when the page was not covered
   * by the mask yet, and the tables above do not reach the entry, so that make_lowmem_page_readonly() passes it by.
   */
  private isWritable(page: number): boolean {
    const { readOnlyUpTo } = this.input.generation
    const region = Math.floor(page / REGION)
    const endThen = this.filled.get(region)
    if (endThen === undefined || readOnlyUpTo === 'top' || page < endThen) return false
    const gib = Math.floor(page / GIB)
    return gib === this.openGib || Math.floor(gib / 512) === this.openL3
  }

  private callMark(): void {
    if (this.input.generation.release !== 'mark') return
    const { release } = markStep(this.mark, this.memblock, this.buffer)
    if (release !== null) this.releaseTail(release.from, release.to)
  }

  /** The end of a call: the used part is reserved, and the tail stays as the call has mapped it. */
  private reserve(): void {
    const { start, end, top } = this.buffer
    const { readOnlyUpTo, release } = this.input.generation
    this.memblock.reserve(start * PAGE, end * PAGE)
    if (readOnlyUpTo !== 'top' || release === 'hook') return
    // Only what this call has filled is read-only; what was mapped before is as it was.
    for (let pfn = end; pfn < top; pfn = next(pfn, REGION))
      if (this.filled.has(Math.floor(pfn / REGION)))
        this.tails.push({ start: pfn, end: Math.min(top, next(pfn, REGION)) })
  }

  private releaseTail(from: number, to: number): void {
    this.tails = this.tails.flatMap(({ start, end }) =>
      [
        { start, end: Math.min(end, from) },
        { start: Math.max(start, to), end },
      ].filter((range) => range.start < range.end),
    )
  }

  /** The node's own structure, the first thing that is written to where a tail may be. */
  private nodeData(): void {
    const { memblock, maxPfn } = this
    const { dom0, commandLine } = this.input
    // acpi_boot_table_init() maps a table of firmware's through a slot, and so runs the workaround's hook.
    if (dom0 && !/(?:^|\s)acpi=off/.test(commandLine)) this.callMark()
    const base = nodeDataPlace(memblock, maxPfn)
    if (base === null) panic(`Cannot find ${NODE_DATA_PAGES * PAGE} bytes in node 0`)
    this.clear(base, NODE_DATA_PAGES * PAGE)
    memblock.reserve(base, base + NODE_DATA_PAGES * PAGE)
  }

  /** memset() of physical bytes: it ends at the first page that is mapped read-only. */
  private clear(base: number, bytes: number): void {
    const from = Math.floor(base / PAGE)
    const to = Math.ceil((base + bytes) / PAGE)
    const pages = this.tails
      .filter(({ start, end }) => start < to && end > from)
      .map(({ start }) => Math.max(start, from))
    if (pages.length > 0) throw new Ended({ end: 'read-only', pfn: Math.min(...pages), stage: this.stage })
  }

  /** From there to the run-time operations: the kernel's own allocations, and the tables of the vmemmap. */
  private paging(): void {
    const memory: BootMemory = {
      memblock: this.memblock,
      limit: this.maxPfn * PAGE,
      nodeEnd: this.maxPfn * PAGE,
      clear: (base, bytes) => this.clear(base, bytes),
      outOfMemory: () => panic('Out of memory'),
    }
    const { memoryModel } = this.input.generation
    this.stage = 'memblock_find_dma_reserve'
    findDmaReserve(memory)
    this.stage = 'sparse_init'
    const tables = new Map<number, number>()
    if (memoryModel !== 'flatmem')
      sparseInit(memory, memoryModel, {
        root: 0,
        below: (table, level, va) => tables.get(table + slotAt(va, level)) ?? null,
        link: (table, level, va, page) => tables.set(table + slotAt(va, level), page),
        map: () => {},
      })
    this.stage = 'free_area_init_nodes'
    initZones(memory, memoryModel)
    this.mapTables = [...tables.values()].map((page) => page / PAGE)
  }

  /** The workaround's last call: a page of the tail that has become a table cannot be made writable any more. */
  private postAllocator(): void {
    if (this.input.generation.release !== 'mark') return
    const { release } = markStep(this.mark, this.memblock, this.buffer)
    if (release === null) return
    const taken = this.mapTables.filter((pfn) => pfn >= release.from && pfn < release.to)
    if (taken.length > 0) throw new Ended({ end: 'taken-back', pfn: Math.min(...taken) })
  }
}

function panic(message: string): never {
  throw new Ended({ end: 'panic', message })
}
