import { SLOTS } from '../../bits/address.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  OWNER_NONE,
  RECORD_WORDS,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import {
  isPinned,
  ownerOf,
  refCountOf,
  refsWordOf,
  setRecord,
  setRefsWord,
  typeCodeOf,
  typeWordOf,
} from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * References on a frame: Xen's count_info. Whoever relies on a frame holds one, and a frame whose count reaches zero is
 * free. `record` is the word index of a frame's record.
 */

/**
 * Take a reference for `domain`: get_page(). False when the frame is free, its count is full, or it is another's, which has
 * its line: whether that refuses anything is for those who ask.
 */
export function getPage(xen: Hypervisor, mfn: number, record: number, domain: Domain): boolean {
  const refs = refsWordOf(xen, record)
  if (hasRoom(refs) && ownerOf(xen, record) === domain.owner) {
    setRefsWord(xen, record, refs + 1)
    return true
  }
  logGetPage(xen, mfn, record, domain)
  return false
}

/** Whether a count word is that of a frame in use that one more reference fits on: the two highest counts are kept so that a count can never wrap. */
export function hasRoom(refs: number): boolean {
  const count = refs & REF_COUNT
  return count !== 0 && count < REF_COUNT - 1
}

function logGetPage(xen: Hypervisor, mfn: number, record: number, domain: Domain): void {
  const owner = refCountOf(xen, record) !== 0 ? xen.owners[ownerOf(xen, record)] : undefined
  const [caf, taf] = xen.wordsText(mfn, record)
  xen.log('getPage', {
    mfn,
    rd: { domain: domain.id },
    owner: { domain: owner === undefined ? null : owner.id },
    caf,
    taf,
  })
}

/** Give a reference back: put_page(). The last one frees the frame; one of Xen's own only ceases to be anybody's. */
export function putPage(xen: Hypervisor, mfn: number, record: number): void {
  const refs = refsWordOf(xen, record) - 1
  setRefsWord(xen, record, refs)
  if ((refs & REF_COUNT) === 0) freeFrame(xen, mfn, record)
}

/** Drop the reference that the allocation itself holds, once. */
export function putAllocationReference(xen: Hypervisor, mfn: number, record: number): void {
  const refs = refsWordOf(xen, record)
  if ((refs & REF_ALLOCATED) === 0) return
  setRefsWord(xen, record, refs & ~REF_ALLOCATED)
  putPage(xen, mfn, record)
}

/**
 * Free at once those frames from `mfn` on, up to the first that anything but its allocation by `domain` holds: nearly all that
 * are given back. How many of `count` frames in a row these are, and no more than one frame of the M2P tells of.
 */
export function freeUnused(xen: Hypervisor, mfn: number, count: number, domain: Domain): number {
  const first = xen.memory.record(mfn)
  if (first === -1) return 0
  const end = Math.min(count, SLOTS - (mfn & (SLOTS - 1)))
  let done = 0
  for (let record = first; done < end; done++, record += RECORD_WORDS) {
    if (refsWordOf(xen, record) !== UNUSED || ownerOf(xen, record) !== domain.owner) break
    if (isPinned(xen, record)) break
    setRecord(xen, record, typeLeftBy(xen, record), 0, OWNER_NONE)
    xen.typeLeft(mfn + done)
  }
  if (done === 0) return 0
  domain.totPages -= done
  xen.m2p.forget(mfn, done)
  xen.heap.free(mfn, done)
  return done
}

/** Nothing but the allocation holds the frame. */
const UNUSED = REF_ALLOCATED | 1

function freeFrame(xen: Hypervisor, mfn: number, record: number): void {
  // A guest may give up its shared_info or a frame of its grant table, which Xen goes on to use: free_domheap_pages().
  if ((refsWordOf(xen, record) & REF_XEN_HEAP) !== 0) return
  const owner = xen.owners[ownerOf(xen, record)]
  if (owner !== undefined) owner.totPages--
  setRecord(xen, record, typeLeftBy(xen, record), 0, OWNER_NONE)
  // Only now is it no frame of a guest any more; as long as references keep it, its pfn stays.
  xen.m2p.forget(mfn, 1)
  xen.typeLeft(mfn)
  xen.heap.free(mfn)
}

/** A free frame keeps what its last type left: only `writable` is cleared, and that but for `validated`. */
function typeLeftBy(xen: Hypervisor, record: number): number {
  const type = typeWordOf(xen, record)
  return typeCodeOf(xen, record) === TYPE_CODE.writable ? type & TYPE_VALIDATED : type
}

/** Give a free frame to a domain: assign_pages(). Its bytes are whatever they were. */
export function assignFrame(xen: Hypervisor, mfn: number, record: number, domain: Domain): void {
  // Whoever had the frame before may have translations of it left.
  xen.typeChanges(mfn)
  setRecord(xen, record, 0, UNUSED, domain.owner)
  domain.totPages++
}
