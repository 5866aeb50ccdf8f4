import { ENTRY_BYTES, PAGE, REGION, SLOTS, slotAt } from '../../bits/address.ts'
import { entryFrame, P } from '../../bits/pte.ts'
import { bytesOf, type Kernel } from '../kernel.ts'
import { anyMapped, anyRam } from '../memory/e820.ts'
import { mfnsToPfns, mfnToPfn } from '../memory/p2m.ts'
import { directVa, kernelVa, pfnOf, SYMBOLS } from '../symbols.ts'
import { allocLowPage, type OpenTable } from './alloc-low-page.ts'
import { earlyIounmap, earlyMemremap, type Slot } from './fixmap.ts'
import { readOnlyPfns } from './mask-rw-pte.ts'
import {
  allocPmdInit,
  allocPteInit,
  makeEntry,
  PAGE_KERNEL,
  PAGE_KERNEL_RO,
  setUpperEntry,
} from './pgtable.ts'
import { setPteInit } from './set-pte.ts'

/**
 * The direct map, built table by table: kernel_physical_mapping_init() of arch/x86/mm/init_64.c. `physical` arguments are
 * bytes. A table is linked only after everything below it is done: a GiB is reachable when its L2 is hooked into the L3,
 * and until then make_lowmem_page_readonly() cannot find its pages.
 */
export function kernelPhysicalMappingInit(kernel: Kernel, start: number, end: number): void {
  for (let at = start; at < end; at = next(at, 4)) {
    const slot = slotAt(REGION.directMap + at, 4)
    const l4 = kernelVa(SYMBOLS.init_level4_pgt)
    const limit = Math.min(next(at, 4), end)
    const existing = tableIn(kernel, l4, slot)
    if (existing !== null) {
      const pud = openTable(kernel, 0, existing)
      physPudInit(kernel, pud, at, limit)
      closeTable(kernel, pud)
      continue
    }
    const pud = allocLowPage(kernel, 0)
    physPudInit(kernel, pud, at, limit)
    closeTable(kernel, pud)
    allocPmdInit(kernel, pud.physical)
    setUpperEntry(kernel, SYMBOLS.init_level4_pgt, slot, pud.physical)
  }
}

/** One L3: a GiB at a time. A GiB that no entry of the map touches is left out. */
function physPudInit(kernel: Kernel, pud: OpenTable, start: number, end: number): void {
  for (let at = start; at < end; at = next(at, 3)) {
    const slot = slotAt(at, 3)
    const gib = at - (at % ENTRY_BYTES[3])
    if (!anyMapped(kernel.e820, gib, gib + ENTRY_BYTES[3])) {
      setUpperEntry(kernel, pud.physical, slot, null)
      continue
    }
    const existing = tableIn(kernel, pud.va, slot)
    if (existing !== null) {
      const pmd = openTable(kernel, 1, existing)
      physPmdInit(kernel, pmd, at, Math.min(next(at, 3), end), end)
      closeTable(kernel, pmd)
      continue
    }
    const pmd = allocLowPage(kernel, 1)
    physPmdInit(kernel, pmd, at, Math.min(next(at, 3), end), end)
    closeTable(kernel, pmd)
    // pud_populate(): only here does the GiB become reachable.
    allocPmdInit(kernel, pmd.physical)
    setUpperEntry(kernel, pud.physical, slot, pmd.physical)
    kernel.trace?.('pud_populate', { gib: at / ENTRY_BYTES[3], pfn: pfnOf(pmd.physical) })
  }
  if (kernel.generation.placement === 'brk') emptyRest(kernel, pud, 3, end)
}

/** One L2: a region of 2 MiB at a time. */
function physPmdInit(kernel: Kernel, pmd: OpenTable, start: number, limit: number, end: number): void {
  let at = start
  for (; at < limit; at = next(at, 2)) {
    const slot = slotAt(at, 2)
    const existing = tableIn(kernel, pmd.va, slot)
    if (existing !== null) {
      const pte = openTable(kernel, 2, existing)
      physPteInit(kernel, pte, at, end, false)
      closeTable(kernel, pte)
      continue
    }
    const pte = allocLowPage(kernel, 2)
    physPteInit(kernel, pte, at, end, true)
    closeTable(kernel, pte)
    // pmd_populate_kernel(): Xen validates the new table here, while the L2 above it may hang nowhere yet.
    allocPteInit(kernel, pte.physical)
    setUpperEntry(kernel, pmd.physical, slot, pte.physical)
  }
  if (at < end) return
  if (kernel.generation.placement === 'brk') emptyRest(kernel, pmd, 2, end)
  else {
    // The rest of the last L2 is emptied, entry by entry.
    for (let slot = Math.ceil((end % ENTRY_BYTES[3]) / ENTRY_BYTES[2]); slot !== 0 && slot < SLOTS; slot++) {
      setUpperEntry(kernel, pmd.physical, slot, null)
    }
  }
}

/**
 * Since 3.9 the map grows from the top down: what lies past the end of a call may be mapped already, and only entries
 * where no RAM is are emptied.
 */
