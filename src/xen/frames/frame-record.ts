import {
  OWNER_WORD,
  REF_COUNT,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
} from '../../machine/frames.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * What frame records say, by name: machine/frames.ts has the bits. `record` is the word index of a frame's record. Words are
 * signed numbers here, which stay in integer registers; plain-entries.ts alone reads records by itself.
 */

/** The whole type word: type code, flags and count. */
export function typeWordOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record]
}

/** Write the whole type word. */
export function setTypeWord(xen: Hypervisor, record: number, word: number): void {
  xen.memory.i32[record] = word
}

/** TYPE_CODE's numbers. */
export function typeCodeOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record] >>> TYPE_SHIFT
}

/** How many rely on the type: PGT_count_mask. */
export function typeCountOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record] & TYPE_COUNT
}

/** Whether a pin keeps the type: PGT_pinned. */
export function isPinned(xen: Hypervisor, record: number): boolean {
  return (xen.memory.i32[record] & TYPE_PINNED) !== 0
}

/** Set or clear PGT_pinned; the reference that a pin holds is the caller's to count. */
export function setPinned(xen: Hypervisor, record: number, pinned: boolean): void {
  const word = xen.memory.i32[record]
  xen.memory.i32[record] = pinned ? word | TYPE_PINNED : word & ~TYPE_PINNED
}

/** The whole count word: references, and who holds the frame beside them. */
export function refsWordOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record + REFS_WORD]
}

/** Write the whole count word. */
export function setRefsWord(xen: Hypervisor, record: number, word: number): void {
  xen.memory.i32[record + REFS_WORD] = word
}

/** References on a frame; a free one has none. */
export function refCountOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record + REFS_WORD] & REF_COUNT
}

/** The owner of a frame, as the number that records have. */
export function ownerOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record + OWNER_WORD] & 0xff
}

/** Give a frame an owner; what else is noted beside the last one's is forgotten. */
export function setOwner(xen: Hypervisor, record: number, owner: number): void {
  xen.memory.i32[record + OWNER_WORD] = owner
}

/** Cache attributes of the frame's last mapping, where the version keeps them: bits PAT, PCD, PWT. */
export function cacheAttributesOf(xen: Hypervisor, record: number): number {
  return (xen.memory.i32[record + OWNER_WORD] >>> 8) & 7
}

/** Keep the cache attributes of a mapping, bits PAT, PCD, PWT: see cacheAttributesOf. */
export function setCacheAttributes(xen: Hypervisor, record: number, attributes: number): void {
  const word = xen.memory.i32[record + OWNER_WORD]
  xen.memory.i32[record + OWNER_WORD] = (word & ~0x700) | (attributes << 8)
}

/** Same-level page-table references: positive counts entries in this table, negative tables that use it (XSA-240). */
export function linearCountOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record + OWNER_WORD] >> 16
}

/** Write the count of same-level references: see linearCountOf. */
export function setLinearCount(xen: Hypervisor, record: number, count: number): void {
  const word = xen.memory.i32[record + OWNER_WORD]
  xen.memory.i32[record + OWNER_WORD] = (count << 16) | (word & 0xffff)
}

/** A record anew, but for where the frame's bytes are. */
export function setRecord(xen: Hypervisor, record: number, type: number, refs: number, owner: number): void {
  const words = xen.memory.i32
  words[record] = type
  words[record + REFS_WORD] = refs
  words[record + OWNER_WORD] = owner
}
