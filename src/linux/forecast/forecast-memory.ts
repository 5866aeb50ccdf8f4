import { ENTRY_BYTES, PAGE, TWO_32 } from '../../bits/address.ts'
import type { E820Entry } from '../../xen/abi.ts'
import type { Generation } from '../generation.ts'
import { ramLimits, trimBiosRange } from '../memory/e820.ts'
import { Memblock } from '../memory/memblock.ts'
import { applyMapOptions } from '../memory/memory-map-options.ts'
import type { MemorySetup, PfnRange } from '../memory/xen-memory-setup.ts'
import { NODE_DATA_PAGES, TRAMPOLINE_PAGES } from '../setup-arch.ts'
import { SYMBOLS } from '../symbols.ts'
import { IDENT_L1_PAGES } from '../tables/kernel-pagetable.ts'

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

/** Frames of 2 MiB, which one L1 maps, and of 1 GiB, which one L2 does. */
export const REGION = 512
export const GIB = REGION * 512

/** What the early tables are built upon. */
export type EarlyMemory = {
  readonly e820: readonly E820Entry[]
  readonly memblock: Memblock
  /** Frames, as Linux counts them. */
  readonly maxPfn: number
  readonly maxLowPfn: number
  /** Regions that tables map from the start, and how many of these are the brk's. */
  readonly premapped: number
  readonly brkPages: number
}

/** The kernel's memory as it is when its direct map is about to be built: setup_arch() up to there. */
export function earlyMemory(input: ForecastInput, setup: MemorySetup): EarlyMemory {
  const { initrd, ptBase, nrPages, vEnd } = input
  const memblock = new Memblock()
  memblock.reserve(SYMBOLS.text, input.kernelEnd)
  memblock.reserve(ptBase, ptBase + input.nrPtFrames * PAGE)
  if (initrd.bytes > 0) memblock.reserve(initrd.start, initrd.start + Math.ceil(initrd.bytes / PAGE) * PAGE)
  for (const { base, end } of setup.reservations) memblock.reserve(base, end)
  const e820 = trimBiosRange(applyMapOptions(setup.e820, input.commandLine).map).map
  for (const entry of e820) if (entry.type === 'usable') memblock.addMemory(entry.start, entry.end)
  const byXen = vEnd / ENTRY_BYTES[2]
  const rest = Math.ceil(Math.max(0, nrPages - byXen * REGION) / REGION)
  const brkPages = Math.min(IDENT_L1_PAGES, rest, 512 - byXen)
  const { maxPfn, maxLowPfn } = ramLimits(e820)
  return { e820, memblock, maxPfn, maxLowPfn, premapped: byXen + brkPages, brkPages }
}

/**
 * Whether the p2m has the machine's frames at pfns where the first tables are: the kernel then looks for these in the wrong
 * place.
 */
export function losesTables(
  { kernelEnd, ptBase, nrPtFrames }: ForecastInput,
  identity: readonly PfnRange[],
): boolean {
  return identity.some(({ start, end }) => {
    const overlaps = (from: number, to: number): boolean => start * PAGE < to && end * PAGE > from
    return overlaps(SYMBOLS.text, kernelEnd) || overlaps(ptBase, ptBase + nrPtFrames * PAGE)
  })
}

/** setup_trampolines(): false where there is no room. */
export function reserveTrampolines(memblock: Memblock): boolean {
  const base = memblock.findInRange(PAGE, 0x10_0000, TRAMPOLINE_PAGES * PAGE, PAGE)
  if (base !== null) memblock.reserve(base, base + TRAMPOLINE_PAGES * PAGE)
  return base !== null
}

/** Where NODE_DATA goes, bytes; null where there is no room. */
export function nodeDataPlace(memblock: Memblock, maxPfn: number): number | null {
  const MAX_DMA = 0x1000 * PAGE
  const end = maxPfn * PAGE
  const size = NODE_DATA_PAGES * PAGE
  return (
    memblock.findInRange(end > TWO_32 ? TWO_32 : MAX_DMA, end, size, PAGE) ??
    memblock.findInRange(MAX_DMA, end, size, PAGE)
  )
}

/** Where the next multiple of `unit` after `at` is. */
export function next(at: number, unit: number): number {
  return at - (at % unit) + unit
}
