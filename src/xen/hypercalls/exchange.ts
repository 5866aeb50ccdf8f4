import { EFAULT, EINVAL, ENOMEM, EPERM, ESRCH } from '../../bits/errno.ts'
import {
  OWNER_NONE,
  OWNER_WORD,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  REFS_WORD,
} from '../../machine/frames.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { type Domain, maxExtentOrder } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from '../mm/guest-copy.ts'
import { ownerOf, putAllocationReference } from '../mm/references.ts'
import { RESERVATION_BYTES, type Reservation, readReservation } from '../mm/reservation.ts'
import { COST_NS } from '../sched/work.ts'
import { PREEMPTED } from './continuation.ts'

const word = new Uint32Array(2)

/**
 * XENMEM_exchange, {reservation in, reservation out, u64 extents of `in` done}: give frames for as many others, in
 * extents of another order. Linux gets contiguous machine memory so. A chunk, the larger of the two extents, is
 * exchanged as a whole or not at all; the first that fails ends the call, which is put off between two. Xen:
 * memory_exchange().
 */
export function exchange(xen: Hypervisor, caller: Domain, port: Vcpu, argument: number): number {
  const counter = argument + 2 * RESERVATION_BYTES
  const before = new Uint32Array(2)
  if (!copyFromGuest(port, counter, before, 2)) return EFAULT
  const given = readReservation(xen, caller, port, argument)
  const wanted = readReservation(xen, caller, port, argument + RESERVATION_BYTES)
  if (given === null || wanted === null) return ESRCH
  const start = before[1] * 0x1_0000_0000 + before[0]
  const frames = given.count * 2 ** given.order
  if (given.target !== wanted.target || start > given.count || frames !== wanted.count * 2 ** wanted.order)
    return EINVAL
  const limit = maxExtentOrder(caller)
  if (given.order > limit || wanted.order > limit) return EPERM
  if (!isGuestRange(given.list, given.count * 8) || !isGuestRange(wanted.list, wanted.count * 8))
    return EFAULT

  const order = Math.max(given.order, wanted.order)
  const inChunk = 2 ** (order - given.order)
  let rc = 0
  let done = start
  for (; done + inChunk <= given.count; done += inChunk) {
    // The count of what is done, in the guest's memory, is all that says where to go on.
    if (done > start && xen.work.isTooLong) {
      rc = PREEMPTED
      break
    }
    xen.work.done += COST_NS.frame * 2 * 2 ** order
    rc = exchangeChunk(xen, port, given, wanted, done / inChunk, order)
    if (rc !== 0) break
  }
  if (!copyToGuest(port, counter, [done >>> 0, Math.floor(done / 0x1_0000_0000)], 2)) return EFAULT
  return rc
}

function exchangeChunk(
  xen: Hypervisor,
  port: Vcpu,
  given: Reservation,
  wanted: Reservation,
  chunk: number,
  order: number,
): number {
  const domain = given.target
  const stolen: number[] = []
  const fresh: number[] = []
  const fail = (rc: number): number => {
    for (const mfn of stolen) own(xen, mfn, domain)
    for (const mfn of fresh) for (let j = 0; j < 2 ** wanted.order; j++) xen.heap.free(mfn + j)
    return rc
  }
  const inChunk = 2 ** (order - given.order)
  for (let i = chunk * inChunk; i < (chunk + 1) * inChunk; i++) {
    if (!copyFromGuest(port, given.list + i * 8, word, 2)) return fail(EFAULT)
    const first = word[1] * 0x1_0000_0000 + word[0]
    for (let j = 0; j < 2 ** given.order; j++) {
      if (!steal(xen, domain, first + j)) return fail(EINVAL)
      stolen.push(first + j)
    }
  }
  const outChunk = 2 ** (order - wanted.order)
  for (let i = 0; i < outChunk; i++) {
    const mfn = xen.takeExtent(wanted.order)
    if (mfn === -1) return fail(ENOMEM)
    fresh.push(mfn)
  }
  for (const mfn of stolen) {
    xen.m2p.set(mfn, 0xffffffff, 0xffffffff)
    putAllocationReference(xen, mfn, xen.memory.record(mfn))
    xen.heap.markUnscrubbed(mfn)
  }
  for (let i = 0; i < outChunk; i++) {
    const at = wanted.list + (chunk * outChunk + i) * 8
    const readable = copyFromGuest(port, at, word, 2)
    const pfn = word[1] * 0x1_0000_0000 + word[0]
    for (let j = 0; j < 2 ** wanted.order; j++) {
      // The heap gives out frames without a type, whatever their last owner left.
      xen.memory.u32[xen.memory.record(fresh[i] + j)] = 0
      own(xen, fresh[i] + j, domain)
      if (readable) xen.m2p.set(fresh[i] + j, (pfn + j) >>> 0, Math.floor((pfn + j) / 0x1_0000_0000))
    }
    if (!readable || !copyToGuest(port, at, [fresh[i] >>> 0, Math.floor(fresh[i] / 0x1_0000_0000)], 2))
      return EFAULT
  }
  return 0
}

/** Give a frame to a domain without counting it: assign_pages() with MEMF_no_refcount. Its type is as it was. */
function own(xen: Hypervisor, mfn: number, domain: Domain): void {
  const { u32, record } = { u32: xen.memory.u32, record: xen.memory.record(mfn) }
  u32[record + REFS_WORD] = (REF_ALLOCATED | 1) >>> 0
  u32[record + OWNER_WORD] = domain.owner
}

/**
 * Take a frame out of its domain's hands: steal_page(). It may have no reference but that of its allocation, so it is
 * not mapped, pinned or a table. False, with its line, when it has.
 */
function steal(xen: Hypervisor, domain: Domain, mfn: number): boolean {
  const record = xen.memory.record(mfn)
  if (record === -1) return false
  const { u32 } = xen.memory
  const refs = u32[record + REFS_WORD]
  const isSole = (refs & REF_ALLOCATED) !== 0 && (refs & REF_COUNT) === 1 && (refs & REF_XEN_HEAP) === 0
  if (ownerOf(xen, record) !== domain.owner || !isSole) {
    const [caf, taf] = xen.wordsText(mfn, record)
    const owner = { domain: xen.owners[ownerOf(xen, record)]?.id ?? null }
    xen.log('steal', { mfn, domid: domain.id, owner, caf, taf })
    return false
  }
  u32[record + OWNER_WORD] = OWNER_NONE
  if (xen.version.rules.stealClearsType) u32[record] = 0
  return true
}
