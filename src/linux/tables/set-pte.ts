import { DOMID } from '../../bits/domid.ts'
import { RW } from '../../bits/pte.ts'
import { mmuUpdate } from '../hypercalls.ts'
import { bug, type Kernel } from '../kernel.ts'
import { maskRwPte } from './mask-rw-pte.ts'
import { type Entry, IOMAP } from './pgtable.ts'

/** Where an L1 entry lies: its address, and for those of frames that are not the kernel's also its table and slot. */
export type EntryPlace = { readonly va: number; readonly tablePfn: number; readonly slot: number }

/** xen_set_pte_init(): make it read-only if it must be, then store it; identity frames go through a hypercall. */
export function setPteInit(kernel: Kernel, place: EntryPlace, entry: Entry, isSlot: boolean): void {
  const { vcpu } = kernel
  const lo = maskRwPte(kernel, entry.pfn, isSlot) ? (entry.lo & ~RW) >>> 0 : entry.lo
  if ((lo & IOMAP) !== 0) setIomapPte(kernel, place.tablePfn, place.slot, lo, entry.hi)
  else vcpu.store64(place.va, lo, entry.hi)
}

/** xen_set_iomap_pte(): an entry for a frame that belongs to DOMID_IO. */
export function setIomapPte(kernel: Kernel, tablePfn: number, slot: number, lo: number, hi: number): void {
  const rc = mmuUpdate(kernel.vcpu, kernel.p2m.mfn(tablePfn), slot, lo, hi, DOMID.IO)
  if (rc !== 0) bug(kernel.vcpu, 'xen_set_domain_pte')
}
