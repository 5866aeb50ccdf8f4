import { PAGE, vaOf } from '../../bits/address.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { type Domain, maxExtentOrder } from '../domain.ts'
import { isPinned, setPinned } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isRefusal, type Refusal, refused } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { domainNamed, mayActOn } from './foreign.ts'
import { putPageAndType } from './frame-type.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from './guest-copy.ts'
import { assignFrame, freeUnused, getPage, putAllocationReference, putPage } from './references.ts'

/**
 * struct xen_memory_reservation: what a list of extents of frames is about.
 *
 *     0 extents* | 8 number of extents | 16 order: an extent has 2^order frames | 20 flags | 24 u16 domain
 *
 * The lowest byte of the flags is how many bits an address has, 0 for any: XENMEMF_address_bits.
 */
export type Reservation = {
  /** 48-bit address of the list, eight bytes an extent; 0 is none. */
  readonly list: number
  readonly count: number
  readonly order: number
  /** One past the last frame that new extents may have: who asks may say how many bits their addresses have. Infinity without. */
  readonly below: number
  readonly target: Domain
}

/** Bytes of the structure. */
export const RESERVATION_BYTES = 32
/** A start extent travels in the command above bit 6, so no list is longer than what fits there. */
const MAX_EXTENTS = 2 ** 58

const extent = new Uint32Array(2)

/** Read the structure at `va`; refused when it cannot be read, or names a domain that the caller may not act on. */
export function readReservation({ xen, domain: caller, port }: Call, va: number): Reservation | Refusal {
  const words = new Uint32Array(RESERVATION_BYTES / 4)
  if (!copyFromGuest(port, va, words, 7)) return refused(xen, 'unreadable', { va })
  const id = words[6] & 0xffff
  const target = domainNamed(xen, caller, id)
  if (target === undefined) return refused(xen, 'noDomain', { domid: id })
  if (!mayActOn(caller, target)) return refused(xen, 'notAllowed', { domid: id })
  const count = words[3] * 0x1_0000_0000 + words[2]
  const bits = words[5] & 0xff
  const below = bits === 0 ? Infinity : Math.floor(2 ** bits / PAGE)
  return { list: vaOf(words[0], words[1]), count, order: words[4], below, target }
}

const extents = new Uint32Array(PAGE / 4)

export type ReservationChange = 'increase' | 'populate' | 'decrease'

/**
 * increase_reservation(), populate_physmap(), decrease_reservation(): extents from `start` on. What cannot be done ends the
 * list: a guest is told how many extents are done, and no error.
 *
 * @returns how many are done, and whether that is all: a long list is put off
 */
export function changeReservation(
  call: Call,
  argument: number,
  start: number,
  how: ReservationChange,
): { readonly done: number; readonly isOver: boolean } {
  const over = (done: number) => ({ done, isOver: true })
  const { xen, domain: caller, port } = call
  const reservation = readReservation(call, argument)
  if (isRefusal(reservation)) return over(start)
  const { list, count, order, target } = reservation
  // An increase without a list gives frames whose numbers nobody asked for.
  const hasList = how !== 'increase' || list !== 0
  if (count > MAX_EXTENTS || start > count || order > maxExtentOrder(caller)) return over(start)
  if (hasList && !isGuestRange(list, count * 8)) return over(start)
  for (let i = start; i < count; i++) {
    if (i > start && xen.work.isTooLong) return { done: i, isOver: false }
    xen.work.done += COST_NS.frame * 2 ** order
    const at = list + i * 8
    if (how === 'decrease' && order === 0) {
      // Single frames, as many as one page of the list names: read together.
      const most = Math.min(count - i, (PAGE - (at % PAGE)) >>> 3)
      if (at % 8 === 0 && most > 1 && copyFromGuest(port, at, extents, most * 2)) {
        xen.work.done += COST_NS.frame * most
        for (let j = 0; j < most; ) {
          const mfn = extents[j * 2 + 1] * 0x1_0000_0000 + extents[j * 2]
          let run = 1
          while (j + run < most && isNext(mfn + run, j + run)) run++
          const done = freeUnused(xen, mfn, run, target)
          if (done === 0 && !removePage(xen, target, mfn)) return over(i)
          j += Math.max(1, done)
          i += Math.max(1, done)
        }
        i--
        continue
      }
    }
    const done =
      how === 'decrease'
        ? decreaseOne(xen, reservation, port, at)
        : increaseOne(xen, reservation, port, hasList ? at : 0, how === 'populate', i)
    if (!done) return over(i)
  }
  return over(count)
}

/** Whether a frame is what the `index`th of the extents names. */
function isNext(mfn: number, index: number): boolean {
  return extents[index * 2] === mfn && extents[index * 2 + 1] === 0
}

/** One extent more; the list's entry at `at` (0 for none) is the first pfn to populate, and becomes the first mfn. */
function increaseOne(
  xen: Hypervisor,
  { order, below, target, count }: Reservation,
  port: Vcpu,
  at: number,
  populate: boolean,
  index: number,
): boolean {
  if (populate && !copyFromGuest(port, at, extent, 2)) return false
  const pfn = extent[1] * 0x1_0000_0000 + extent[0]
  const mfn = allocateExtent(xen, target, order, below)
  if (mfn === -1) {
    const id = populate ? 'noExtentPopulate' : 'noExtentIncrease'
    xen.log(id, { extent_order: order, domid: target.id, memflags: 0, slot: index, nr_extents: count })
    return false
  }
  for (let j = 0; j < 2 ** order; j++) {
    assignFrame(xen, mfn + j, xen.memory.record(mfn + j), target)
    if (populate) xen.m2p.set(mfn + j, (pfn + j) >>> 0, Math.floor((pfn + j) / 0x1_0000_0000))
  }
  return at === 0 || copyToGuest(port, at, [mfn >>> 0, Math.floor(mfn / 0x1_0000_0000)], 2)
}

/**
 * The first of 2^order free frames in a row, out of the heap, or -1. A domain without devices gets no more than its
 * toolstack's limit; dom0 has none.
 */
function allocateExtent(xen: Hypervisor, target: Domain, order: number, below: number): number {
  if (!target.privileged && target.totPages + 2 ** order > target.maxPages) return -1
  return xen.takeExtent(order, below)
}

function decreaseOne(xen: Hypervisor, { order, target }: Reservation, port: Vcpu, at: number): boolean {
  if (!copyFromGuest(port, at, extent, 2)) return false
  const first = extent[1] * 0x1_0000_0000 + extent[0]
  for (let j = 0; j < 2 ** order; j++) if (!removePage(xen, target, first + j)) return false
  return true
}

/** guest_remove_page(): the frame stays as long as anything else holds it. */
function removePage(xen: Hypervisor, domain: Domain, mfn: number): boolean {
  const record = xen.memory.record(mfn)
  if (record === -1) {
    xen.log('pageInvalid', { domid: domain.id, gmfn: mfn })
    return false
  }
  if (freeUnused(xen, mfn, 1, domain) === 1) return true
  if (!getPage(xen, mfn, record, domain)) {
    // To a PV domain its frame numbers are the machine's.
    xen.log('pageFree', { domid: domain.id, gmfn: mfn })
    return false
  }
  if (xen.version.rules.freeUnpins && isPinned(xen, record)) {
    setPinned(xen, record, false)
    putPageAndType(xen, mfn, record)
  }
  putAllocationReference(xen, mfn, record)
  putPage(xen, mfn, record)
  return true
}
