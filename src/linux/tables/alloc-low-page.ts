import { PAGE } from '../../bits/address.ts'
import { bytesOf, type Kernel, panic } from '../kernel.ts'
import { directVa, pfnOf } from '../symbols.ts'
import { earlyMemremap, type Slot } from './fixmap.ts'

/** A table that the kernel has a mapping of: physical bytes, address, and the early-ioremap slot it occupies, if any. */
export type OpenTable = { readonly physical: number; readonly va: number; readonly slot: Slot | null }

/** alloc_low_page(): an empty page for a table. */
export function allocLowPage(kernel: Kernel, slot: Slot): OpenTable {
  return kernel.generation.placement === 'brk' ? fromMappedMemory(kernel) : fromBuffer(kernel, slot)
}

/** The next page of the buffer, mapped through a slot and cleared. `end` moves first: the page counts as a table. */
function fromBuffer(kernel: Kernel, slot: Slot): OpenTable {
  const { pgtBuf } = kernel
  const pfn = pgtBuf.end++
  if (pfn >= pgtBuf.top) panic(kernel, 'alloc_low_page: ran out of memory')
  const physical = bytesOf(pfn)
  const va = earlyMemremap(kernel, slot, physical)
  kernel.vcpu.clearPage(va)
  return { physical, va, slot }
}

/**
 * Since 3.9 (8d57470d8f85): a page that the direct map has already, from the brk first, then from what has been mapped.
 * So it can be made read-only when it becomes a table, and there is no buffer, no tail and no mask.
 */
function fromMappedMemory(kernel: Kernel): OpenTable {
  const { pgtBuf, memblock } = kernel
  let physical: number
  if (kernel.canUseBrk && pgtBuf.end + 1 < pgtBuf.top) physical = bytesOf(pgtBuf.end++)
  else {
    const found = memblock.findInRange(bytesOf(kernel.minPfnMapped), bytesOf(kernel.maxPfnMapped), PAGE, PAGE)
    if (found === null) panic(kernel, 'alloc_low_page: can not alloc memory')
    memblock.reserve(found, found + PAGE)
    physical = found
  }
  kernel.tablesTaken++
  kernel.trace?.('alloc_low_page', { pfn: pfnOf(physical) })
  const va = directVa(physical)
  kernel.vcpu.clearPage(va)
  return { physical, va, slot: null }
}
