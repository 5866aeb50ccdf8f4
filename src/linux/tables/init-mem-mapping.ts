import { ENTRY_BYTES, PAGE } from '../../bits/address.ts'
import { bytesOf, type Kernel, panic, printk } from '../kernel.ts'
import { earlyMemtest } from '../memory/memtest.ts'
import { pfnOf, SYMBOLS } from '../symbols.ts'
import { kernelPhysicalMappingInit } from './direct-map.ts'

export const ISA_END = 0x10_0000
/** Pages of the brk for the first tables; the check that 3.9 had leaves the last of them unused. */
export const BRK_TABLES = 6
/** How much the step grows once a round has mapped more than all before: 32 times. */
export const STEP_SHIFT = 5

/** early_alloc_pgt_buf(): the first pages for tables come from the kernel's own bss, which is mapped from the start. */
export function earlyAllocPgtBuf(kernel: Kernel): void {
  const start = pfnOf(SYMBOLS.brk) + kernel.brkPages
  kernel.brkPages += BRK_TABLES
  Object.assign(kernel.pgtBuf, { start, end: start, top: start + BRK_TABLES })
}

/**
 * init_mem_mapping() of 3.9 and later: from the top of memory down, in growing steps, so that each round has mapped
 * memory to take its tables from. Only RAM is mapped. The XEN EXTRA region at the very top is reserved, cannot serve
 * for tables, and comes last.
 */
export function initMemMapping(kernel: Kernel): void {
  const end = bytesOf(kernel.maxPfn)
  mapRange(kernel, 0, ISA_END)
  const found = kernel.memblock.findInRange(ISA_END, end, ENTRY_BYTES[2], PAGE)
  if (found === null) panic(kernel, 'Cannot find space for the kernel page tables')
  const realEnd = found + ENTRY_BYTES[2]
  let step = ENTRY_BYTES[2] as number
  let mapped = 0
  let last = realEnd
  kernel.maxPfnMapped = 0
  kernel.minPfnMapped = pfnOf(realEnd)
  while (last > ISA_END) {
    const start = last > step ? Math.max(ISA_END, Math.floor((last - 1) / step) * step) : ISA_END
    const added = mapRam(kernel, start, last)
    last = start
    kernel.minPfnMapped = pfnOf(last)
    if (added > mapped) step *= 2 ** STEP_SHIFT
    mapped += added
  }
  if (realEnd < end) mapRam(kernel, realEnd, end)
  kernel.maxLowPfn = kernel.maxPfn
  earlyMemtest(kernel, 0, end)
}

/** init_range_memory_mapping(): the RAM of [start, end), ascending. Returns the bytes mapped. */
function mapRam(kernel: Kernel, start: number, end: number): number {
  let total = 0
  for (const region of kernel.memblock.memory) {
    const from = Math.max(start, Math.ceil(region.base / PAGE) * PAGE)
    const to = Math.min(end, Math.floor(region.end / PAGE) * PAGE)
    if (from >= to) continue
    // The brk's unused pages must not be taken while they are being mapped themselves.
    const { pgtBuf } = kernel
    kernel.canUseBrk = Math.max(from, bytesOf(pgtBuf.end)) >= Math.min(to, bytesOf(pgtBuf.top))
    mapRange(kernel, from, to)
    total += to - from
    kernel.canUseBrk = true
  }
  return total
}

function mapRange(kernel: Kernel, start: number, end: number): void {
  const mem = (from: number, to: number): string => `[mem ${ten(from)}-${ten(to - 1)}]`
  printk(kernel, `init_memory_mapping: ${mem(start, end)}`)
  printk(kernel, ` ${mem(start, end)} page 4k`)
  kernelPhysicalMappingInit(kernel, start, end)
  kernel.maxPfnMapped = Math.max(kernel.maxPfnMapped, pfnOf(end))
}

/** %#010lx: ten characters with the 0x. */
function ten(n: number): string {
  return `0x${n.toString(16).padStart(8, '0')}`
}
