import { TYPE_CODE, TYPE_NAMES } from '../../bits/type-word.ts'
import { TYPE_COUNT, TYPE_LOCKED, TYPE_SHIFT, TYPE_VALIDATED } from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import { ownerOf, refsWordOf, setTypeWord, typeWordOf } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { passOn, refuse } from '../refusal.ts'
import { getPage, putPage } from './references.ts'

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
  const old = typeWordOf(xen, record)
  const count = old & TYPE_COUNT
  if (count === TYPE_COUNT) return refuse(xen, 'typeOverflow', { mfn })
  if (count === 0) {
    if (old >>> TYPE_SHIFT === code) {
      // The type is sticky. A table has lost `validated` with its last reference; other types keep it.
      setTypeWord(xen, record, old + 1)
    } else {
      // Somebody may still have a writable translation of the frame cached from its life before.
      xen.typeChanges(mfn)
      const validated = code === TYPE_CODE.writable || code === TYPE_CODE.shared ? TYPE_VALIDATED : 0
      setTypeWord(xen, record, bareType(code) | validated | 1)
      if (xen.sink !== null) traceType(xen, mfn, old >>> TYPE_SHIFT, code)
    }
    if ((typeWordOf(xen, record) & TYPE_VALIDATED) === 0) return validate(xen, mfn, record, code)
    return 0
  }
  if (old >>> TYPE_SHIFT !== code) return refuseType(xen, mfn, old, code)
  setTypeWord(xen, record, old + 1)
  return 0
}

/** A frame in use as another type than what is wanted of it. */
function refuseType(xen: Hypervisor, mfn: number, old: number, code: number): number {
  const seen = old >>> TYPE_SHIFT
  // One level above what is wanted may be a linear page table: refused without a line.
  if (code >= TYPE_CODE.l1 && code <= TYPE_CODE.l3 && seen === code + 1) {
    return refuse(xen, 'linearType', { mfn })
  }
  const [saw, exp] = [xen.typeText(old), xen.typeText(bareType(code))]
  return refuse(xen, 'badType', { saw, exp, mfn, pfn: xen.m2p.get(mfn) })
}

function validate(xen: Hypervisor, mfn: number, record: number, code: number): number {
  const domain = xen.owners[ownerOf(xen, record)] as Domain
  const failed = xen.promoteTable(domain, mfn, record, code)
  if (failed === -1) {
    setTypeWord(xen, record, typeWordOf(xen, record) | TYPE_VALIDATED)
    return 0
  }
  const rc = passOn(xen, 'validating', {
    mfn,
    pfn: xen.m2p.get(mfn),
    type: xen.typeText(bareType(code)),
    caf: xen.refsText(refsWordOf(xen, record)),
    taf: xen.typeText(typeWordOf(xen, record)),
  })
  // Newer versions park a table that failed beyond its first slot and tear it down before the hypercall returns; the teardown
  // leaves the type with a count of zero. Everything else loses its type at once.
  const isUpper = code > TYPE_CODE.l1 && code <= TYPE_CODE.l4
  const keeps = xen.version.rules.failedPromotionKeepsType && failed > 0 && isUpper
  setTypeWord(xen, record, keeps ? bareType(code) : 0)
  if (xen.sink !== null) traceType(xen, mfn, code, keeps ? code : TYPE_CODE.none)
  return rc
}

/**
 * Give a type reference back: put_page_type(). The last one of a table gives back what its entries hold, highest slot
 * first.
 */
export function putPageType(xen: Hypervisor, mfn: number, record: number): void {
  const old = typeWordOf(xen, record)
  const code = old >>> TYPE_SHIFT
  const isTable = code >= TYPE_CODE.l1 && code <= TYPE_CODE.l4
  if ((old & TYPE_COUNT) === 1 && isTable && (old & TYPE_VALIDATED) !== 0) {
    // The count stays at one while the entries go, so that nobody can give the frame another type meanwhile.
    setTypeWord(xen, record, old & ~TYPE_VALIDATED)
    xen.demoteTable(xen.owners[ownerOf(xen, record)] as Domain, mfn, record, code)
    if (xen.sink !== null) traceType(xen, mfn, code, TYPE_CODE.none)
  }
  setTypeWord(xen, record, typeWordOf(xen, record) - 1)
  if ((old & TYPE_COUNT) === 1) xen.typeLeft(mfn)
}

/**
 * Take the page and the type reference of a frame that a caller names: get_page_and_type(). 0, or a negative error; a frame
 * that cannot be had at all has no line of its own here.
 */
export function getPageAndType(xen: Hypervisor, mfn: number, domain: Domain, code: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return refuse(xen, 'noPage', { mfn })
  const rc = getPageType(xen, mfn, record, code)
  if (rc !== 0) putPage(xen, mfn, record)
  return rc
}

/** The same, where a frame that cannot be had has its line: get_page_and_type_from_mfn(). */
export function getNamedPage(xen: Hypervisor, mfn: number, domain: Domain, code: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return refuse(xen, 'pageRef', { mfn })
  const rc = getPageType(xen, mfn, record, code)
  if (rc !== 0) putPage(xen, mfn, record)
  return rc
}

/** Both references of a frame that was used as a type. */
export function putPageAndType(xen: Hypervisor, mfn: number, record: number): void {
  putPageType(xen, mfn, record)
  putPage(xen, mfn, record)
}

/** Whether the frame is a live frame of its type, whose count can take the lock's reference: what page_lock() asks. */
export function isLive(xen: Hypervisor, record: number): boolean {
  const word = typeWordOf(xen, record)
  const count = word & TYPE_COUNT
  return (word & TYPE_VALIDATED) !== 0 && count !== 0 && count !== TYPE_COUNT
}

/**
 * Hold a live frame while one of its entries changes: page_lock(). The lock counts as a reference, which shows in what
 * messages say of the frame meanwhile.
 */
export function lockPage(xen: Hypervisor, record: number): void {
  setTypeWord(xen, record, (typeWordOf(xen, record) | TYPE_LOCKED) + 1)
}

/** Unlock a page and give back the reference that locking took. Xen: page_unlock(). */
export function unlockPage(xen: Hypervisor, record: number): void {
  setTypeWord(xen, record, (typeWordOf(xen, record) & ~TYPE_LOCKED) - 1)
}

function traceType(xen: Hypervisor, mfn: number, from: number, to: number): void {
  const isTable = (code: number): boolean => code >= TYPE_CODE.l1 && code <= TYPE_CODE.segdesc
  if (isTable(from) || isTable(to))
    xen.sink?.({ kind: 'type', mfn, from: TYPE_NAMES[from], to: TYPE_NAMES[to] })
}
