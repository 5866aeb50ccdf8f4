import type { E820Entry } from '../../xen/abi.ts'
import { sanitize } from './e820.ts'

const PAGE = 4096

/** A range of pseudo-physical memory, bytes, that Xen has filled before the kernel runs. */
export type Loaded = { readonly start: number; readonly end: number }

/** What a kernel does about what is loaded where the host has no RAM. */
export type ConflictRule = {
  /** Initrd and p2m list are copied to where RAM is; the kernel and its first tables cannot be (4.3: 4b9c15377f96, 70e61199559a). */
  readonly movesLists: boolean
  /** ACPI NVS ranges under what is loaded get other pseudo-physical addresses (6.12: be35d91c8880). */
  readonly movesNvs: boolean
}

export type Conflicts = {
  /** The first part that stays in conflict: the kernel stops there, in xen_memory_setup(), with BUG(). */
  readonly dies: { readonly part: string; readonly at: number; readonly type: string } | null
  /** What it moved, in order: parts, and ranges of ACPI NVS. */
  readonly moved: readonly string[]
}

/** The parts in the order in which the kernel looks at them. */
export type LoadedParts = {
  readonly kernel: Loaded
  readonly pageTables: Loaded
  readonly initrd: Loaded
  readonly p2m: Loaded
}

/**
 * A dom0 lays its memory out like the host's map. Where Xen has loaded something at an address at which that map has no
 * RAM, one of the two has to give way: xen_memory_setup() since 4.3.
 *
 * @param host the map that Xen gives, in any order
 * @param nrPages frames of the domain: RAM beyond them is not its own, and nothing can be moved there
 */
export function hostMapConflicts(
  host: readonly E820Entry[],
  nrPages: number,
  parts: LoadedParts,
  rule: ConflictRule,
): Conflicts {
  let map = sanitize(host.map(wholePages))
  const moved: string[] = []
  const resolve = (part: Loaded): void => {
    if (!rule.movesNvs) return
    for (const entry of map) {
      if (entry.type !== 'ACPI NVS' || entry.start >= part.end || entry.end <= part.start) continue
      moved.push(`ACPI NVS at ${hex(entry.start)}`)
      map = sanitize(map.map((one) => (one === entry ? { ...one, type: 'usable' } : one)))
    }
  }
  for (const [name, part] of [
    ['kernel', parts.kernel],
    ['page tables', parts.pageTables],
  ] as const) {
    resolve(part)
    const hole = notRam(map, part)
    if (hole !== null) return { dies: { part: name, ...hole }, moved }
  }
  if (!rule.movesLists) return { dies: null, moved }
  const taken = [parts.kernel, parts.pageTables, parts.initrd, parts.p2m]
  for (const [name, part] of [
    ['p2m list', parts.p2m],
    ['initrd', parts.initrd],
  ] as const) {
    const hole = notRam(map, part)
    if (hole === null || part.start === part.end) continue
    const area = freeArea(map, part.end - part.start, nrPages * PAGE, taken)
    if (area === null) return { dies: { part: name, ...hole }, moved }
    taken.push(area)
    moved.push(name)
  }
  return { dies: null, moved }
}

/** xen_align_and_add_e820_region(): RAM only as far as its pages are whole. */
function wholePages(entry: E820Entry): E820Entry {
  if (entry.type !== 'usable') return entry
  return { ...entry, start: Math.ceil(entry.start / PAGE) * PAGE, end: Math.floor(entry.end / PAGE) * PAGE }
}

/** xen_is_e820_reserved(): a range is in order only if one entry of RAM covers it. Where it first is not, and what is there. */
function notRam(map: readonly E820Entry[], { start, end }: Loaded): { at: number; type: string } | null {
  const ram = map.find((entry) => entry.type === 'usable' && entry.start <= start && start < entry.end)
  if (ram !== undefined && ram.end >= end) return null
  const at = ram?.end ?? start
  const there = map.find((entry) => entry.start <= at && at < entry.end)
  return { at, type: there?.type ?? 'nothing' }
}

/** xen_find_free_area(): the first run of RAM of that size that is the domain's and not taken. */
function freeArea(
  map: readonly E820Entry[],
  bytes: number,
  memoryEnd: number,
  taken: readonly Loaded[],
): Loaded | null {
  for (const entry of map) {
    if (entry.type !== 'usable') continue
    const end = Math.min(entry.end, memoryEnd)
    let start = Math.max(entry.start, 0x10_0000)
    while (start + bytes <= end) {
      const blocker = taken.find((range) => range.start < start + bytes && start < range.end)
      if (blocker === undefined) return { start, end: start + bytes }
      start = Math.ceil(blocker.end / PAGE) * PAGE
    }
  }
  return null
}

function hex(n: number): string {
  return `0x${n.toString(16)}`
}
