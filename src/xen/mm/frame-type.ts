import { EINVAL } from '../../bits/errno.ts'
import { TYPE_CODE, TYPE_NAMES } from '../../bits/type-word.ts'
import {
  OWNER_WORD,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_LOCKED,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { ownerOf, putPage } from './references.ts'
import { demoteTable, promoteTable } from './tables.ts'

/**
 * The type system: a frame has one type at a time, and a count of those who rely on it. The type may change only while
 * the count is zero. `writable` is what a writable mapping takes and a table's level what its use as a table takes, so
 * no frame is ever both. This is the rule that the seed's kernel breaks.
 */

/** The words that name a type without anything else: what a message prints as `exp`. */
function bareType(code: number): number {
  return (code << TYPE_SHIFT) >>> 0
}

/**
 * Take a type reference: get_page_type(). 0, or a negative error.
 *
 * A frame that becomes a table is validated entry by entry before anyone may use it; one whose validation fails loses
 * its type. Xen: _get_page_type(); the layout of the word is machine/frames.ts.
 */
export function getPageType(xen: Hypervisor, mfn: number, record: number, code: number): number {
  const words = xen.memory.i32
  const old = words[record]
  const count = old & TYPE_COUNT
  if (count === TYPE_COUNT) {
    xen.log('typeOverflow', { mfn })
    return EINVAL
  }
  if (count === 0) {
    if (old >>> TYPE_SHIFT === code) {
      // The type is sticky. A table has lost `validated` with its last reference; other types keep it.
      words[record] = old + 1
    } else {
      // Somebody may still have a writable translation of the frame cached from its life before.
      xen.typeChanges(mfn)
      const validated = code === TYPE_CODE.writable || code === TYPE_CODE.shared ? TYPE_VALIDATED : 0
      words[record] = (bareType(code) | validated | 1) >>> 0
      if (xen.sink !== null) traceType(xen, mfn, old >>> TYPE_SHIFT, code)
    }
    if ((words[record] & TYPE_VALIDATED) === 0) return validate(xen, mfn, record, code)
    return 0
  }
  if (old >>> TYPE_SHIFT !== code) {
    const seen = old >>> TYPE_SHIFT
    // One level above what is wanted may be a linear page table: refused without a line.
    if (!(code >= TYPE_CODE.l1 && code <= TYPE_CODE.l3 && seen === code + 1)) {
      const [saw, exp, pfn] = [xen.typeText(old), xen.typeText(bareType(code)), xen.m2p.get(mfn)]
      xen.lastRefusal = { mfn, pfn, saw, exp }
      xen.log('badType', { saw, exp, mfn, pfn })
    }
    return EINVAL
  }
  words[record] = old + 1
  return 0
}

function validate(xen: Hypervisor, mfn: number, record: number, code: number): number {
  const words = xen.memory.i32
  const domain = xen.owners[ownerOf(xen, record)] as Domain
  const rc = promoteTable(xen, domain, mfn, record, code)
  if (rc === 0) {
    words[record] = (words[record] | TYPE_VALIDATED) >>> 0
    return 0
  }
  const taf = xen.typeText(words[record])
  xen.log('validating', {
    mfn,
    pfn: xen.m2p.get(mfn),
    type: xen.typeText(bareType(code)),
    caf: xen.refsText(words[record + REFS_WORD]),
    taf,
  })
  // Newer versions park a table that failed beyond its first slot and tear it down before the hypercall returns; the teardown
  // leaves the type with a count of zero. Everything else loses its type at once.
  const keeps = xen.version.rules.failedPromotionKeepsType && xen.failedSlot > 0 && code > TYPE_CODE.l1
  words[record] = keeps && code <= TYPE_CODE.l4 ? bareType(code) : 0
  if (xen.sink !== null) traceType(xen, mfn, code, keeps ? code : TYPE_CODE.none)
  return rc
}

/**
 * Give a type reference back: put_page_type(). The last one of a table gives back what its entries hold, highest slot
 * first.
 */
export function putPageType(xen: Hypervisor, mfn: number, record: number): void {
  const words = xen.memory.i32
  const old = words[record]
  const code = old >>> TYPE_SHIFT
  const isTable = code >= TYPE_CODE.l1 && code <= TYPE_CODE.l4
  if ((old & TYPE_COUNT) === 1 && isTable && (old & TYPE_VALIDATED) !== 0) {
    // The count stays at one while the entries go, so that nobody can give the frame another type meanwhile.
    words[record] = (old & ~TYPE_VALIDATED) >>> 0
    demoteTable(xen, xen.owners[ownerOf(xen, record)] as Domain, mfn, record, code)
    if (xen.sink !== null) traceType(xen, mfn, code, TYPE_CODE.none)
  }
  words[record]--
  if ((old & TYPE_COUNT) === 1) xen.typeLeft(mfn)
}

/** Both references of a frame that was used as a type. */
export function putPageAndType(xen: Hypervisor, mfn: number, record: number): void {
  putPageType(xen, mfn, record)
  putPage(xen, mfn, record)
}

/** Whether the frame is a live frame of its type, whose count can take the lock's reference: what page_lock() asks. */
export function isLive(xen: Hypervisor, record: number): boolean {
  const word = xen.memory.i32[record]
  const count = word & TYPE_COUNT
  return (word & TYPE_VALIDATED) !== 0 && count !== 0 && count !== TYPE_COUNT
}

/**
 * Hold a live frame while one of its entries changes: page_lock(). The lock counts as a reference, which shows in what
 * messages say of the frame meanwhile.
 */
export function lockPage(xen: Hypervisor, record: number): void {
  xen.memory.i32[record] = (xen.memory.i32[record] | TYPE_LOCKED) + 1
}

/** Unlock a page and give back the reference that locking took. Xen: page_unlock(). */
export function unlockPage(xen: Hypervisor, record: number): void {
  xen.memory.i32[record] = (xen.memory.i32[record] & ~TYPE_LOCKED) - 1
}

/** Whether a frame keeps its type by a pin: PGT_pinned. */
export function isPinned(xen: Hypervisor, record: number): boolean {
  return (xen.memory.i32[record] & TYPE_PINNED) !== 0
}

function traceType(xen: Hypervisor, mfn: number, from: number, to: number): void {
  const isTable = (code: number): boolean => code >= TYPE_CODE.l1 && code <= TYPE_CODE.segdesc
  if (isTable(from) || isTable(to))
    xen.sink?.({ kind: 'type', mfn, from: TYPE_NAMES[from], to: TYPE_NAMES[to] })
}

/** Same-level page-table references: positive counts entries in this table, negative tables that use it (XSA-240). */
export function linearCount(xen: Hypervisor, record: number): number {
  return (xen.memory.i32[record + OWNER_WORD] | 0) >> 16
}

/** Count same-level references: see linearCount. */
export function addLinearCount(xen: Hypervisor, record: number, by: number): void {
  const words = xen.memory.i32
  const word = words[record + OWNER_WORD]
  words[record + OWNER_WORD] = (((linearCount(xen, record) + by) << 16) | (word & 0xffff)) >>> 0
}
