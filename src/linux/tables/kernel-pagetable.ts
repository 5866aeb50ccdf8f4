import { ENTRY_BYTES, PAGE, REGION, SLOTS, slotAt } from '../../bits/address.ts'
import { entryFrame, entryHi, entryLo, P } from '../../bits/pte.ts'
import { MMUEXT } from '../../xen/abi.ts'
import { mmuextOp, updateVaMapping } from '../hypercalls.ts'
import { bug, bytesOf, type Kernel } from '../kernel.ts'
import { mfnToPfn } from '../memory/p2m.ts'
import { kernelVa, pfnOf, SYMBOLS } from '../symbols.ts'
import {
  KERNEL_TABLE,
  makeEntry,
  PAGE_KERNEL_EXEC,
  PAGE_KERNEL_RO,
  pinPagetablePfn,
  setUpperEntry,
} from './pgtable.ts'

/** L1 pages that the image has for the first part of the direct map: LEVEL1_IDENT_ENTRIES is 4 * 512. */
export const IDENT_L1_PAGES = 4

const IMAGE_TABLES = [
  SYMBOLS.init_level4_pgt,
  SYMBOLS.level3_ident_pgt,
  SYMBOLS.level3_kernel_pgt,
  SYMBOLS.level3_user_vsyscall,
  SYMBOLS.level2_kernel_pgt,
  SYMBOLS.level2_fixmap_pgt,
] as const

/**
 * xen_setup_kernel_pagetable(): from the tables that Xen built to the kernel's own. The kernel map keeps Xen's L1s; the
 * direct map shares them, and gets four L1s more.
 */
export function xenSetupKernelPagetable(kernel: Kernel): void {
  const { vcpu, generation } = kernel
  if (generation.firstMapped === 'mfn-list') kernel.maxPfnMapped = pfnOf(kernel.mfnList)

  linkImageTables(kernel)
  const xenL2 = tableBelow(
    kernel,
    tableBelow(kernel, kernel.ptBase, REGION.kernelMap, 4),
    REGION.kernelMap,
    3,
  )
  copyTable(kernel, xenL2, SYMBOLS.level2_ident_pgt)
  copyTable(kernel, xenL2, SYMBOLS.level2_kernel_pgt)
  const last = mapIdentityEarly(kernel)
  if (generation.firstMapped === 'ident-map') kernel.maxPfnMapped = last

  for (const table of IMAGE_TABLES) setPageReadonly(kernel, table)
  pinPagetablePfn(kernel, MMUEXT.PIN_L4_TABLE, pfnOf(SYMBOLS.init_level4_pgt))
  pinPagetablePfn(kernel, MMUEXT.UNPIN_TABLE, pfnOf(kernel.ptBase))
  const root = kernel.p2m.mfn(pfnOf(SYMBOLS.init_level4_pgt))
  if (mmuextOp(vcpu, MMUEXT.NEW_BASEPTR, root) !== 0) bug(vcpu, '__xen_write_cr3')
  kernel.memblock.reserve(kernel.ptBase, kernel.ptBase + kernel.nrPtFrames * PAGE)
}

/** The image's tables, linked as head_64.S links them but with machine frames. L4 slot 0 stays empty under Xen. */
function linkImageTables(kernel: Kernel): void {
  const link = (table: number, slot: number, target: number): void => {
    const mfn = kernel.p2m.mfn(pfnOf(target))
    kernel.vcpu.store64(kernelVa(table) + slot * 8, entryLo(mfn, KERNEL_TABLE | 4), entryHi(mfn))
  }
  link(SYMBOLS.init_level4_pgt, slotAt(REGION.directMap, 4), SYMBOLS.level3_ident_pgt)
  link(SYMBOLS.init_level4_pgt, slotAt(REGION.kernelMap, 4), SYMBOLS.level3_kernel_pgt)
  link(SYMBOLS.level3_ident_pgt, 0, SYMBOLS.level2_ident_pgt)
  link(SYMBOLS.level3_kernel_pgt, slotAt(REGION.kernelMap, 3), SYMBOLS.level2_kernel_pgt)
  link(SYMBOLS.level3_kernel_pgt, slotAt(REGION.kernelMap, 3) + 1, SYMBOLS.level2_fixmap_pgt)
}

/** Physical address of the table that the entry for `va` in a table of `level` points to: m2v(), through the M2P. */
function tableBelow(kernel: Kernel, table: number, va: number, level: 4 | 3): number {
  const lo = kernel.vcpu.load64(kernelVa(table) + slotAt(va, level) * 8)
  return bytesOf(mfnToPfn(kernel.vcpu, entryFrame(lo, kernel.vcpu.hi)))
}

function copyTable(kernel: Kernel, from: number, to: number): void {
  const entries = new Uint32Array(SLOTS * 2)
  kernel.vcpu.loadEntries(kernelVa(from), entries, SLOTS)
  kernel.vcpu.storeEntries(kernelVa(to), entries, SLOTS)
}

/**
 * xen_map_identity_early(): extend the direct map past what Xen mapped by up to four L1s from the brk. Returns the last
 * pfn that it went over, which generation A takes for the end of what is mapped.
 */
function mapIdentityEarly(kernel: Kernel): number {
  const { vcpu } = kernel
  const fresh: number[] = []
  let pfn = 0
  for (let slot = 0; slot < SLOTS && pfn < kernel.nrPages; slot++) {
    const at = kernelVa(SYMBOLS.level2_ident_pgt) + slot * 8
    if ((vcpu.load64(at) & P) !== 0) {
      // Xen's L1s have every entry already: v_end is a multiple of what one maps.
      pfn += SLOTS
      continue
    }
    if (fresh.length === IDENT_L1_PAGES) break
    const table = SYMBOLS.brk + kernel.brkPages++ * PAGE
    fresh.push(table)
    vcpu.clearPage(kernelVa(table))
    const mfn = kernel.p2m.mfn(pfnOf(table))
    vcpu.store64(at, entryLo(mfn, KERNEL_TABLE | 4), entryHi(mfn))
    for (let i = 0; i < SLOTS; i++, pfn++) {
      const entry = makeEntry(kernel, pfn, PAGE_KERNEL_EXEC)
      vcpu.store64(kernelVa(table) + i * 8, entry.lo, entry.hi)
    }
  }
  for (const table of fresh) setPageReadonly(kernel, table)
  setPageReadonly(kernel, SYMBOLS.level2_ident_pgt)
  return pfn - 1
}

/** set_page_prot(page, PAGE_KERNEL_RO), on the page's address in the kernel map. */
function setPageReadonly(kernel: Kernel, table: number): void {
  const { lo, hi } = makeEntry(kernel, pfnOf(table), PAGE_KERNEL_RO)
  if (updateVaMapping(kernel.vcpu, kernelVa(table), lo, hi) !== 0) bug(kernel.vcpu, 'set_page_prot')
}

/**
 * cleanup_highmap() (e5f15b45ddf3): drop what of the kernel map lies below the image, and between it and the mfn list.
 */
export function cleanupHighmap(kernel: Kernel): void {
  const step = ENTRY_BYTES[2]
  const imageEnd = Math.ceil(kernel.kernelEnd / step) * step - 1
  for (let at = 0; at + step - 1 < bytesOf(kernel.maxPfnMapped); at += step) {
    if (at >= SYMBOLS.text && at <= imageEnd) continue
    const slot = at / step
    if ((kernel.vcpu.load64(kernelVa(SYMBOLS.level2_kernel_pgt) + slot * 8) & P) === 0) continue
    setUpperEntry(kernel, SYMBOLS.level2_kernel_pgt, slot, null)
  }
}
