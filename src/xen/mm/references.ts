import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  OWNER_NONE,
  OWNER_WORD,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * References on a frame: Xen's count_info. Whoever relies on a frame holds one, and a frame whose count reaches zero is
 * free. `record` is the word index of a frame's record.
 */

/** The owner of a frame, as the number that records have. */
export function ownerOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record + OWNER_WORD] & 0xff
}

/**
 * Take a reference for `domain`: get_page(). False when the frame is free, its count is full, or it is another's; the
 * last is logged.
 */
export function getPage(xen: Hypervisor, mfn: number, record: number, domain: Domain): boolean {
  const words = xen.memory.i32
  const refs = words[record + REFS_WORD]
  const count = refs & REF_COUNT
  // A count of zero is a free frame; the two highest values are kept so that a count can never wrap.
  if (count !== 0 && count < REF_COUNT - 1 && ownerOf(xen, record) === domain.owner) {
    words[record + REFS_WORD] = refs + 1
    return true
  }
  logGetPage(xen, mfn, record, domain)
  return false
}

function logGetPage(xen: Hypervisor, mfn: number, record: number, domain: Domain): void {
  const isHeld = (xen.memory.u32[record + REFS_WORD] & REF_COUNT) !== 0
  const owner = isHeld ? xen.owners[ownerOf(xen, record)] : undefined
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
  const words = xen.memory.i32
  words[record + REFS_WORD]--
  if ((words[record + REFS_WORD] & REF_COUNT) === 0) freeFrame(xen, mfn, record)
}

/** Drop the reference that the allocation itself holds, once. */
export function putAllocationReference(xen: Hypervisor, mfn: number, record: number): void {
  const words = xen.memory.i32
  if ((words[record + REFS_WORD] & REF_ALLOCATED) === 0) return
  words[record + REFS_WORD] = (words[record + REFS_WORD] & ~REF_ALLOCATED) >>> 0
  putPage(xen, mfn, record)
}

/** Free a frame at once if nothing but its allocation by `domain` holds it: nearly all that are given back. False if not. */
export function freeIfUnused(xen: Hypervisor, mfn: number, record: number, domain: Domain): boolean {
  const words = xen.memory.i32
  const isUnused =
    words[record + REFS_WORD] === UNUSED &&
    ownerOf(xen, record) === domain.owner &&
    (words[record] & TYPE_PINNED) === 0
  if (isUnused) freeFrame(xen, mfn, record)
  return isUnused
}

const UNUSED = REF_ALLOCATED | 1

function freeFrame(xen: Hypervisor, mfn: number, record: number): void {
  const words = xen.memory.i32
  // A guest may give up its shared_info or a frame of its grant table, which Xen goes on to use: free_domheap_pages().
  if ((words[record + REFS_WORD] & REF_XEN_HEAP) !== 0) return
  const owner = xen.owners[ownerOf(xen, record)]
  if (owner !== undefined) owner.totPages--
  // A free frame keeps what its last type left: only `writable` is cleared, and that but for `validated`.
  const type = words[record]
  words[record] = type >>> TYPE_SHIFT === TYPE_CODE.writable ? type & TYPE_VALIDATED : type
  words[record + REFS_WORD] = 0
  words[record + OWNER_WORD] = OWNER_NONE
  // Only now is it no frame of a guest any more; as long as references keep it, its pfn stays.
  xen.m2p.set(mfn, 0xffffffff, 0xffffffff)
  xen.typeLeft(mfn)
  xen.heap.free(mfn)
}

/** Give a free frame to a domain: assign_pages(). Its bytes are whatever they were. */
export function assignFrame(xen: Hypervisor, mfn: number, record: number, domain: Domain): void {
  // Whoever had the frame before may have translations of it left.
  xen.typeChanges(mfn)
  const words = xen.memory.i32
  words[record] = 0
  words[record + REFS_WORD] = (REF_ALLOCATED | 1) >>> 0
  words[record + OWNER_WORD] = domain.owner
  domain.totPages++
}

/** Type code of a frame: TYPE_CODE's numbers. */
export function typeCodeOf(xen: Hypervisor, record: number): number {
  return xen.memory.i32[record] >>> TYPE_SHIFT
}
