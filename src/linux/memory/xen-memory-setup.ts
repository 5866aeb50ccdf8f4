import type { E820Entry } from '../../xen/abi.ts'
import type { Generation } from '../generation.ts'
import { addRegion, e820Lines, ISA_END, ISA_START, sanitize } from './e820.ts'

const PAGE = 4096
const GIB_4 = 0x100000000
/** Bytes that a domU without a map of its own gets above its memory, to balance what its backends take. */
const DOMU_SLACK = 8 << 20
/** The kernel will not prepare for more than this many times the memory that it was started with. */
const EXTRA_MEM_RATIO = 10
/** One past the last frame (pfn) that the p2m tree of 64-bit kernels can hold: three levels of 512, 512 GiB. */
const MAX_P2M_PFN = 512 * 512 * 512

/** Frames [start, end), pfns. */
export type PfnRange = { readonly start: number; readonly end: number }

/** What xen_memory_setup knows when it starts. */
export type MemorySetupInput = {
  /** The answer to the memory-map hypercall, unsorted as it came; null where Xen has no such call (domU only). */
  readonly rawMap: readonly E820Entry[] | null
  /** Frames of the domain at its start. */
  readonly nrPages: number
  readonly dom0: boolean
  readonly generation: Generation
  /** Physical bytes: the mfn list and the start info lie in [mfnList, ptBase). */
  readonly mfnList: number
  readonly ptBase: number
  /** Frames that Xen gave when it was asked for those released again; left out while that is not known. */
  readonly granted?: number
}

/** What the function decides. Nothing is carried out: the caller talks to Xen and to memblock. */
export type MemorySetup = {
  /** The kernel's map, sanitized, the extra region included. */
  readonly e820: readonly E820Entry[]
  /** RAM that the domain may get later, after the end of everything: bytes; empty when `bytes` is 0. */
  readonly extra: { readonly start: number; readonly bytes: number }
  /** Ranges for memblock, bytes, with the names that memblock=debug prints. They are not in the map. */
  readonly reservations: readonly { readonly base: number; readonly end: number; readonly name: string }[]
  /** Frames to give back to Xen, because no entry of the map covers them; their p2m entries become invalid. */
  readonly release: readonly PfnRange[]
  /** Frames whose p2m entry becomes the identity, because the machine has no RAM there. */
  readonly identity: readonly PfnRange[]
  /** Frames to ask for again, where the kernel does that. */
  readonly populate?: readonly PfnRange[]
  /** Frames released, and frames made identity. */
  readonly released: number
  readonly identityPages: number
  /** What the kernel prints on the way, with the map itself at the end. */
  readonly lines: readonly string[]
}

/** A PV guest's memory map, from what Xen says and how much memory the domain has (arch/x86/xen/setup.c). */
export function xenMemorySetup(input: MemorySetupInput): MemorySetup {
  const { nrPages, generation, mfnList, ptBase } = input
  const memEnd = nrPages * PAGE
  const raw = input.rawMap ?? fallbackMap(input)
  const cut = cutToMemory(raw, memEnd, input.dom0, generation)

  const withIsa = addRegion(cut.map, ISA_START, ISA_END, 'reserved')
  const base = sanitize(withIsa)
  const release = uncovered(base, memEnd)
  const released = pages(release)

  // A domain may grow to ten times its first size at most, however much memory the machine has.
  const wanted = cut.extraPages + released
  const extraPages = Math.max(0, Math.min(EXTRA_MEM_RATIO * nrPages, nrPages + wanted) - nrPages)
  const extra = { start: cut.extraStart, bytes: extraPages * PAGE }
  const e820 = sanitize(addRegion(base, extra.start, extra.start + extra.bytes, 'usable'))

  const identity = generation.identityP2m ? identityRanges(raw, input.dom0) : []
  const identityPages = pages(identity)

  const reservations = [{ base: mfnList, end: ptBase, name: 'XEN START INFO' }]
  if (extraPages > 0)
    reservations.push({ base: extra.start, end: extra.start + extra.bytes, name: 'XEN EXTRA' })

  const lines = release.map(
    ({ start, end }) =>
      `xen_release_chunk: looking at area pfn ${start.toString(16)}-${end.toString(16)}: ${end - start} pages freed`,
  )
  lines.push(`released ${released} pages of unused memory`)
  if (generation.identityP2m) lines.push(`Set ${identityPages} page(s) to 1-1 mapping.`)
  lines.push('BIOS-provided physical RAM map:', ...e820Lines(e820, 'Xen'))
  return { e820, extra, reservations, release, identity, released, identityPages, lines }
}

