import { TYPE_CODE } from '../../bits/type-word.ts'
import { OWNER_NONE, REF_ALLOCATED, REF_COUNT, REF_XEN_HEAP, TYPE_VALIDATED } from '../../machine/frames.ts'
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

/** Free a frame at once if nothing but its allocation by `domain` holds it: nearly all that are given back. False if not. */
export function freeIfUnused(xen: Hypervisor, mfn: number, record: number, domain: Domain): boolean {
  const isUnused =
    refsWordOf(xen, record) === UNUSED && ownerOf(xen, record) === domain.owner && !isPinned(xen, record)
  if (isUnused) freeFrame(xen, mfn, record)
  return isUnused
}

/** Nothing but the allocation holds the frame. */
const UNUSED = REF_ALLOCATED | 1

function freeFrame(xen: Hypervisor, mfn: number, record: number): void {
  // A guest may give up its shared_info or a frame of its grant table, which Xen goes on to use: free_domheap_pages().
  if ((refsWordOf(xen, record) & REF_XEN_HEAP) !== 0) return
  const owner = xen.owners[ownerOf(xen, record)]
  if (owner !== undefined) owner.totPages--
  // A free frame keeps what its last type left: only `writable` is cleared, and that but for `validated`.
  const type = typeWordOf(xen, record)
  const left = typeCodeOf(xen, record) === TYPE_CODE.writable ? type & TYPE_VALIDATED : type
  setRecord(xen, record, left, 0, OWNER_NONE)
  // Only now is it no frame of a guest any more; as long as references keep it, its pfn stays.
  xen.m2p.set(mfn, 0xffffffff, 0xffffffff)
  xen.typeLeft(mfn)
  xen.heap.free(mfn)
}

/** Give a free frame to a domain: assign_pages(). Its bytes are whatever they were. */
export function assignFrame(xen: Hypervisor, mfn: number, record: number, domain: Domain): void {
  // Whoever had the frame before may have translations of it left.
  xen.typeChanges(mfn)
  setRecord(xen, record, 0, UNUSED, domain.owner)
  domain.totPages++
}
