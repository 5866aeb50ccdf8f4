import { SLOTS, TWO_32 } from '../../bits/address.ts'
import { A, D, entryFrame, HI_FRAME, P, PSE, RW, US } from '../../bits/pte.ts'
import type { Memory } from '../memory.ts'

/** Bits of a page fault's error code, as the CPU pushes it. */
export const PF_PRESENT = 1
export const PF_WRITE = 2
export const PF_USER = 4
export const PF_RESERVED = 8
export const PF_FETCH = 16

/** Bits of a high half that make its frame one of 2^31 or more. */
const HI_NO_RECORD = 0x000f_f800

/** What one walk found. One object is reused for every walk, so nothing is allocated on a TLB miss. */
export class Walk {
  /** 0 when the walk reached a frame; otherwise the level (4..1) at which it stopped. */
  missing = 0
  /** The frame of the 4 KiB page, or of the table, when it was reached. */
  mfn = 0
  /** Whether the entries of every level allow stores, and allow ring 3. */
  writable = false
  user = false
  /** Whether they allow instructions to be fetched. */
  executable = false
  /** Level of the entry that mapped the page: 1, or 2 and 3 for large pages. */
  level = 0
  /** That last entry, or the one that was missing: its table and slot, and its two halves. */
  table = 0
  slot = 0
  lo = 0
  hi = 0
  /** Word index of that entry in the machine's memory. */
  at = 0
  /** Word index of the entry of each level, from 4 down to the last one; -1 where the table is no memory. */
  readonly path = new Int32Array(5)
}

/**
 * The one descent of page tables: loads and stores of every driver and Xen's own looks at a guest's tables come here, and what
 * is marked along the way is marked by the path that it leaves.
 * A table is read wherever it is; that it is a valid table is Xen's doing, not the CPU's.
 *
 *     for level 4..1:  entry = table[slot of va];  not present -> stop;  large -> page;  table = entry's frame
 *
 * @param lowest the level of the last entry: 1 leads to a page, 2 to the table that maps it, or to a large page
 */
export function walk(memory: Memory, root: number, va: number, out: Walk, lowest: 1 | 2 = 1): Walk {
  return walkHalves(memory, root, va | 0, Math.floor(va / TWO_32), out, lowest)
}

/** The same for an address in two halves, of the high one bits 0 to 15: a core's look at its TLB has it so. */
export function walkHalves(
  memory: Memory,
  root: number,
  low: number,
  high: number,
  out: Walk,
  lowest: 1 | 2 = 1,
): Walk {
  // Signed words stay in integer registers, and so do frames: those from 2^31 on have no record, and are no table.
  const words = memory.i32
  const { path } = out
  // Bits 12 to 38 of the address: three slots.
  const slots = ((low >>> 12) | (high << 20)) & 0x7ff_ffff
  let record = memory.record(root)
  let writable = RW
  let user = US
  let noExecute = 0
  let slot = (high >>> 7) & (SLOTS - 1)
  let tableLo = 0
  let tableHi = 0
  for (let level = 4; ; level--) {
    const at = record === -1 ? -1 : memory.backing(record) + slot * 2
    const lo = at === -1 ? 0 : words[at]
    const hi = at === -1 ? 0 : words[at + 1]
    path[level] = at
    writable &= lo
    user &= lo
    noExecute |= hi
    const isPresent = (lo & P) !== 0
    const isLarge = isPresent && (lo & PSE) !== 0 && (level === 2 || level === 3)
    if (isPresent && !isLarge && level !== lowest) {
      record = (hi & HI_NO_RECORD) !== 0 ? -1 : memory.record(((hi & HI_FRAME) << 20) | (lo >>> 12))
      tableLo = lo
      tableHi = hi
      slot = (slots >>> ((level - 2) * 9)) & (SLOTS - 1)
      continue
    }
    out.table = level === 4 ? root : entryFrame(tableLo, tableHi)
    out.slot = slot
    out.lo = lo >>> 0
    out.hi = hi >>> 0
    out.at = at
    out.level = level
    out.missing = isPresent ? 0 : level
    if (isPresent) {
      out.writable = writable !== 0
      out.user = user !== 0
      out.executable = noExecute >= 0
      out.mfn = entryFrame(lo, hi) + (isLarge ? slots & (level === 2 ? 0x1ff : 0x3ffff) : 0)
    }
    return out
  }
}

/**
 * Set the accessed bits along the path of a walk that reached a page, and the dirty bit of its last entry for a store, as
 * the CPU does when it loads a translation.
 */
export function markAccessed(memory: Memory, { path, level }: Walk, dirty: boolean): void {
  const words = memory.i32
  for (let above = 4; above > level; above--) words[path[above]] |= A
  words[path[level]] |= dirty ? A | D : A
}

/** The accessed bits of a walk that ended in a fault: of the entries of levels 4 down to `lowest`, which are all present. */
export function markPath(memory: Memory, { path }: Walk, lowest: number): void {
  const words = memory.i32
  for (let level = 4; level >= lowest; level--) words[path[level]] |= A
}
