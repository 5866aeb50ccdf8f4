import { PAGE, slotAt } from '../../bits/address.ts'
import { entryFrame, entryHi, entryLo, P, PSE, RW } from '../../bits/pte.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { MMUEXT } from '../../xen/abi.ts'
import { mmuextOp, mmuUpdate, updateVaMapping } from '../hypercalls.ts'
import { bug, bytesOf, type Kernel } from '../kernel.ts'
import { IDENTITY, INVALID_P2M, mfnToPfn } from '../memory/p2m.ts'
import { directVa, kernelVa, pfnOf, SYMBOLS } from '../symbols.ts'

/**
 * Entries and tables as a Xen kernel handles them before its allocator is up: the init-time operations of
 * arch/x86/xen/mmu.c. Under Xen the kernel's global bit is masked off, so PAGE_KERNEL is NX, D, A, RW, P.
 */
export const PAGE_KERNEL = { lo: 0x063, hi: 0x8000_0000 }
export const PAGE_KERNEL_RO = { lo: 0x061, hi: 0x8000_0000 }
export const PAGE_KERNEL_EXEC = { lo: 0x063, hi: 0 }
/** _KERNPG_TABLE: what an upper entry has. */
export const KERNEL_TABLE = 0x063
/** _PAGE_IOMAP: the frame is a machine's, not a pseudo-physical one. */
export const IOMAP = 0x400

/** A page-table entry on its way: `pfn` is what pte_pfn() makes of it, 0 for an empty one. */
export type Entry = { lo: number; hi: number; pfn: number }

/** pfn_pte(): an entry for a pfn; empty when the p2m has no frame for it (xen_make_pte). */
export function makeEntry(kernel: Kernel, pfn: number, prot: { lo: number; hi: number }): Entry {
  const mfn = kernel.p2m.get(pfn)
  if (mfn === INVALID_P2M) return { lo: 0, hi: 0, pfn: 0 }
  if (mfn >= IDENTITY) {
    return { lo: entryLo(mfn - IDENTITY, prot.lo | IOMAP), hi: entryHi(mfn - IDENTITY, prot.hi), pfn }
  }
  return { lo: entryLo(mfn, prot.lo), hi: entryHi(mfn, prot.hi), pfn: mfnToPfn(kernel.vcpu, mfn) }
}

/** set_pmd(), set_pud(), set_pgd(): an entry of a table of level 2 to 4, by a hypercall on its machine address. */
export function setUpperEntry(kernel: Kernel, table: number, slot: number, target: number | null): void {
  const mfn = target === null ? 0 : kernel.p2m.mfn(pfnOf(target))
  const [lo, hi] = target === null ? [0, 0] : [entryLo(mfn, KERNEL_TABLE | 0x004), entryHi(mfn)]
  const rc = mmuUpdate(kernel.vcpu, kernel.p2m.mfn(pfnOf(table)), slot, lo, hi)
  if (rc !== 0) bug(kernel.vcpu, 'xen_set_pmd_hyper')
}

/** pin_pagetable_pfn(): a refusal is a BUG. This is where the seed's kernel ends. */
export function pinPagetablePfn(kernel: Kernel, command: number, pfn: number): void {
  if (mmuextOp(kernel.vcpu, command, kernel.p2m.mfn(pfn)) !== 0) bug(kernel.vcpu, 'pin_pagetable_pfn')
}

/** xen_alloc_pte_init(): a page becomes an L1: read-only in the direct map, if that has it already, and pinned. */
export function allocPteInit(kernel: Kernel, table: number): void {
  const reachable = makeLowmemPageReadonly(kernel, directVa(table))
  kernel.trace?.('alloc_pte', { pfn: pfnOf(table), reachable, buffer: { ...kernel.pgtBuf } })
  pinPagetablePfn(kernel, MMUEXT.PIN_L1_TABLE, pfnOf(table))
}

/** xen_alloc_pmd_init(): a page becomes an L2 or L3: only read-only; Xen validates it when it is linked. */
export function allocPmdInit(kernel: Kernel, table: number): void {
  makeLowmemPageReadonly(kernel, directVa(table))
}

/** vmemmap_pte_populate() of `count` pages in a row, which one L1 maps: xen_set_pte_at(), which the read-only mask does not see. */
export function mapVmemmap(kernel: Kernel, va: number, page: number, count: number): void {
  for (let at = 0; at < count * PAGE; at += PAGE) {
    const { lo, hi } = makeEntry(kernel, pfnOf(page + at), PAGE_KERNEL)
    if (updateVaMapping(kernel.vcpu, va + at, lo, hi) !== 0) bug(kernel.vcpu, 'xen_set_pte_at')
  }
}

/**
 * make_lowmem_page_readonly(): take the write permission of one page of the direct map. When the tables do not reach
 * the page yet it returns silently (fef5ba797991), false here: the trap into which the seed's kernel falls, as a page
 * can be mapped in a table that is not linked yet.
 */
export function makeLowmemPageReadonly(kernel: Kernel, va: number): boolean {
  return changeLowmemPage(kernel, va, (lo) => (lo & ~RW) >>> 0, 'make_lowmem_page_readonly')
}

/** make_lowmem_page_readwrite(): give it back; the same silence. */
export function makeLowmemPageReadwrite(kernel: Kernel, va: number): boolean {
  return changeLowmemPage(kernel, va, (lo) => (lo | RW) >>> 0, 'make_lowmem_page_readwrite')
}

function changeLowmemPage(kernel: Kernel, va: number, change: (lo: number) => number, who: string): boolean {
  const { vcpu } = kernel
  const at = lookupAddress(vcpu, va)
  if (at === -1) return false
  const lo = vcpu.load64(at)
  if (updateVaMapping(vcpu, va, change(lo), vcpu.hi) !== 0) bug(vcpu, who)
  return true
}

/**
 * lookup_address() in init_mm: the address of the L1 entry that maps `va`, or -1 when a table on the way is missing. The
 * kernel reads its tables through its own maps: entries have machine frames, which the M2P turns back.
 */
export function lookupAddress(vcpu: Vcpu, va: number): number {
  let table = kernelVa(SYMBOLS.init_level4_pgt)
  for (const level of [4, 3, 2] as const) {
    const lo = vcpu.load64(table + slotAt(va, level) * 8)
    if ((lo & P) === 0) return -1
    if (level < 4 && (lo & PSE) !== 0) return -1
    table = directVa(bytesOf(mfnToPfn(vcpu, entryFrame(lo, vcpu.hi))))
  }
  return table + slotAt(va, 1) * 8
}