function fallbackMap(input: MemorySetupInput): E820Entry[] {
  if (input.dom0) throw new Error('Xen gave dom0 no machine memory map: the kernel stops here with BUG()')
  return [{ start: 0, end: input.nrPages * PAGE + DOMU_SLACK, type: 'usable' }]
}

type Cut = { map: E820Entry[]; extraPages: number; extraStart: number }

/** Cuts RAM off at the end of the domain's memory and finds where the extra region may begin. */
function cutToMemory(raw: readonly E820Entry[], memEnd: number, dom0: boolean, generation: Generation): Cut {
  let map: E820Entry[] = []
  let extraPages = 0
  // 24bdb0b62cc8: below 4 GiB the region could be taken for the end of low memory, so that the kernel mapped the PCI hole.
  let extraStart = generation.extraRegion === 'above-4g' ? Math.max(GIB_4, memEnd) : memEnd
  for (const entry of raw) {
    const ram = entry.type === 'usable'
    // 7cb31b752c7: firmware may end RAM inside a page, and that page must not be counted; the start stays as it is.
    let end = ram && generation.ramEndAligned ? entry.end - (entry.end % PAGE) : entry.end
    end = Math.max(end, entry.start)
    if (ram && end > memEnd) {
      const delta = Math.min(end - entry.start, end - memEnd)
      end -= delta
      extraPages += Math.floor(delta / PAGE)
      // 2f14ddc3a714: otherwise the machine's RAM that is not dom0's looks like free address space for devices.
      if (generation.cutRamUnusable && dom0 && end < GIB_4) map = addRegion(map, end, end + delta, 'unusable')
    }
    if (end <= entry.start) continue
    extraStart = Math.max(extraStart, end)
    map = addRegion(map, entry.start, end, entry.type)
  }
  return { map, extraPages, extraStart }
}

/** Whole frames above 1 MiB and below `memEnd` (bytes) that no entry of a sanitized map covers. */
function uncovered(map: readonly E820Entry[], memEnd: number): PfnRange[] {
  const gaps: PfnRange[] = []
  let lastEnd = ISA_END
  const gap = (until: number) => {
    const start = Math.ceil(lastEnd / PAGE)
    const end = Math.floor(Math.min(until, memEnd) / PAGE)
    if (start < end) gaps.push({ start, end })
  }
  for (const entry of map) {
    if (lastEnd >= memEnd) break
    gap(entry.start)
    lastEnd = Math.max(lastEnd, entry.end)
  }
  gap(memEnd)
  return gaps
}

/**
 * Frames that become 1-1: all that the raw map leaves between its RAM entries, gaps and other types alike
 * (68df0da7f42b). A domU's first 1 MiB is ordinary memory. A range that ends beyond the p2m tree is dropped whole, as
 * a machine with a hole up to 1 TiB shows.
 */
function identityRanges(raw: readonly E820Entry[], dom0: boolean): PfnRange[] {
  const ranges: PfnRange[] = []
  let last = dom0 ? 0 : ISA_END
  let hole = last
  const close = (end: number) => {
    const first = Math.ceil(hole / PAGE)
    const past = Math.floor(end / PAGE)
    if (first < past && past < MAX_P2M_PFN) ranges.push({ start: first, end: past })
  }
  for (const entry of raw) {
    const start = Math.max(entry.start, last)
    if (entry.end <= start) continue
    if (entry.type === 'usable') {
      if (start > hole) close(start)
      hole = entry.end
    } else {
      hole = Math.min(hole, start)
    }
    last = entry.end
  }
  if (last > hole) close(last)
  return ranges
}

/** How many frames the ranges have. */
export function pages(ranges: readonly PfnRange[]): number {
  return ranges.reduce((sum, range) => sum + range.end - range.start, 0)
}
