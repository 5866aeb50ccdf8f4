import { PAGE, slotAt } from '../bits/address.ts'
import { bytesOf, type Kernel, panic, printk } from './kernel.ts'
import type { BootMemory } from './memory/bootmem.ts'
import { findDmaReserve, initZones, sparseInit } from './memory/sparse-init.ts'
import { directVa, SYMBOLS } from './symbols.ts'
import { tableIn } from './tables/direct-map.ts'
import { allocPmdInit, allocPteInit, mapVmemmap, setUpperEntry } from './tables/pgtable.ts'

/**
 * From the node's own structure to the run-time operations: what setup_arch() allocates from the top of memory and writes to,
 * and the tables of the vmemmap, which are made with the init-time operations. Linux: paging_init().
 */
export function pagingInit(kernel: Kernel): void {
  const memory = bootMemory(kernel)
  const { memoryModel } = kernel.generation
  kernel.stage = 'memblock_find_dma_reserve'
  findDmaReserve(memory)
  kernel.stage = 'sparse_init'
  if (memoryModel !== 'flatmem') {
    sparseInit(memory, memoryModel, {
      root: SYMBOLS.init_level4_pgt,
      below: (table, level, va) => tableIn(kernel, directVa(table), slotAt(va, level)),
      link: (table, level, va, page) => {
        if (level === 2) allocPteInit(kernel, page)
        else allocPmdInit(kernel, page)
        setUpperEntry(kernel, table, slotAt(va, level), page)
      },
      map: (va, page, count) => mapVmemmap(kernel, va, page, count),
    })
  }
  kernel.stage = 'free_area_init_nodes'
  initZones(memory, memoryModel)
}

function bootMemory(kernel: Kernel): BootMemory {
  return {
    memblock: kernel.memblock,
    limit: bytesOf(kernel.maxPfnMapped),
    nodeEnd: bytesOf(kernel.maxPfn),
    clear: (base, bytes) => clear(kernel, base, bytes),
    outOfMemory: (bytes) => {
      printk(kernel, `bootmem alloc of ${bytes} bytes failed!`)
      panic(kernel, 'Out of memory')
    },
  }
}

/** memset() of physical bytes through the direct map: whole pages, and the words of those that are not. */
function clear(kernel: Kernel, base: number, bytes: number): void {
  const end = base + bytes
  for (let at = base; at < end; ) {
    if (at % PAGE === 0 && at + PAGE <= end) {
      kernel.vcpu.clearPage(directVa(at))
      at += PAGE
    } else {
      kernel.vcpu.store64(directVa(at), 0, 0)
      at += 8
    }
  }
}
