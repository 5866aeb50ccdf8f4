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

/** Whether a guest may have this descriptor: check_descriptor(). What is not present always faults, whatever it says. */
export function mayHaveDescriptor(lo: number, hi: number): boolean {
  if ((hi & PRESENT) === 0 || (hi & CODE_OR_DATA) !== 0 || (hi & SYSTEM_TYPE) === 0) return true
  return isCallGate(hi) && isGateTarget(lo >>> 16) && (hi & 0xff) === 0
}

/**
 * The halves of a descriptor that a guest may have, as they are stored. Nothing of a guest is more privileged than ring 3,
 * where its kernel runs, and a call gate is made one that ring 3 cannot call itself: Xen emulates far calls through it, and
 * finds the DPL that the guest gave it in the selector.
 */
export function storedDescriptorLow(lo: number, hi: number): number {
  return isCallGate(hi) ? (lo | (3 << 16)) >>> 0 : lo
}

/** The high half: see storedDescriptorLow. */
export function storedDescriptorHigh(hi: number): number {
  if ((hi & PRESENT) === 0) return hi
  return (isCallGate(hi) ? hi & ~DPL : hi | DPL) >>> 0
}

function isCallGate(hi: number): boolean {
  return (hi & PRESENT) !== 0 && (hi & (CODE_OR_DATA | SYSTEM_TYPE)) === CALL_GATE
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
    const lo = words[at]
    const hi = words[at + 1]
    if (!mayHaveDescriptor(lo, hi)) return slot
    words[at] = storedDescriptorLow(lo, hi)
    words[at + 1] = storedDescriptorHigh(hi)
  }
  return -1
}
