import { ENTRY_BYTES, PAGE } from '../../bits/address.ts'
import { xenMemorySetupRepopulating } from '../memory/xen-memory-setup-repopulate.ts'
import { BRK_TABLES, ISA_END, STEP_SHIFT } from '../tables/init-mem-mapping.ts'
import {
  type EarlyMemory,
  earlyMemory,
  type ForecastInput,
  GIB,
  losesTables,
  next,
  nodeDataPlace,
  REGION,
  reserveTrampolines,
} from './forecast-memory.ts'

/**
 * Whether a kernel of generation E builds its direct map: true when it boots. Its tables come from memory that is mapped
 * already, so that none is ever in its own way; what is left to see is whether there is such memory whenever a table is
 * needed. Null where single entries decide, or where it would fail: the boot has to be carried out.
 *
 * @param granted frames that Xen may give again of those that were released, where there may be fewer
 */
export function forecastTopDown(input: ForecastInput, granted?: number): true | null {
  const { generation, commandLine, nrPages, dom0, rawMap, mfnList, ptBase } = input
  if (generation.placement !== 'brk' || generation.released !== 'repopulated') return null
  if (/(?:^|\s)memtest=/.test(commandLine)) return null
  const setup = xenMemorySetupRepopulating({
    rawMap,
    nrPages,
    dom0,
    generation,
    mfnList,
    ptBase,
    ...(granted === undefined ? {} : { granted }),
  })
  if (losesTables(input, setup.identity)) return null
  return new TopDownForecast(earlyMemory(input, setup)).run()
}

class TopDownForecast {
  private readonly memory: EarlyMemory
  /** Regions, GiBs and 512 GiBs that have a table, by their numbers. */
  private readonly regions = new Set<number>()
  private readonly gibs = new Set([0])
  private readonly l3s = new Set([0])
  private brkLeft = BRK_TABLES - 1
  private canUseBrk = true
  private minPfnMapped = 0
  private maxPfnMapped = 0

  constructor(memory: EarlyMemory) {
    this.memory = memory
  }

  run(): true | null {
    const { memblock, maxPfn } = this.memory
    if (!reserveTrampolines(memblock)) return null
    const end = maxPfn * PAGE
    this.maxPfnMapped = 0
    const found = memblock.findInRange(ISA_END, end, ENTRY_BYTES[2], PAGE)
    if (found === null) return null
    const realEnd = found + ENTRY_BYTES[2]
    let step = ENTRY_BYTES[2] as number
    let mapped = 0
    let last = realEnd
    this.minPfnMapped = realEnd / PAGE
    while (last > ISA_END) {
      const start = last > step ? Math.max(ISA_END, Math.floor((last - 1) / step) * step) : ISA_END
      const added = this.mapRam(start, last)
      if (added === null) return null
      last = start
      this.minPfnMapped = last / PAGE
      if (added > mapped) step *= 2 ** STEP_SHIFT
      mapped += added
    }
    if (realEnd < end && this.mapRam(realEnd, end) === null) return null
    return nodeDataPlace(memblock, maxPfn) === null ? null : true
  }

  /** Map the RAM of [start, end), bytes, ascending. Returns how much; null where a table finds no page. */
  private mapRam(start: number, end: number): number | null {
    const { memblock } = this.memory
    let total = 0
    for (const region of memblock.memory) {
      const from = Math.max(start, Math.ceil(region.base / PAGE) * PAGE)
      const to = Math.min(end, Math.floor(region.end / PAGE) * PAGE)
      if (from >= to) continue
      // The brk lies in the image, which is mapped from the start: it is left alone while that part is gone over.
      this.canUseBrk = from / PAGE >= this.memory.premapped * REGION
      if (!this.mapRange(from / PAGE, to / PAGE)) return null
      this.maxPfnMapped = Math.max(this.maxPfnMapped, to / PAGE)
      total += to - from
    }
    return total
  }

  /** Frames [start, end). False where a table finds no page. */
  private mapRange(start: number, end: number): boolean {
    for (let at = start; at < end; at = next(at, REGION)) {
      const region = Math.floor(at / REGION)
      const gib = Math.floor(at / GIB)
      const l3 = Math.floor(gib / 512)
      if (!this.l3s.has(l3) && !this.takeTable()) return false
      this.l3s.add(l3)
      if (!this.gibs.has(gib) && !this.takeTable()) return false
      this.gibs.add(gib)
      if (region < this.memory.premapped || this.regions.has(region)) continue
      if (!this.takeTable()) return false
      this.regions.add(region)
    }
    return true
  }

  private takeTable(): boolean {
    if (this.canUseBrk && this.brkLeft > 0) {
      this.brkLeft--
      return true
    }
    const { memblock, premapped } = this.memory
    const found = memblock.findInRange(this.minPfnMapped * PAGE, this.maxPfnMapped * PAGE, PAGE, PAGE)
    if (found === null) return false
    memblock.reserve(found, found + PAGE)
    const region = Math.floor(found / PAGE / REGION)
    return region < premapped || this.regions.has(region)
  }
}