function emptyRest(kernel: Kernel, table: OpenTable, level: 2 | 3, end: number): void {
  const bytes = ENTRY_BYTES[level]
  const base = end - 1 - ((end - 1) % ENTRY_BYTES[level === 2 ? 3 : 4])
  for (let slot = Math.ceil((end - base) / bytes); slot < SLOTS; slot++) {
    const at = base + slot * bytes
    if (!anyRam(kernel.e820, at, at + bytes)) setUpperEntry(kernel, table.physical, slot, null)
  }
}

const old = new Uint32Array(SLOTS * 2)
const frames = new Uint32Array(SLOTS * 2)
const pfns = new Uint32Array(SLOTS * 2)
const entries = new Uint32Array(SLOTS * 2)
// The same words, signed: such numbers stay in integer registers.
const frameWords = new Int32Array(frames.buffer)
const pfnWords = new Int32Array(pfns.buffer)
const entryWords = new Int32Array(entries.buffer)

/**
 * One L1: 512 entries, each through set_pte(). Entries that are there stay. Stores to one page in a row go out together,
 * which the machine carries out one after the other.
 */
function physPteInit(kernel: Kernel, table: OpenTable, start: number, end: number, isFresh: boolean): void {
  const first = start - (start % ENTRY_BYTES[2])
  kernel.trace?.('fill_region', {
    address: directVa(first),
    table: pfnOf(table.physical),
    buffer: { ...kernel.pgtBuf },
  })
  const from = slotAt(start, 1)
  const to = Math.min(SLOTS, Math.ceil((end - first) / PAGE))
  if (isFresh) {
    const what = kernel.p2m.region(pfnOf(first), frames)
    // Without a frame an entry is empty, and a fresh table is.
    if (what === 'empty') return
    if (what === 'plain' && fillPlain(kernel, table, from, to)) return
  }
  fillOneByOne(kernel, table, first, from, to)
}

/**
 * A fresh table for a region of ordinary memory, which nearly all are. False when one of its frames is not ordinary after
 * all, and nothing has been stored.
 */
function fillPlain(kernel: Kernel, table: OpenTable, from: number, to: number): boolean {
  for (let slot = from; slot < to; slot++) if (frameWords[slot * 2 + 1] !== 0) return false
  mfnsToPfns(kernel.vcpu, frames, pfns, from, to)
  const [roFrom, roTo] = readOnlyPfns(kernel, to - from)
  const count = Math.max(0, roTo - roFrom)
  const { lo, hi } = PAGE_KERNEL
  const readOnly = PAGE_KERNEL_RO.lo
  for (let at = from * 2, out = 0; at < to * 2; at += 2, out += 2) {
    const mfn = frameWords[at]
    const isReadOnly = (pfnWords[at] - roFrom) >>> 0 < count
    entryWords[out] = (mfn << 12) | (isReadOnly ? readOnly : lo)
    entryWords[out + 1] = (mfn >>> 20) | hi
  }
  kernel.vcpu.storeEntries(table.va + from * 8, entries, to - from)
  return true
}

/** Any other table: each entry looked at, looked up and stored for itself. */
function fillOneByOne(kernel: Kernel, table: OpenTable, first: number, from: number, to: number): void {
  const { vcpu } = kernel
  const tablePfn = pfnOf(table.physical)
  vcpu.loadEntries(table.va, old, SLOTS)
  const isEmpty = (slot: number): boolean => old[slot * 2] === 0 && old[slot * 2 + 1] === 0
  for (let slot = from; slot < to; slot++) {
    if (!isEmpty(slot)) continue
    const place = { va: table.va + slot * 8, tablePfn, slot }
    setPteInit(kernel, place, makeEntry(kernel, pfnOf(first) + slot, PAGE_KERNEL), false)
  }
  // Past the end of the call the page is emptied; since 3.9 only where no RAM is.
  for (let slot = to; slot < SLOTS; slot++) {
    if (isEmpty(slot)) continue
    const at = first + slot * PAGE
    if (kernel.generation.placement === 'brk' && anyRam(kernel.e820, at, at + PAGE)) continue
    vcpu.store64(table.va + slot * 8, 0, 0)
  }
}

/** A table that exists: through the direct map, or since 4b239f458c22 through a slot (map_low_page). */
function openTable(kernel: Kernel, slot: Slot, physical: number): OpenTable {
  if (kernel.generation.existingTables === 'direct-map')
    return { physical, va: directVa(physical), slot: null }
  return { physical, va: earlyMemremap(kernel, slot, physical), slot }
}

function closeTable(kernel: Kernel, table: OpenTable): void {
  if (table.slot !== null) earlyIounmap(kernel, table.slot)
}

/** Physical address of the table that an entry points to, or null when the entry is empty. */
export function tableIn(kernel: Kernel, tableVa: number, slot: number): number | null {
  const lo = kernel.vcpu.load64(tableVa + slot * 8)
  if ((lo & P) === 0) return null
  return bytesOf(mfnToPfn(kernel.vcpu, entryFrame(lo, kernel.vcpu.hi)))
}

/** Where the next entry of a level begins. */
function next(at: number, level: 2 | 3 | 4): number {
  const bytes = ENTRY_BYTES[level]
  return at - (at % bytes) + bytes
}
