import { E820, type E820Entry, type E820Type } from '../../xen/abi.ts'

/**
 * The kernel's memory map as plain lists of entries (arch/x86/kernel/e820.c). Addresses are bytes and `end` is
 * exclusive. Every function returns a new list; only `sanitize` promises order and freedom from overlaps.
 */

const PAGE = 4096
/** The first frame (pfn) at 4 GiB. */
const PFN_4G = 0x100000
/** One frame (pfn) past the largest physical address that the direct map of x86-64 covered at the time: 64 TiB. */
const MAX_ARCH_PFN = 0x400000000
/** End, in bytes, of the low memory that the kernel keeps from itself, because some firmware writes to it. */
const RESERVE_LOW_END = 0x10000
/** The ISA and BIOS area, bytes. */
export const ISA_START = 0xa0000
export const ISA_END = 0x100000

/** Adds a region (bytes, `end` exclusive) at the end of the list; an empty one is added to nothing. */
export function addRegion(
  map: readonly E820Entry[],
  start: number,
  end: number,
  type: E820Type,
): E820Entry[] {
  return end > start ? [...map, { start, end, type }] : [...map]
}

/** Gives the parts of `from` entries inside [start, end) the type `to` (e820_update_range). */
export function updateRange(
  map: readonly E820Entry[],
  start: number,
  end: number,
  from: E820Type,
  to: E820Type,
): E820Entry[] {
  return cutOut(map, start, end, from, to)
}

/** Removes the parts of `type` entries that lie inside [start, end) (e820_remove_range). */
export function removeRange(
  map: readonly E820Entry[],
  start: number,
  end: number,
  type: E820Type,
): E820Entry[] {
  return cutOut(map, start, end, type, null)
}

function cutOut(
  map: readonly E820Entry[],
  start: number,
  end: number,
  from: E820Type,
  to: E820Type | null,
): E820Entry[] {
  const result: E820Entry[] = []
  for (const entry of map) {
    const a = Math.max(entry.start, start)
    const b = Math.min(entry.end, end)
    if (entry.type !== from || a >= b) {
      result.push(entry)
      continue
    }
    if (entry.start < a) result.push({ start: entry.start, end: a, type: from })
    if (to) result.push({ start: a, end: b, type: to })
    if (b < entry.end) result.push({ start: b, end: entry.end, type: from })
  }
  return result
}

/**
 * Sorts the map and resolves overlaps: where entries overlap the numerically higher type wins, so that firmware which
 * lists a range twice loses memory rather than trust (sanitize_e820_map). Neighbours of one type become one entry.
 */
export function sanitize(map: readonly E820Entry[]): E820Entry[] {
  const entries = map.filter((entry) => entry.end > entry.start)
  const edges = [...new Set(entries.flatMap((entry) => [entry.start, entry.end]))].sort((a, b) => a - b)
  const result: { start: number; end: number; type: E820Type }[] = []
  for (let i = 0; i + 1 < edges.length; i++) {
    const type = strongestType(entries, edges[i])
    if (type === null) continue
    const last = result.at(-1)
    if (last && last.end === edges[i] && last.type === type) last.end = edges[i + 1]
    else result.push({ start: edges[i], end: edges[i + 1], type })
  }
  return result
}

function strongestType(entries: readonly E820Entry[], address: number): E820Type | null {
  let best: E820Type | null = null
  for (const entry of entries) {
    if (entry.start > address || entry.end <= address) continue
    if (best === null || E820[entry.type] > E820[best]) best = entry.type
  }
  return best
}

/** One past the last frame (pfn) of RAM below `limitPfn`: an entry that straddles the limit gives the limit itself. */
export function endOfRam(map: readonly E820Entry[], limitPfn: number = MAX_ARCH_PFN): number {
  let last = 0
  for (const entry of map) {
    if (entry.type !== 'usable') continue
    if (Math.floor(entry.start / PAGE) >= limitPfn) continue
    last = Math.max(last, Math.min(Math.floor(entry.end / PAGE), limitPfn))
  }
  return last
}

/**
 * max_pfn and max_low_pfn (pfns, one past the last) with the lines that setup_arch prints for them. The second search
 * runs, and prints, only where RAM reaches above 4 GiB.
 */
export function ramLimits(map: readonly E820Entry[]): { maxPfn: number; maxLowPfn: number; lines: string[] } {
  const line = (pfn: number) =>
    `last_pfn = 0x${pfn.toString(16)} max_arch_pfn = 0x${MAX_ARCH_PFN.toString(16)}`
  const maxPfn = endOfRam(map)
  if (maxPfn <= PFN_4G) return { maxPfn, maxLowPfn: maxPfn, lines: [line(maxPfn)] }
  const maxLowPfn = endOfRam(map, PFN_4G)
  return { maxPfn, maxLowPfn, lines: [line(maxPfn), line(maxLowPfn)] }
}

/** Whether an entry of any type touches [start, end), bytes: what decides if the builders map a GiB (e820_any_mapped). */
export function anyMapped(map: readonly E820Entry[], start: number, end: number): boolean {
  for (const entry of map) if (entry.start < end && entry.end > start) return true
  return false
}

/**
 * Takes the first 64 KiB and the BIOS area out of RAM, as setup_arch does after the command line had its say
 * (trim_bios_range). The lines are debug messages of the kernel: a console shows them with ignore_loglevel only.
 */
export function trimBiosRange(map: readonly E820Entry[]): { map: E820Entry[]; lines: string[] } {
  const low = updateRange(map, 0, RESERVE_LOW_END, 'usable', 'reserved')
  const trimmed = sanitize(removeRange(low, ISA_START, ISA_END, 'usable'))
  const lines = [
    `e820 update range: ${hex16(0)} - ${hex16(RESERVE_LOW_END)} (usable) ==> (reserved)`,
    `e820 remove range: ${hex16(ISA_START)} - ${hex16(ISA_END)} (usable)`,
  ]
  return { map: trimmed, lines }
}

/** The map as the kernel prints it, one line an entry; `who` is the map's owner: `Xen`, `user`, `modified`. */
export function e820Lines(map: readonly E820Entry[], who: string): string[] {
  return map.map((entry) => ` ${who}: ${hex16(entry.start)} - ${hex16(entry.end)} (${entry.type})`)
}

function hex16(address: number): string {
  return address.toString(16).padStart(16, '0')
}

/** Whether any RAM entry touches [start, end), bytes: e820_any_mapped() for E820_RAM. */
export function anyRam(map: readonly E820Entry[], start: number, end: number): boolean {
  return map.some((entry) => entry.type === 'usable' && entry.start < end && entry.end > start)
}
