import { PAGE } from '../../bits/address.ts'
import { type Kernel, printk } from '../kernel.ts'
import { directVa } from '../symbols.ts'

/**
 * early_memtest(): with `memtest=N` on the command line, write to all memory in [start, end) that nobody has reserved.
 * What is written does not matter here, that it is does: a tail that is still read-only faults. Linux ends with a
 * pattern of zeros, which is what the model writes, once.
 */
export function earlyMemtest(kernel: Kernel, start: number, end: number): void {
  const passes = Number(/(?:^|\s)memtest=(\d+)/.exec(kernel.commandLine)?.[1] ?? 0)
  if (passes === 0) return
  printk(kernel, `early_memtest: # of tests: ${passes}`)
  for (const region of kernel.memblock.memory) {
    let at = Math.ceil(Math.max(region.base, start) / PAGE) * PAGE
    const regionEnd = Math.min(region.end, end)
    while (at + PAGE <= regionEnd) {
      const taken = kernel.memblock.reserved.find((r) => r.end > at && r.base < at + PAGE)
      if (taken !== undefined) {
        at = Math.ceil(taken.end / PAGE) * PAGE
        continue
      }
      const next = kernel.memblock.reserved.find((r) => r.base >= at)
      const freeEnd = Math.min(regionEnd, next?.base ?? regionEnd)
      for (; at + PAGE <= freeEnd; at += PAGE) kernel.vcpu.clearPage(directVa(at))
      if (at + PAGE > freeEnd && freeEnd < regionEnd) at = Math.max(at, freeEnd)
    }
  }
}
