import { PAGE, SLOTS, slotAt } from '../bits/address.ts'
import { A, D, entryHi, entryLo, P, PSE, RW, US } from '../bits/pte.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { REF_ALLOCATED, TYPE_PINNED, TYPE_SHIFT, TYPE_VALIDATED } from '../machine/frames.ts'
import { refsWordOf, setPinned, setRefsWord, setTypeWord } from '../xen/frames/frame-record.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { getPageType } from '../xen/mm/frame-type.ts'
import { fillM2pSlot, initXenSlots } from '../xen/mm/tables.ts'
import {
  type Mapping,
  type PfnRange,
  type StartOfDayLayout,
  type TableLevel,
  tableBytes,
  tableFor,
  tablePfns,
} from './layouts/start-of-day.ts'
import type { P2m } from './p2m.ts'

/** Flags of an entry that links a table. */
const LINK = P | RW | US | A | D

/** Write the entries of a domain's page tables. The root, an mfn. */
export function writeTables(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout): number {
  for (const mapping of layout.mappings) {
    linkTables(xen, p2m, layout, mapping)
    mapPages(xen, p2m, layout, mapping)
  }
  return rootOf(p2m, layout)
}

function rootOf(p2m: P2m, layout: StartOfDayLayout): number {
  return p2m.get(tableFor(layout, 4, 0))
}

function linkTables(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout, { tables }: Mapping): void {
  const { memory } = xen
  for (const { level, va, pfn, count } of tables) {
    if (level === 4) continue
    const above = (level + 1) as TableLevel
    for (let i = 0; i < count; i++) {
      const from = va + i * tableBytes(level)
      const at = memory.frameWords(p2m.get(tableFor(layout, above, from))) + slotAt(from, above) * 2
      const mfn = p2m.get(pfn + i)
      memory.u32[at] = entryLo(mfn, LINK)
      memory.u32[at + 1] = entryHi(mfn, 0)
    }
  }
}

/** The L1 entries of a mapping, table by table. */
function mapPages(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout, mapping: Mapping): void {
  if (mapping.isLarge === true) {
    mapLargePages(xen, p2m, layout, mapping)
    return
  }
  const { va, pfn, pages } = mapping
  const { memory } = xen
  const { hi } = layout.pageFlags
  const flagsOf = pageFlags(layout)
  for (let done = 0; done < pages; ) {
    const from = va + done * PAGE
    const slot = slotAt(from, 1)
    const count = Math.min(pages - done, SLOTS - slot)
    let at = memory.frameWords(p2m.get(tableFor(layout, 1, from))) + slot * 2
    p2m.forEachRun(pfn + done, count, (first, mfn, some, step) => {
      for (let i = 0; i < some; i++) {
        memory.u32[at] = entryLo(mfn + i * step, flagsOf(first + i))
        memory.u32[at + 1] = entryHi(mfn + i * step, hi)
        at += 2
      }
    })
    done += count
  }
}

/** The L2 entries of a mapping by pages of 2 MiB, whose frames are such pages. */
function mapLargePages(
  xen: Hypervisor,
  p2m: P2m,
  layout: StartOfDayLayout,
  { va, pfn, pages }: Mapping,
): void {
  const { u32 } = xen.memory
  const { lo, hi } = layout.pageFlags
  for (let done = 0; done < pages; done += SLOTS) {
    const from = va + done * PAGE
    const mfn = p2m.get(pfn + done)
    const at = xen.memory.frameWords(p2m.get(tableFor(layout, 2, from))) + slotAt(from, 2) * 2
    u32[at] = entryLo(mfn, lo | D | PSE)
    u32[at + 1] = entryHi(mfn, hi)
  }
}

/** The flags of the entry that maps a page: a page table is mapped read-only. */
function pageFlags(layout: StartOfDayLayout): (pfn: number) => number {
  const { lo } = layout.pageFlags
  const tables = layout.mappings.map(tablePfns)
  return (pfn) => {
    if (contains(tables, pfn)) return lo & ~RW
    return contains(layout.dirty, pfn) ? lo | D : lo
  }
}

function contains(ranges: readonly PfnRange[], pfn: number): boolean {
  for (const { start, end } of ranges) if (pfn >= start && pfn < end) return true
  return false
}

/**
 * Give the frames in the tables their types, and the root to the domain's vCPU, which must be the hypervisor's current one:
 * its L4 is pinned and in use, everything else is held by the entry above it.
 */
export function takeTables(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout): void {
  if (layout.types === 'asBuilt') setTypes(xen, p2m, layout)
  else findTypes(xen, rootOf(p2m, layout))
  const root = rootOf(p2m, layout)
  initXenSlots(xen, root, xen.memory.frameWords(root))
  fillM2pSlot(xen, xen.memory.frameWords(root))
}

/** One reference of the pin and one of the vCPU. */
function findTypes(xen: Hypervisor, root: number): void {
  const record = xen.memory.record(root)
  for (let i = 0; i < 2; i++) {
    if (getPageType(xen, root, record, TYPE_CODE.l4) !== 0)
      throw new Error('a domain was built with bad tables')
    setRefsWord(xen, record, refsWordOf(xen, record) + 1)
  }
  setPinned(xen, record, true)
}

/** What the rules would find: a page that is mapped writable is writable, a table has the type of its level. */
function setTypes(xen: Hypervisor, p2m: P2m, { mappings }: StartOfDayLayout): void {
  const set = (mfn: number, type: number, refs: number): void => {
    const record = xen.memory.record(mfn)
    setTypeWord(xen, record, type | TYPE_VALIDATED)
    setRefsWord(xen, record, REF_ALLOCATED | refs)
  }
  const tables = mappings.map(tablePfns)
  const pages = mappings.map(({ pfn, pages }) => ({ start: pfn, end: pfn + pages }))
  for (const { start, end } of pages) {
    p2m.forEachRun(start, end - start, (pfn, mfn, count, step) => {
      for (let i = 0; i < count; i++) {
        if (!contains(tables, pfn + i)) set(mfn + i * step, (TYPE_CODE.writable << TYPE_SHIFT) | 1, 2)
      }
    })
  }
  for (const run of mappings.flatMap(({ tables }) => tables)) {
    for (let pfn = run.pfn; pfn < run.pfn + run.count; pfn++) {
      const mapped = contains(pages, pfn) ? 1 : 0
      const mfn = p2m.get(pfn)
      if (run.level === 4) set(mfn, (run.level << TYPE_SHIFT) | TYPE_PINNED | 2, 3 + mapped)
      else set(mfn, (run.level << TYPE_SHIFT) | 1, 2 + mapped)
    }
  }
}
