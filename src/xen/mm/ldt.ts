import { hex64, PAGE, slotAt, vaHigh, vaOf } from '../../bits/address.ts'
import { entryFrame, P } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { type Trap, VECTOR_GP, VECTOR_NP, VECTOR_PF } from '../../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { refuse } from '../refusal.ts'
import { ACCESSED, CODE_OR_DATA, FIRST_XEN_DESCRIPTOR } from './descriptors.ts'
import { getPageAndType, putPageAndType } from './frame-type.ts'
import { isGuestAddress } from './guest-copy.ts'
import { l1TableOf } from './linear-map.ts'

/** Most descriptors of an LDT: its limit has 16 bits. */
const MAX_LDT_ENTRIES = 8192

/**
 * MMUEXT_SET_LDT: where the guest's LDT is. The pages of the one before are given back; those of the new one are taken
 * when a selector of theirs is first loaded, or the first of them at once where the version is an old one.
 *
 * @param lo low half of the address, which is checked as the guest gave it
 */
export function setLdt(xen: Hypervisor, vcpu: PvVcpu, lo: number, hi: number, entries: number): number {
  // An LDT of no entries is nowhere. Who takes pages at once looks at the address all the same.
  const nowhere = entries === 0 && !xen.version.rules.eagerLdt
  const base = nowhere ? 0 : vaOf(lo, hi)
  if (!isGuestAddress(base) || base % PAGE !== 0 || entries > MAX_LDT_ENTRIES) {
    return refuse(xen, 'setLdt', { ptr: hex64(lo, hi).replace(/^0+(?=.)/, ''), ents: entries })
  }
  if (base === vcpu.ldtBase && entries === vcpu.ldtEntries) return 0
  dropLdt(xen, vcpu)
  vcpu.ldtBase = base
  vcpu.ldtEntries = entries
  if (entries !== 0 && xen.version.rules.eagerLdt) faultInLdt(xen, vcpu, 0)
  return 0
}

/** Give back every page of the LDT: invalidate_shadow_ldt(), pv_destroy_ldt(). The next use takes them again. */
export function dropLdt(xen: Hypervisor, { ldtFrames }: PvVcpu): void {
  for (const mfn of ldtFrames.values()) putPageAndType(xen, mfn, xen.memory.record(mfn))
  ldtFrames.clear()
}

/**
 * Take the page of the LDT that holds the descriptor at a byte offset: map_ldt_shadow_page(), pv_map_ldt_shadow_page().
 * The guest's own mapping says which frame it is. False when that is not there or cannot be a page of descriptors.
 */
export function faultInLdt(xen: Hypervisor, vcpu: PvVcpu, offset: number): boolean {
  const page = Math.floor(offset / PAGE)
  if (vcpu.ldtFrames.has(page)) return true
  const va = vcpu.ldtBase + page * PAGE
  const l1 = l1TableOf(xen, vcpu.port, va, 2)
  if (l1 === -1) return false
  const at = xen.memory.frameWords(l1) + slotAt(va, 1) * 2
  const lo = xen.memory.u32[at]
  if ((lo & P) === 0) return false
  const mfn = entryFrame(lo, xen.memory.u32[at + 1])
  if (getPageAndType(xen, mfn, vcpu.domain, TYPE_CODE.segdesc) !== 0) return false
  vcpu.ldtFrames.set(page, mfn)
  return true
}

/** The flat segments that Xen lends guests: 32-bit code, data, 64-bit code. The halves of their descriptors. */
const FLAT = new Map<number, readonly [lo: number, hi: number]>([
  [0xe023 >> 3, [0xffff, 0x00cf_fb00]],
  [0xe02b >> 3, [0xffff, 0x00cf_f300]],
  [0xe033 >> 3, [0xffff, 0x00af_fb00]],
])

/** The descriptor of a selector as instructions read it that ask for one without loading it, or null: there is none. */
export function descriptorOf(
  xen: Hypervisor,
  vcpu: PvVcpu,
  selector: number,
): readonly [lo: number, hi: number] | null {
  if ((selector & 0xfffc) === 0) return null
  const index = selector >>> 3
  let table: number | undefined
  if ((selector & 4) !== 0) {
    if (index >= vcpu.ldtEntries || !faultInLdt(xen, vcpu, index * 8)) return null
    table = vcpu.ldtFrames.get(index >> 9)
  } else {
    if (index >= FIRST_XEN_DESCRIPTOR) return FLAT.get(index) ?? null
    table = vcpu.gdtFrames[index >> 9]
  }
  if (table === undefined) return null
  const at = xen.memory.frameWords(table) + (index & 511) * 2
  return [xen.memory.u32[at], xen.memory.u32[at + 1]]
}

/**
 * What the CPU does when the guest loads a data segment register: the descriptor is read, from the LDT by way of Xen's
 * fault handler. The trap that the guest gets, or null.
 *
 * @param selector 16 bits: index, table (bit 2), privilege
 */
export function loadSelector(xen: Hypervisor, vcpu: PvVcpu, selector: number): Trap | null {
  if ((selector & 0xfffc) === 0) return null
  const code = selector & 0xfffc
  const refused: Trap = { vector: VECTOR_GP, error: code, va: 0 }
  const index = selector >>> 3
  let table: number
  if ((selector & 4) !== 0) {
    const offset = index * 8
    if (index >= vcpu.ldtEntries) {
      // The CPU refuses it; what Xen's emulation of the refused instruction then reads is another matter.
      if (!xen.version.rules.checksLdtLimit) faultInLdt(xen, vcpu, offset)
      return refused
    }
    if (!faultInLdt(xen, vcpu, offset)) {
      const va = vcpu.ldtBase + offset
      // An address that cannot be in cr2 becomes a fault of the selector.
      const crosses = va >= 2 ** 48 || vaOf(va >>> 0, vaHigh(vcpu.ldtBase)) === -1
      return crosses ? refused : { vector: VECTOR_PF, error: 0, va }
    }
    table = vcpu.ldtFrames.get(Math.floor(offset / PAGE)) as number
  } else {
    // The last pages of the table are Xen's: what it lends guests are the flat segments 0xe023, 0xe02b and 0xe033.
    if (index >= FIRST_XEN_DESCRIPTOR) return index >= 0xe023 >> 3 && index <= 0xe033 >> 3 ? null : refused
    table = vcpu.gdtFrames[index >> 9] ?? -1
    if (table === -1) return refused
  }
  const at = xen.memory.frameWords(table) + (index & 511) * 2 + 1
  const hi = xen.memory.u32[at]
  const READABLE = 0x0200
  const CODE = 0x0800
  if ((hi & CODE_OR_DATA) === 0 || (hi & (CODE | READABLE)) === CODE) return refused
  // Ring 3 may use what has DPL 3, and conforming code of any.
  const CONFORMING_CODE = 0x0c00
  if ((hi & 0x6000) !== 0x6000 && (hi & CONFORMING_CODE) !== CONFORMING_CODE) return refused
  if ((hi & 0x8000) === 0) return { ...refused, vector: VECTOR_NP }
  // The CPU notes in the descriptor that it was loaded.
  xen.memory.u32[at] = hi | ACCESSED
  return null
}
