import { PAGE, slotAt } from '../../bits/address.ts'
import { entryHi, entryLo } from '../../bits/pte.ts'
import { updateVaMapping } from '../hypercalls.ts'
import { bug, type Kernel } from '../kernel.ts'
import { kernelVa, pfnOf, SYMBOLS } from '../symbols.ts'
import { allocPteInit, IOMAP, makeEntry, PAGE_KERNEL, setUpperEntry } from './pgtable.ts'
import { setPteInit } from './set-pte.ts'

/**
 * The early-ioremap slots: four windows of 64 pages in the fixmap, all in one L1 (bm_pte), through which the kernel sees
 * pages that its direct map does not have yet. The L1 is a live table, mapped read-only, so each mapping is a store that
 * Xen carries out, entry checked; each unmapping a hypercall. Linux: arch/x86/mm/ioremap.c.
 *
 * The builder of the direct map nests at most three pages: slot 0 for the L3, slot 1 for the L2, slot 2 for the L1.
 */
const SLOT_PAGES = 64
/** Address of the first page of slot 0; the slots are 64 pages apart. */
const FIRST = 0xffff_ff47_9000

export type Slot = 0 | 1 | 2 | 3

function slotVa(slot: Slot): number {
  return FIRST + slot * SLOT_PAGES * PAGE
}

/** early_ioremap_init(): an empty bm_pte, linked below the fixmap's L2. */
export function earlyIoremapInit(kernel: Kernel): void {
  kernel.vcpu.clearPage(kernelVa(SYMBOLS.bm_pte))
  allocPteInit(kernel, SYMBOLS.bm_pte)
  // The kernel image's own address is in the kernel map too, which the direct map's L1s serve as well.
  setUpperEntry(kernel, SYMBOLS.level2_fixmap_pgt, slotAt(FIRST, 2), SYMBOLS.bm_pte)
}

/** early_memremap() of one page of memory (physical bytes, page aligned): the address it is mapped at. */
export function earlyMemremap(kernel: Kernel, slot: Slot, physical: number): number {
  const va = slotVa(slot)
  setPteInit(kernel, place(va), makeEntry(kernel, pfnOf(physical), PAGE_KERNEL), true)
  return va
}

/** early_ioremap() of `pages` frames of a device, or of firmware's tables: the frames are the machine's. */
export function earlyIoremap(kernel: Kernel, slot: Slot, frame: number, pages: number): number {
  for (let i = 0; i < pages; i++) {
    const entry = {
      lo: entryLo(frame + i, PAGE_KERNEL.lo | IOMAP),
      hi: entryHi(frame + i, PAGE_KERNEL.hi),
      pfn: frame + i,
    }
    setPteInit(kernel, place(slotVa(slot) + i * PAGE), entry, true)
  }
  return slotVa(slot)
}

/** early_iounmap(): pte_clear(), which under Xen is update_va_mapping(va, 0). */
export function earlyIounmap(kernel: Kernel, slot: Slot, pages = 1): void {
  for (let i = 0; i < pages; i++) {
    if (updateVaMapping(kernel.vcpu, slotVa(slot) + i * PAGE, 0, 0) !== 0) bug(kernel.vcpu, 'xen_set_pte_at')
  }
}

function place(va: number): { va: number; tablePfn: number; slot: number } {
  const slot = slotAt(va, 1)
  return { va: kernelVa(SYMBOLS.bm_pte) + slot * 8, tablePfn: pfnOf(SYMBOLS.bm_pte), slot }
}
