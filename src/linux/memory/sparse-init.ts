import { PAGE, REGION } from '../../bits/address.ts'
import type { MemoryModel } from '../generation.ts'
import { activeRanges, allocBootmem, allocBootmemHigh, allocBootmemNode, type BootMemory } from './bootmem.ts'

/**
 * The memory map of the page allocator, a `struct page` for each frame, and how it is found: mm/sparse.c and
 * mm/sparse-vmemmap.c of 2.6.38 and 2.6.39. Which page it asks memory for, and in which order, decides which pages become
 * tables of the vmemmap. The numbers are those of kernels without memory hotplug, huge pages of hugetlbfs and the memory
 * controller of cgroups, each of which changes a size by less than a page on a guest of up to 16 GiB.
 */

/** Bytes of memory in a section, and of sections that x86-64 has room for: 46 bits of physical address. */
const SECTION = 2 ** 27
const NR_SECTIONS = 2 ** (46 - 27)
/** Bytes of one struct page. */
const PAGE_STRUCT = 56
/** Bytes of the `struct page`s of a section: 448 pages. */
const SECTION_MAP = (SECTION / PAGE) * PAGE_STRUCT
/** Sections in a page of the table of sections: SPARSEMEM_EXTREME makes these pages as they are needed. */
const SECTIONS_PER_ROOT = PAGE / 16
/** Bytes of the flags of a section's blocks of pages. */
const USEMAP = 16
const POINTER = 8
const TABLE_SPAN = 2 ** 21

/** The tables that map the vmemmap, by their physical addresses in bytes. */
export type VmemmapTables = {
  /** The table at the top. */
  readonly root: number
  /** The table below the entry of a table of `level` for `va`, or null. */
  below(table: number, level: 4 | 3 | 2, va: number): number | null
  /** A cleared page becomes that table. */
  link(table: number, level: 4 | 3 | 2, va: number, page: number): void
  /** Map `count` pages in a row, which one L1 holds, to pages in a row. */
  map(va: number, page: number, count: number): void
}

/** paging_init() up to the zones: the sections that have memory, and their part of the memory map. */
export function sparseInit(memory: BootMemory, model: MemoryModel, tables: VmemmapTables): void {
  const sections = memoryPresent(memory)
  const usemapMap = allocBootmem(memory, POINTER * NR_SECTIONS)
  allocBootmemNode(memory, USEMAP * sections.length)
  const mapMap = allocBootmem(memory, POINTER * NR_SECTIONS)
  if (model === 'sparsemem-vmemmap') populateVmemmap(memory, sections, tables)
  else allocateMaps(memory, sections.length)
  memory.memblock.free(mapMap, mapMap + POINTER * NR_SECTIONS)
  memory.memblock.free(usemapMap, usemapMap + POINTER * NR_SECTIONS)
}

/** memory_present(): the numbers of the sections in which there is memory, in order. */
function memoryPresent(memory: BootMemory): number[] {
  const sections: number[] = []
  const roots = new Set<number>()
  for (const { start, end } of activeRanges(memory.memblock)) {
    for (let section = Math.floor(start / SECTION); section * SECTION < end; section++) {
      if (section === sections.at(-1)) continue
      sections.push(section)
      const root = Math.floor(section / SECTIONS_PER_ROOT)
      if (roots.has(root)) continue
      roots.add(root)
      // sparse_index_alloc(); what it gives is stored to in any case.
      if (allocBootmemNode(memory, PAGE) === null) memory.outOfMemory(PAGE)
    }
  }
  return sections
}

/** Without a vmemmap: an array for all sections, or else one for each. */
function allocateMaps(memory: BootMemory, count: number): void {
  if (allocBootmemHigh(memory, SECTION_MAP * count, PAGE) !== null) return
  for (let i = 0; i < count; i++) allocBootmemHigh(memory, SECTION_MAP, PAGE)
}

/**
 * sparse_mem_maps_populate_node(): memory for all sections at once, then page by page into the tables, which are taken one by
 * one from the top of what is free. There are no entries of 2 MiB under Xen.
 */
