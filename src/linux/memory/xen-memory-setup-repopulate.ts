import type { E820Entry } from '../../xen/abi.ts'
import { addRegion, e820Lines, ISA_END, ISA_START, sanitize } from './e820.ts'
import { type MemorySetup, type MemorySetupInput, type PfnRange, pages } from './xen-memory-setup.ts'

const PAGE = 4096
/** Bytes that a domU without a map of its own gets above its memory. */
const DOMU_SLACK = 8 << 20
const EXTRA_MEM_RATIO = 10

/**
 * The memory setup of 3.4 to 3.17: what is not RAM below the end of the domain's memory goes back to Xen, reserved
 * ranges as well as gaps, and as many frames are asked for again where the machine has RAM beyond that end. So a dom0
 * keeps its size. Linux: xen_set_identity_and_release(), xen_populate_chunk().
 */
export function xenMemorySetupRepopulating(input: MemorySetupInput): MemorySetup & { populate: PfnRange[] } {
  const { nrPages, dom0, mfnList, ptBase } = input
  const whole: E820Entry = { start: 0, end: nrPages * PAGE + DOMU_SLACK, type: 'usable' }
  const raw = sanitize(input.rawMap ?? [whole])
  const holes = notRam(raw, dom0)
  const release = holes
    .map(({ start, end }) => ({ start, end: Math.min(end, nrPages) }))
    .filter((r) => r.start < r.end)
  const released = pages(release)
  const populate = ramBeyond(raw, nrPages, Math.min(released, input.granted ?? released))
  const added = pages(populate)
  const lastPfn = populate.at(-1)?.end ?? nrPages

  const ramAbove = pages(ramBeyond(raw, lastPfn, Number.POSITIVE_INFINITY))
  let extraPages = Math.min(EXTRA_MEM_RATIO * nrPages, ramAbove + released - added)
  let map: E820Entry[] = []
  let extraStart = 0
  let extraEnd = 0
  const add = (start: number, end: number, type: E820Entry['type']): void => {
    if (end > start) map = addRegion(map, start, end, type)
  }
  for (const entry of raw) {
    if (entry.type !== 'usable') {
      add(entry.start, entry.end, entry.type)
      continue
    }
    const start = Math.ceil(entry.start / PAGE) * PAGE
    const end = Math.floor(entry.end / PAGE) * PAGE
    const memEnd = lastPfn * PAGE
    const own = Math.max(start, Math.min(end, memEnd))
    add(start, own, 'usable')
    const size = Math.min(end - own, extraPages * PAGE)
    if (size > 0) {
      if (extraEnd === 0) extraStart = own
      extraEnd = own + size
      extraPages -= size / PAGE
      add(own, own + size, 'usable')
    }
    add(own + Math.max(0, size), end, 'unusable')
  }
  const e820 = sanitize(addRegion(map, ISA_START, ISA_END, 'reserved'))
  const reservations = [{ base: mfnList, end: ptBase, name: 'XEN START INFO' }]
  if (extraEnd > extraStart) reservations.push({ base: extraStart, end: extraEnd, name: 'XEN EXTRA' })
  const hex = (n: number): string => n.toString(16)
  const lines = [
    ...release.map((r) => `Freeing  ${hex(r.start)}-${hex(r.end)} pfn range: ${r.end - r.start} pages freed`),
    ...holes.map((r) => `1-1 mapping on ${hex(r.start)}->${hex(r.end)}`),
    `Released ${released} pages of unused memory`,
    `Set ${pages(holes)} page(s) to 1-1 mapping`,
    ...populate.map(
      (r) => `Populating ${hex(r.start)}-${hex(r.end)} pfn range: ${r.end - r.start} pages added`,
    ),
    'e820: BIOS-provided physical RAM map:',
    ...e820Lines(e820, 'Xen'),
  ]
  return {
    e820,
    extra: { start: extraStart, bytes: extraEnd - extraStart },
    reservations,
    release,
    identity: holes,
    released,
    identityPages: pages(holes),
    lines,
    populate,
  }
}

/** Frames touched by what lies between the RAM entries: the low end rounded down, the high end up. */
function notRam(map: readonly E820Entry[], dom0: boolean): PfnRange[] {
  const ranges: PfnRange[] = []
  const isa: E820Entry = { start: ISA_START, end: ISA_END, type: 'reserved' }
  let from = 0
  for (const entry of map) {
    if (entry.type !== 'usable') continue
    const start = dom0 ? entry.start : Math.max(entry.start, 0)
    if (start > from) ranges.push({ start: Math.floor(from / PAGE), end: Math.ceil(start / PAGE) })
    from = Math.max(from, entry.end)
  }
  // A domU whose map is RAM from the start still has the ISA range reserved; it stays ordinary memory.
  return dom0 ? ranges : ranges.filter((r) => r.end > isa.end / PAGE)
}

/** Up to `count` frames of RAM from pfn `from` on. */
function ramBeyond(map: readonly E820Entry[], from: number, count: number): PfnRange[] {
  const ranges: PfnRange[] = []
  let left = count
  for (const entry of map) {
    if (entry.type !== 'usable' || left <= 0) continue
    const start = Math.max(from, Math.ceil(entry.start / PAGE))
    const end = Math.min(Math.floor(entry.end / PAGE), start + left)
    if (start >= end) continue
    ranges.push({ start, end })
    left -= end - start
  }
  return ranges
}
