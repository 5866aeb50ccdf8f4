import { levelOf } from '../../../audit/recount.ts'
import { SLOTS } from '../../../bits/address.ts'
import { entryFrame, P, PSE } from '../../../bits/pte.ts'
import { TYPE_CODE } from '../../../bits/type-word.ts'
import {
  OWNER_IO,
  OWNER_NONE,
  OWNER_WORD,
  RECORD_WORDS,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_LOCKED,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../../machine/frames.ts'
import { type Domain, eoiFrames } from '../../../xen/domain.ts'
import { mayMapDevice } from '../../../xen/frames/device-frames.ts'
import type { Hypervisor } from '../../../xen/hypervisor.ts'
import { checkDescriptorPage } from '../../../xen/mm/descriptors.ts'
import { badFlags } from '../../../xen/mm/entries.ts'
import {
  FIRST_XEN_SLOT,
  fillM2pSlot,
  initXenSlots,
  isXenSlot,
  LAST_XEN_SLOT,
} from '../../../xen/mm/tables.ts'
import { kernelRootOf, recordFrames } from '../../../xen/pv-vcpu.ts'
import { brokenPropertiesOf } from '../../check/properties.ts'
import { recountMachine } from '../../check/recount.ts'
import { endOfRam, FIRST_OWN_FRAME, ownRanges, sharedFrames } from './frames.ts'

/** Bits of the owner word that a frame of a domain can have: the count of same-level references, caching, the owner. */
const OWNER_BITS = 0xffff_07ff
const OWNER_MASK = 0xff

/**
 * What is wrong with a machine that came out of a file; null for one that its guest could have made what it is. Xen's
 * rules hold what they hold only as long as records, tables and what the domain says of its frames fit together: so all
 * of it is looked at here, and counted again, before the guest goes on. What a guest may write as it likes, its memory, its
 * registers and its own numbers, is not.
 */
export function machineFault(xen: Hypervisor, domain: Domain): string | null {
  return heapFault(xen) ?? recordFault(xen, domain) ?? holderFault(xen, domain) ?? countFault(xen)
}

type Range = { readonly start: number; readonly end: number }

/** The free frames are ranges of RAM, each frame in one of them at most, and what is free is held by nobody. */
function heapFault(xen: Hypervisor): string | null {
  const { ranges, freed, lastResort, unscrubbed } = xen.heap.save()
  const all: Range[] = [...ranges, ...freed, ...lastResort].toSorted((a, b) => a.start - b.start)
  const ram = endOfRam(xen)
  for (const [i, { start, end }] of all.entries()) {
    const after = i === 0 ? 0 : all[i - 1].end
    if (start < after || end <= start || end > ram) return 'its free memory is none'
  }
  const own = ownRanges(xen)
  const isRam = (range: Range): boolean =>
    own.some(({ start, end }) => range.start >= start && range.end <= end)
  const isLow = ({ start, end }: Range): boolean => end <= FIRST_OWN_FRAME && start < FIRST_OWN_FRAME
  if (!lastResort.every(isLow) || ![...ranges, ...freed].every(isRam)) return 'its free memory is none'
  if (unscrubbed.some((mfn) => mfn < FIRST_OWN_FRAME || mfn >= ram)) return 'its free memory is none'
  const { memory } = xen
  let at = 0
  for (const [first, word, count] of memory.recordGroups()) {
    for (let i = 0; i < count && first + i < ram; i++) {
      const mfn = first + i
      while (at < all.length && all[at].end <= mfn) at++
      if (at === all.length) return null
      if (mfn < FIRST_OWN_FRAME || mfn < all[at].start) continue
      if (memory.u32[word + i * RECORD_WORDS + REFS_WORD] !== 0) return 'a frame is free and in use'
    }
  }
  return null
}

/** Each record by itself, and the tables: what a frame is used as it is validated as, and tables name the guest's frames. */
function recordFault(xen: Hypervisor, domain: Domain): string | null {
  const { memory } = xen
  const ranges = ownRanges(xen)
  for (const [first, word, count] of memory.recordGroups()) {
    for (const range of ranges) {
      const end = Math.min(count, range.end - first)
      for (let i = Math.max(0, range.start - first); i < end; i++) {
        const wrong = frameFault(xen, domain, first + i, word + i * RECORD_WORDS, 0)
        if (wrong !== null) return wrong
      }
    }
  }
  for (const mfn of sharedFrames(domain)) {
    const record = memory.record(mfn)
    const wrong = frameFault(xen, domain, mfn, record, REF_XEN_HEAP)
    if (wrong !== null || memory.u32[record] >>> TYPE_SHIFT !== TYPE_CODE.writable)
      return wrong ?? 'a shared frame'
  }
  return null
}

/** @param heap the bit of Xen's heap, where the frame is Xen's and shared with the guest */
function frameFault(
  xen: Hypervisor,
  domain: Domain,
  mfn: number,
  record: number,
  heap: number,
): string | null {
  const words = xen.memory.u32
  const [type, refs, owner] = [words[record], words[record + REFS_WORD], words[record + OWNER_WORD]]
  const wrong = `frame ${mfn.toString(16)} has a record that cannot be`
  if (refs === 0 && heap === 0) {
    const isLeft = (type & (TYPE_COUNT | TYPE_PINNED | TYPE_LOCKED)) === 0 && owner === OWNER_NONE
    return isLeft ? null : wrong
  }
  if ((owner & ~OWNER_BITS) !== 0 || (owner & OWNER_MASK) !== domain.owner) return wrong
  // A guest may give back a frame that Xen shares with it: put_page_alloc_ref() drops what its allocation holds, and the last
  // put_page() frees nothing of Xen's heap, whose frame stays the guest's by name, with its type, and with no reference at all.
  if ((refs & REF_XEN_HEAP) !== heap) return wrong
  if ((type & TYPE_COUNT) !== 0 && (type & TYPE_VALIDATED) === 0) return wrong
  const code = type >>> TYPE_SHIFT
  if ((type & TYPE_PINNED) !== 0 && (code < TYPE_CODE.l1 || code > TYPE_CODE.l4)) return wrong
  if ((type & TYPE_COUNT) === 0) return null
  if (code === TYPE_CODE.segdesc) {
    return checkDescriptorPage(xen, xen.memory.backing(record)) === -1 ? null : `${wrong}: its descriptors`
  }
  const level = levelOf(type)
  return level === 0 || isTable(xen, domain, mfn, record, level) ? null : `${wrong}: its entries`
}

/** Whether every entry of a table in use names what the guest may map, and Xen's own slots of it are Xen's. */
function isTable(xen: Hypervisor, domain: Domain, mfn: number, record: number, level: number): boolean {
  const { memory } = xen
  const words = memory.u32
  const at = memory.backing(record)
  const large = level === 1 ? 0 : badFlags(xen, domain, level as 2 | 3 | 4) & PSE
  for (let slot = 0; slot < SLOTS; slot++) {
    const lo = words[at + slot * 2]
    if ((lo & P) === 0 || isXenSlot(level, slot)) continue
    const target = entryFrame(lo, words[at + slot * 2 + 1])
    // By pages of 2 MiB Xen's builder maps the p2m list of a dom0.
    const isLarge = (lo & large) !== 0
    if (isLarge && !(domain.privileged && level === 2)) return false
    if (
      !isOfDomain(xen, domain, target, isLarge ? SLOTS : 1) &&
      !(level === 1 && isDevice(xen, domain, target))
    )
      return false
  }
  return level !== 4 || hasXenSlots(xen, mfn, at)
}

/** Whether `count` frames from a frame on are the domain's. */
function isOfDomain({ memory }: Hypervisor, domain: Domain, first: number, count: number): boolean {
  for (let mfn = first; mfn < first + count; mfn++) {
    const record = memory.record(mfn)
    if (record === -1 || (memory.u32[record + OWNER_WORD] & OWNER_MASK) !== domain.owner) return false
  }
  return true
}

/** Whether a frame is a device's, or nothing, that the domain may map. */
function isDevice(xen: Hypervisor, domain: Domain, mfn: number): boolean {
  const record = xen.memory.record(mfn)
  const isIo = record === -1 || (xen.memory.u32[record + OWNER_WORD] & OWNER_MASK) === OWNER_IO
  return isIo && mayMapDevice(xen, domain, mfn)
}

/** Slots 256 to 271 are as Xen writes them, with or without the M2P. */
function hasXenSlots(xen: Hypervisor, mfn: number, table: number): boolean {
  const slots = xen.memory.u32.subarray(table + FIRST_XEN_SLOT * 2, table + (LAST_XEN_SLOT + 1) * 2)
  const there = slots.slice()
  initXenSlots(xen, mfn, table)
  const hasM2p = there[0] !== 0 || there[1] !== 0
  if (hasM2p) fillM2pSlot(xen, table)
  else slots.fill(0, 0, 2)
  return slots.every((word, i) => word === there[i])
}

/** What the domain and its vCPUs say of frames. */
function holderFault(xen: Hypervisor, domain: Domain): string | null {
  const { memory } = xen
  const isOfType = (mfn: number, code: number): boolean => {
    const record = memory.record(mfn)
    if (record === -1) return false
    const type = memory.u32[record]
    return type >>> TYPE_SHIFT === code && (type & TYPE_COUNT) !== 0
  }
  for (const vcpu of domain.vcpus) {
    const { port, userRoot, gdtFrames, gdtEntries, ldtFrames } = vcpu
    const roots = [port.root, kernelRootOf(vcpu), ...(userRoot === 0 ? [] : [userRoot])]
    if (!roots.every((mfn) => isOfType(mfn, TYPE_CODE.l4))) return 'a root is no table'
    if (!port.kernelMode && port.root !== userRoot) return 'a root is no table'
    const descriptors = [...gdtFrames, ...ldtFrames.values()]
    if (!descriptors.every((mfn) => isOfType(mfn, TYPE_CODE.segdesc))) return 'a page of descriptors is none'
    if (gdtEntries > gdtFrames.length * SLOTS) return 'a page of descriptors is none'
    if (!recordFrames(vcpu).every((mfn) => isOfType(mfn, TYPE_CODE.writable))) return 'a shared page is none'
  }
  const pages = [...domain.backendPages.map(({ mfn }) => mfn), ...eoiFrames(domain)]
  return pages.every((mfn) => isOfType(mfn, TYPE_CODE.writable)) ? null : 'a shared page is none'
}

/** Counts and types, counted again from the tables; and what the guest can store to. */
function countFault(xen: Hypervisor): string | null {
  const [wrong] = recountMachine(xen)
  if (wrong !== undefined) {
    return `the ${wrong.what} of frame ${wrong.mfn.toString(16)} are ${wrong.recorded}, its holders make them ${wrong.counted}`
  }
  return brokenPropertiesOf(xen)[0]?.says ?? null
}
