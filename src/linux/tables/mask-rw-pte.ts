import type { Kernel } from '../kernel.ts'
import { markRwPastPgt } from './mark-rw-past-pgt.ts'

/**
 * Whether the entry about to be written may be writable: mask_rw_pte() of arch/x86/xen/mmu.c. The frames of tables must
 * never be, or Xen refuses to take them as tables.
 *
 * - A frame of the current buffer that is a table already, [start, end), is read-only in every generation with a mask.
 *   A frame of the tail, [end, top), will be a table later: only b9269dc7bfdf covers it. That difference is the seed.
 * - Through an early-ioremap slot every frame is read-only except the newest table, `end - 1`, which is being filled
 *   and is not a table yet (d8aa5ec3382e).
 *
 * @param pfn of the new entry, 0 when it is empty
 * @param isSlot the entry is one of the early-ioremap slots
 */
export function maskRwPte(kernel: Kernel, pfn: number, isSlot: boolean): boolean {
  const { generation } = kernel
  if (isSlot) {
    callMark(kernel, pfn === 0 ? 0 : 1)
    return generation.ioremapSlots === 'ro-except-newest' && pfn !== kernel.pgtBuf.end - 1
  }
  const [from, to] = readOnlyPfns(kernel, pfn === 0 ? 0 : 1)
  return pfn >= from && pfn < to
}

/**
 * The pfns [from, to) that an entry outside the slots may map only read-only, for `count` entries that are written while
 * the buffer stays as it is.
 */
export function readOnlyPfns(kernel: Kernel, count: number): readonly [from: number, to: number] {
  callMark(kernel, count)
  const { start, end, top } = kernel.pgtBuf
  const { readOnlyUpTo } = kernel.generation
  return readOnlyUpTo === 'none' ? [0, 0] : [start, readOnlyUpTo === 'top' ? top : end]
}

/** The workaround of the seed rides on this hook, but not for entries that are being cleared. */
function callMark(kernel: Kernel, times: number): void {
  if (kernel.generation.release === 'mark' && times > 0) markRwPastPgt(kernel, 'mask_rw_pte', times)
}
