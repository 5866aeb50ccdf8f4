import { PAGE, TWO_32 } from '../../bits/address.ts'
import type { Memblock } from './memblock.ts'

/**
 * The boot-time allocator of x86-64 since 2.6.34, without a bitmap (CONFIG_NO_BOOTMEM): it hands out what memblock has
 * free, from the top down, and clears it. All numbers are bytes of pseudo-physical memory.
 */
export type BootMemory = {
  readonly memblock: Memblock
  /** One past the last byte of the direct map: memblock.current_limit. */
  readonly limit: number
  /** One past the last byte of the only node. */
  readonly nodeEnd: number
  /** memset() to zeros, through the direct map: where the page is read-only it faults. */
  readonly clear: (base: number, bytes: number) => void
  /** Nothing is left for somebody who cannot go on without. */
  readonly outOfMemory: (bytes: number) => never
}

/** Alignment of what asks for none: SMP_CACHE_BYTES. */
export const CACHE_LINE = 64
/** Where a search begins that has no wish of its own, so that memory for old devices stays free: MAX_DMA_ADDRESS. */
export const DMA_END = 0x100_0000

/**
 * The highest free place, reserved and cleared, or null: __alloc_memory_core_early(). Only whole pages of RAM count, and a
 * place below `goal` is none.
 */
function allocCore(memory: BootMemory, size: number, align: number, goal: number): number | null {
  const base = findCore(memory.memblock, goal, memory.limit, size, align)
  if (base === null) return null
  memory.clear(base, size)
  memory.memblock.reserve(base, base + size)
  return base
}

/** find_memory_core_early(): the node's ranges of whole pages, the highest first. */
export function findCore(
  memblock: Memblock,
  goal: number,
  limit: number,
  size: number,
  align: number,
): number | null {
  for (const { start, end } of activeRanges(memblock).reverse()) {
    const from = Math.max(start, goal)
    const to = Math.min(end, limit)
    if (from >= to) continue
    const base = memblock.findInRange(from, to, size, align)
    if (base !== null) return base
  }
  return null
}

/** The ranges of whole pages of RAM, in order: early_node_map[], with one node. */
export function activeRanges(memblock: Memblock): { start: number; end: number }[] {
  return memblock.memory
    .map(({ base, end }) => ({ start: Math.ceil(base / PAGE) * PAGE, end: Math.floor(end / PAGE) * PAGE }))
    .filter(({ start, end }) => start < end)
}

/** alloc_bootmem(): anywhere, below `goal` only where there is nothing above it. */
export function allocBootmem(memory: BootMemory, size: number): number {
  return (
    allocCore(memory, size, CACHE_LINE, DMA_END) ??
    allocCore(memory, size, CACHE_LINE, 0) ??
    memory.outOfMemory(size)
  )
}

/** alloc_bootmem_node(): never below the goal; null where there is nothing. */
export function allocBootmemNode(memory: BootMemory, size: number, align = CACHE_LINE): number | null {
  return allocCore(memory, size, align, DMA_END)
}

/** __alloc_bootmem_node_high(): above 4 GiB where the node reaches so far. */
export function allocBootmemHigh(memory: BootMemory, size: number, align: number): number | null {
  const high = memory.nodeEnd > TWO_32 ? allocCore(memory, size, align, TWO_32) : null
  return high ?? allocBootmemNode(memory, size, align)
}
