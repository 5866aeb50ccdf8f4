import { OWNER_NONE, REF_ALLOCATED } from '../../machine/frames.ts'
import type { Call } from '../call.ts'
import { type Domain, maxExtentOrder } from '../domain.ts'
import { ownerOf, refsWordOf, setOwner, setRefsWord, setTypeWord } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from '../mm/guest-copy.ts'
import { putAllocationReference } from '../mm/references.ts'
import { RESERVATION_BYTES, type Reservation, readReservation } from '../mm/reservation.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { argVa, giveWords, wordsAt } from './arguments.ts'
import { PREEMPTED } from './continuation.ts'
import { flat } from './flat.ts'

const word = new Uint32Array(2)

/** What is given for what, and how. */
type Request = {
  readonly given: Reservation
  readonly wanted: Reservation
  /** A chunk has 2^order frames. */
  readonly order: number
  /** Extents of `given` that are done. */
  readonly start: number
  /** Where the guest is told how many are. */
  readonly counter: number
}

/**
 * XENMEM_exchange, {reservation in, reservation out, u64 extents of `in` done}: give frames for as many others, in
 * extents of another order. Linux gets contiguous machine memory so. A chunk, the larger of the two extents, is
 * exchanged as a whole or not at all; the first that fails ends the call, which is put off between two. Xen:
 * memory_exchange().
 */
export const exchange = flat(read, apply)

function read(call: Call): Request | Refusal {
  const { xen, domain: caller, port } = call
  const argument = argVa(port, 1)
  const counter = argument + 2 * RESERVATION_BYTES
  const before = wordsAt(call, counter, 2)
  if (isRefusal(before)) return before
  const given = readReservation(call, argument)
  const wanted = readReservation(call, argument + RESERVATION_BYTES)
  // Whatever is wrong with one of them.
  if (isRefusal(given) || isRefusal(wanted)) return refused(xen, 'noDomain')
  const start = before[1] * 0x1_0000_0000 + before[0]
  const frames = given.count * 2 ** given.order
  if (given.target !== wanted.target || start > given.count || frames !== wanted.count * 2 ** wanted.order)
    return refused(xen, 'badArgument', { frames })
  const limit = maxExtentOrder(caller)
  const order = Math.max(given.order, wanted.order)
  if (order > limit) return refused(xen, 'notAllowed', { order })
  for (const { list, count } of [given, wanted]) {
    if (!isGuestRange(list, count * 8)) return refused(xen, 'unreadable', { va: list })
  }
  return { given, wanted, order, start, counter }
}

function apply(call: Call, request: Request): number {
  const { xen } = call
  const { given, order, start, counter } = request
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
    rc = exchangeChunk(call, request, done / inChunk)
    if (rc !== 0) break
  }
  const told = giveWords(call, counter, [done >>> 0, Math.floor(done / 0x1_0000_0000)])
  return told === 0 ? rc : told
}

function exchangeChunk({ xen, port }: Call, { given, wanted, order }: Request, chunk: number): number {
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
    if (!copyFromGuest(port, given.list + i * 8, word, 2))
      return fail(refuse(xen, 'unreadable', { va: given.list + i * 8 }))
    const first = word[1] * 0x1_0000_0000 + word[0]
    for (let j = 0; j < 2 ** given.order; j++) {
      const rc = steal(xen, domain, first + j)
      if (rc !== 0) return fail(rc)
      stolen.push(first + j)
    }
  }
  const outChunk = 2 ** (order - wanted.order)
  for (let i = 0; i < outChunk; i++) {
    const mfn = xen.takeExtent(wanted.order, wanted.below)
    if (mfn === -1) return fail(refuse(xen, 'outOfMemory', { order: wanted.order }))
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
      setTypeWord(xen, xen.memory.record(fresh[i] + j), 0)
      own(xen, fresh[i] + j, domain)
      if (readable) xen.m2p.set(fresh[i] + j, (pfn + j) >>> 0, Math.floor((pfn + j) / 0x1_0000_0000))
    }
    if (!readable || !copyToGuest(port, at, [fresh[i] >>> 0, Math.floor(fresh[i] / 0x1_0000_0000)], 2))
      return refuse(xen, 'unwritable', { va: at })
  }
  return 0
}

/** Give a frame to a domain without counting it: assign_pages() with MEMF_no_refcount. Its type is as it was. */
function own(xen: Hypervisor, mfn: number, domain: Domain): void {
  const record = xen.memory.record(mfn)
  setRefsWord(xen, record, REF_ALLOCATED | 1)
  setOwner(xen, record, domain.owner)
}

/**
 * Take a frame out of its domain's hands: steal_page(). It may have no reference but that of its allocation, so it is
 * not mapped, pinned or a table. 0, or a negative error.
 */
function steal(xen: Hypervisor, domain: Domain, mfn: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1) return refuse(xen, 'noPage', { mfn })
  const isSole = refsWordOf(xen, record) === (REF_ALLOCATED | 1)
  if (ownerOf(xen, record) !== domain.owner || !isSole) {
    const [caf, taf] = xen.wordsText(mfn, record)
    const owner = { domain: xen.owners[ownerOf(xen, record)]?.id ?? null }
    return refuse(xen, 'steal', { mfn, domid: domain.id, owner, caf, taf })
  }
  setOwner(xen, record, OWNER_NONE)
  if (xen.version.rules.stealClearsType) setTypeWord(xen, record, 0)
  return 0
}
