import { ENTRY_BYTES, PAGE, TWO_32 } from '../bits/address.ts'
import type { E820Entry } from '../xen/abi.ts'
import { anyMapped, ramLimits, trimBiosRange } from './e820.ts'
import { bufferPages } from './early-tables.ts'
import type { Generation } from './generation.ts'
import { IDENT_L1_PAGES } from './kernel-pagetable.ts'
import { markStep, newMarkState } from './mark-rw-past-pgt.ts'
import { Memblock } from './memblock.ts'
import { applyMapOptions } from './memory-map-options.ts'
import { NODE_DATA_PAGES, TRAMPOLINE_PAGES } from './setup-arch.ts'
import { SYMBOLS } from './symbols.ts'
import { type PfnRange, xenMemorySetup } from './xen-memory-setup.ts'

/** What a kernel finds when it starts, as far as its early tables depend on it: bytes, and frames where it says so. */
export type ForecastInput = {
  readonly generation: Generation
  readonly rawMap: readonly E820Entry[] | null
  readonly dom0: boolean
  /** Frames. */
  readonly nrPages: number
  readonly commandLine: string
  readonly kernelEnd: number
  readonly initrd: { readonly start: number; readonly bytes: number }
  readonly mfnList: number
  readonly ptBase: number
  readonly nrPtFrames: number
  readonly vEnd: number
}

/** How the early tables come out: `pfn` is the page it ends at, `call` the call of init_memory_mapping. */
export type Forecast =
  | { readonly end: 'booted' }
  | { readonly end: 'pin-refused'; readonly pfn: number; readonly call: number }
  | { readonly end: 'live-table'; readonly pfn: number; readonly call: number }
  | { readonly end: 'node-data'; readonly pfn: number }
  | { readonly end: 'panic'; readonly message: string }

/** Frames of 2 MiB, which one L1 maps, and of 1 GiB, which one L2 does. */
const REGION = 512
const GIB = REGION * 512

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
 * It is silent on what depends on single entries: null for a generation without a buffer (E), for `memtest=`, and where the
 * direct map covers frames of the machine, given in `denied` (bytes), that the domain may not map.
 */
export function forecastTables(
  input: ForecastInput,
  denied: readonly { readonly start: number; readonly end: number }[],
): Forecast | null {
  const { generation, commandLine } = input
  if (generation.placement === 'brk' || generation.released !== 'for-good') return null
  if (/(?:^|\s)memtest=/.test(commandLine)) return null
  const forecast = new TableForecast(input)
  if (forecast.maps(denied)) return null
  try {
    forecast.run()
    return { end: 'booted' }
  } catch (ended) {
    if (ended instanceof Ended) return ended.forecast
    throw ended
  }
}

class TableForecast {
  private readonly identity: readonly PfnRange[]
  private readonly maxPfn: number
  private readonly input: ForecastInput
  private readonly e820: readonly E820Entry[]
  private readonly memblock = new Memblock()
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

  constructor(input: ForecastInput) {
    this.input = input
    const { generation, nrPages, mfnList, ptBase, dom0, rawMap, commandLine, vEnd } = input
    const setup = xenMemorySetup({ rawMap, nrPages, dom0, generation, mfnList, ptBase })
    this.identity = setup.identity
    const { memblock } = this
    memblock.reserve(SYMBOLS.text, input.kernelEnd)
    memblock.reserve(ptBase, ptBase + input.nrPtFrames * PAGE)
    const { initrd } = input
    if (initrd.bytes > 0) memblock.reserve(initrd.start, initrd.start + Math.ceil(initrd.bytes / PAGE) * PAGE)
    for (const { base, end } of setup.reservations) memblock.reserve(base, end)
    this.e820 = trimBiosRange(applyMapOptions(setup.e820, commandLine).map).map
    const limits = ramLimits(this.e820)
    this.maxPfn = limits.maxPfn
    this.maxLowPfn = limits.maxLowPfn
    for (const entry of this.e820) if (entry.type === 'usable') memblock.addMemory(entry.start, entry.end)
    const byXen = vEnd / ENTRY_BYTES[2]
    const rest = Math.ceil(Math.max(0, nrPages - byXen * REGION) / REGION)
    this.premapped = byXen + Math.min(IDENT_L1_PAGES, rest, 512 - byXen)
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
    const trampoline = memblock.findInRange(PAGE, 0x10_0000, TRAMPOLINE_PAGES * PAGE, PAGE)
    if (trampoline === null) panic('Cannot allocate trampoline')
    memblock.reserve(trampoline, trampoline + TRAMPOLINE_PAGES * PAGE)
    const { firstMapped } = this.input.generation
    const first =
      firstMapped === 'mfn-list' ? Math.floor(this.input.mfnList / PAGE) : this.premapped * REGION - 1
    this.initMemoryMapping(0, maxLowPfn, first)
    if (maxPfn > maxLowPfn) this.initMemoryMapping(TWO_32 / PAGE, maxPfn, maxLowPfn)
    this.nodeData()
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
    const MAX_DMA = 0x1000 * PAGE
    const end = maxPfn * PAGE
    const size = NODE_DATA_PAGES * PAGE
    const base =
      memblock.findInRange(end > TWO_32 ? TWO_32 : MAX_DMA, end, size, PAGE) ??
      memblock.findInRange(MAX_DMA, end, size, PAGE)
    if (base === null) panic(`Cannot find ${size} bytes in node 0`)
    for (let pfn = base / PAGE; pfn < base / PAGE + NODE_DATA_PAGES; pfn++) {
      if (this.tails.some((tail) => pfn >= tail.start && pfn < tail.end))
        throw new Ended({ end: 'node-data', pfn })
    }
  }
}

function panic(message: string): never {
  throw new Ended({ end: 'panic', message })
}

/** Where the next multiple of `unit` after `at` is. */
function next(at: number, unit: number): number {
  return at - (at % unit) + unit
}