function populateVmemmap(memory: BootMemory, sections: readonly number[], tables: VmemmapTables): void {
  const bytes = Math.ceil(SECTION_MAP / TABLE_SPAN) * TABLE_SPAN * sections.length
  const buffer = allocBootmemHigh(memory, bytes, TABLE_SPAN)
  let next = buffer ?? 0
  for (const section of sections) {
    const start = REGION.vmemmap + section * SECTION_MAP
    const end = start + SECTION_MAP
    for (let va = start; va < end; ) {
      const to = Math.min(end, va - (va % TABLE_SPAN) + TABLE_SPAN)
      // Where a table finds no page the kernel goes on without the section.
      if (!populateTables(memory, tables, va)) break
      if (buffer !== null) {
        tables.map(va, next, (to - va) / PAGE)
        next += to - va
      } else if (!mapSinglePages(memory, tables, va, to)) break
      va = to
    }
  }
  if (buffer !== null) memory.memblock.free(next, buffer + bytes)
}

function mapSinglePages(memory: BootMemory, tables: VmemmapTables, from: number, to: number): boolean {
  for (let va = from; va < to; va += PAGE) {
    const page = allocBootmemHigh(memory, PAGE, PAGE)
    if (page === null) return false
    tables.map(va, page, 1)
  }
  return true
}

/** vmemmap_pgd_populate() to vmemmap_pmd_populate(): the tables on the way to an entry, made where they are missing. */
function populateTables(memory: BootMemory, tables: VmemmapTables, va: number): boolean {
  let table = tables.root
  for (const level of [4, 3, 2] as const) {
    const below = tables.below(table, level, va)
    if (below !== null) {
      table = below
      continue
    }
    const page = allocBootmemHigh(memory, PAGE, PAGE)
    if (page === null) return false
    tables.link(table, level, va, page)
    table = page
  }
  return true
}

/** Pages (pfns) at which the zones end: ZONE_DMA, ZONE_DMA32, ZONE_NORMAL. */
const ZONE_ENDS = [0x1000, 0x10_0000, Number.POSITIVE_INFINITY]
const PAGES_PER_WAIT_QUEUE = 256
const WAIT_QUEUE_HEAD = 24
/** Pages of the largest block that the page allocator has, and bits of flags that it keeps for each. */
const BLOCK_PAGES = 1024
const BLOCK_BITS = 3

/** free_area_init_nodes(): the node's one array where there are no sections, and what each zone has. */
export function initZones(memory: BootMemory, model: MemoryModel): void {
  const first = (activeRanges(memory.memblock)[0]?.start ?? 0) / PAGE
  const last = memory.nodeEnd / PAGE
  if (model === 'flatmem') {
    const from = first - (first % BLOCK_PAGES)
    const pages = Math.ceil((last - from) / BLOCK_PAGES) * BLOCK_PAGES
    if (allocBootmemNode(memory, pages * PAGE_STRUCT) === null) memory.outOfMemory(pages * PAGE_STRUCT)
  }
  let start = first
  for (const end of ZONE_ENDS) {
    const size = Math.min(end, last) - start
    if (size <= 0) continue
    if (model === 'flatmem')
      allocBootmemNode(memory, Math.ceil((Math.ceil(size / BLOCK_PAGES) * BLOCK_BITS) / 64) * 8)
    const bytes = waitQueues(size) * WAIT_QUEUE_HEAD
    if (allocBootmemNode(memory, bytes) === null) memory.outOfMemory(bytes)
    start = Math.min(end, last)
  }
}

/** wait_table_hash_nr_entries(). */
function waitQueues(pages: number): number {
  let size = 1
  while (size < Math.floor(pages / PAGES_PER_WAIT_QUEUE)) size *= 2
  return Math.max(4, Math.min(4096, size))
}

/** struct range, of which the kernel wants two for each region of memblock. */
const RANGE = 16

/**
 * memblock_find_dma_reserve(): count what is free below 16 MiB, in an array that lies in free memory and is never reserved.
 * It is written to all the same. Kernels since 3.2 count without one.
 */
export function findDmaReserve(memory: BootMemory): void {
  const { memblock, limit } = memory
  const bytes = RANGE * 2 * (memblock.reserved.length + memblock.memory.length)
  const base = memblock.findInRange(0, limit, bytes, RANGE)
  if (base === null) memory.outOfMemory(bytes)
  else memory.clear(base, bytes)
}
