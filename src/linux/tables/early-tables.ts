import { ENTRY_BYTES, PAGE } from '../../bits/address.ts'
import type { Generation } from '../generation.ts'
import { bytesOf, hex64Of, type Kernel, panic, printk } from '../kernel.ts'
import { earlyMemtest } from '../memory/memtest.ts'
import { pfnOf } from '../symbols.ts'
import { kernelPhysicalMappingInit } from './direct-map.ts'
import { setRwTheRange } from './mark-rw-past-pgt.ts'

/**
 * Pages for the tables that map [0, end): find_early_table_space()'s sum. Under Xen PV there are only 4 KiB pages, and
 * the start of a call is not looked at, so that the second call is sized for everything below it too.
 */
export function earlyTablePages(end: number): number {
  const tables = (entryBytes: number): number => Math.ceil((Math.ceil(end / entryBytes) * 8) / PAGE)
  return tables(ENTRY_BYTES[3]) + tables(ENTRY_BYTES[2]) + tables(ENTRY_BYTES[1])
}

/** The same since 844ab6f993b1: for the range [start, end) that is to be mapped alone. */
export function earlyTablePagesOf(start: number, end: number): number {
  return earlyTablePages(end - start)
}

/** Pages that a call sizes its buffer for, by the generation's rule. */
export function bufferPages(generation: Generation, start: number, end: number): number {
  return generation.sizing === 'ranges' ? earlyTablePagesOf(start, end) : earlyTablePages(end)
}

/** find_early_table_space(): where the tables of a call go. The search is from the top down. */
function findEarlyTableSpace(kernel: Kernel, start: number, end: number): void {
  const { generation } = kernel
  const pages = bufferPages(generation, start, end)
  const highest = generation.placement === 'high' ? end : bytesOf(kernel.maxPfnMapped)
  const base = kernel.memblock.findInRange(generation.searchFrom, highest, pages * PAGE, PAGE)
  if (base === null) panic(kernel, 'Cannot find space for the kernel page tables')
  kernel.pgtBuf.start = pfnOf(base)
  kernel.pgtBuf.end = pfnOf(base)
  kernel.pgtBuf.top = pfnOf(base) + pages
  kernel.trace?.('find_early_table_space', { bytes: end, pages, buffer: { ...kernel.pgtBuf } })
  const to = (base + pages * PAGE).toString(16)
  printk(kernel, `kernel direct mapping tables up to ${end.toString(16)} @ ${base.toString(16)}-${to}`)
}

/**
 * init_memory_mapping(start, end): map all of it at PAGE_OFFSET, in generations A to D2. Bytes; returns the last pfn
 * that is mapped.
 */
export function initMemoryMapping(kernel: Kernel, start: number, end: number): number {
  printk(kernel, `init_memory_mapping: ${hex64Of(start)}-${hex64Of(end)}`)
  const ten = (n: number): string => n.toString(16).padStart(10, '0')
  printk(kernel, ` ${ten(start)} - ${ten(end)} page 4k`)
  kernel.mappingCall++
  findEarlyTableSpace(kernel, start, end)
  const { pgtBuf } = kernel
  kernel.calls.push({ buffer: pgtBuf, startByte: start, endByte: end })
  kernelPhysicalMappingInit(kernel, start, end)
  if (pgtBuf.end > pgtBuf.start) pagetableReserve(kernel)
  const call = kernel.calls.length - 1
  kernel.calls[call] = { ...kernel.calls[call], buffer: { ...pgtBuf } }
  earlyMemtest(kernel, start, end)
  return pfnOf(end)
}

/**
 * The used part of the buffer is reserved; the tail is not, and the allocator may hand it out again. With 279b706bf800
 * the same call gives the tail its write permission back: xen_mapping_pagetable_reserve().
 */
function pagetableReserve(kernel: Kernel): void {
  const { start, end, top } = kernel.pgtBuf
  kernel.memblock.reserve(bytesOf(start), bytesOf(end))
  kernel.trace?.('pagetable_reserve', { start, end, top })
  if (kernel.generation.release === 'hook') setRwTheRange(kernel, end, top)
}
