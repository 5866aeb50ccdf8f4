import { SLOTS } from '../../bits/address.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * Segment descriptors of a 64-bit guest: eight bytes, two u32 halves. Of the high half:
 *
 *     31..24 base | 23..16 flags, limit | 15 present | 14..13 DPL | 12 code or data | 11..8 type | 7..0 base
 */
const PRESENT = 0x8000
const DPL_SHIFT = 13
const DPL = 3 << DPL_SHIFT
export const CODE_OR_DATA = 0x1000
/** The lowest bit of the type of code and data. */
export const ACCESSED = 0x0100
const SYSTEM_TYPE = 0x0f00
const CALL_GATE = 0x0c00

/** Entries of the GDT from this one on are Xen's own: FIRST_RESERVED_GDT_ENTRY. */
export const FIRST_XEN_DESCRIPTOR = 14 * SLOTS
/** The 64-bit code segment that Xen lends every guest: FLAT_KERNEL_CS. */
const FLAT_KERNEL_CS = 0xe033

/** The halves of the descriptor that checkDescriptor() last accepted, as they are to be stored. */
export const checked = { lo: 0, hi: 0 }

/**
 * Whether a guest may have this descriptor: check_descriptor(). It is left in `checked`, corrected: nothing of a guest
 * is more privileged than ring 3, where its kernel runs, and a call gate is made one that ring 3 cannot call itself.
 */
export function checkDescriptor(lo: number, hi: number): boolean {
  checked.lo = lo
  checked.hi = hi
  // What is not present always faults, whatever it says.
  if ((hi & PRESENT) === 0) return true
  checked.hi = (hi | DPL) >>> 0
  if ((hi & CODE_OR_DATA) !== 0 || (hi & SYSTEM_TYPE) === 0) return true
  if ((hi & SYSTEM_TYPE) !== CALL_GATE) return false
  if (!isGateTarget(lo >>> 16) || (hi & 0xff) !== 0) return false
  // Xen emulates far calls through the gate, and finds the DPL that the guest gave it in the selector.
  checked.lo = (lo | (3 << 16)) >>> 0
  checked.hi = (hi & ~DPL) >>> 0
  return true
}

/** guest_gate_selector_okay(): code of the guest's own GDT or LDT, or the one segment of Xen that guests share. */
function isGateTarget(selector: number): boolean {
  return selector >>> 3 < FIRST_XEN_DESCRIPTOR || selector === FLAT_KERNEL_CS || (selector & 4) !== 0
}

/**
 * Check and correct a whole page of descriptors in place: validate_segdesc_page(). The slot of the first that a guest
 * may not have, or -1; those before it stay corrected.
 *
 * @param table word index of the page's bytes
 */
export function checkDescriptorPage(xen: Hypervisor, table: number): number {
  const words = xen.memory.u32
  for (let slot = 0; slot < SLOTS; slot++) {
    const at = table + slot * 2
    if (!checkDescriptor(words[at], words[at + 1])) return slot
    words[at] = checked.lo
    words[at + 1] = checked.hi
  }
  return -1
}
