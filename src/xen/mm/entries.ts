import { hex64, SLOTS } from '../../bits/address.ts'
import { EBUSY, EINVAL } from '../../bits/errno.ts'
import {
  A,
  entryFrame,
  foldFlags,
  G,
  HI_GNTTAB,
  HI_GUEST_KERNEL,
  P,
  PAT,
  PCD,
  PSE,
  PWT,
  RW,
  US,
} from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  OWNER_IO,
  REF_XEN_HEAP,
  TYPE_COUNT,
  TYPE_NON_COHERENT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import { mayMapDevice } from '../frames/device-frames.ts'
import {
  cacheAttributesOf,
  linearCountOf,
  ownerOf,
  refsWordOf,
  setCacheAttributes,
  setLinearCount,
  setRefsWord,
  setTypeWord,
  typeCodeOf,
  typeCountOf,
  typeWordOf,
} from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { passOn, refuse } from '../refusal.ts'
import { mayActOn } from './foreign.ts'
import { getPageType, putPageAndType, putPageType } from './frame-type.ts'
import { dropLdt } from './ldt.ts'
import { getPage, hasRoom, putPage } from './references.ts'

/**
 * What one entry of a table may be, and the references that it holds. A read-only L1 entry holds a reference on its
 * frame; a writable one holds the frame to the type `writable` too; an entry of L2 to L4 holds its frame to the next
 * lower level. Xen: get_page_from_l1e() to l4e(), adjust_guest_l1e() to l4e(), put_page_from_l1e() to l4e().
 */
export type TableLevel = 1 | 2 | 3 | 4

const CACHE_BITS = PWT | PCD | PAT
/** What an entry of all ones names. */
const NO_FRAME = 0xff_ffff_ffff

/** The flags that a level refuses, in Xen's fold. A domain with devices may choose the caching of its L1 entries. */
export function badFlags(xen: Hypervisor, domain: Domain, level: TableLevel): number {
  const { badFlags } = xen.version.rules
  if (level === 1) return domain.privileged || domain === xen.domIo ? badFlags.l1Devices : badFlags.l1
  return level === 2 ? badFlags.l2 : level === 3 ? badFlags.l3 : badFlags.l4
}

/**
 * The low half of an entry as Xen stores it: adjust_guest_lNe(). Kernel pages of a guest are user pages to the CPU, told
 * apart by bit 52; user pages are global.
 *
 * @param warning the line about a page with both marks, which has a place in each file that the code is included by
 */
export function adjustedLow(
  xen: Hypervisor,
  level: TableLevel,
  lo: number,
  hi: number,
  warning: 'globalKernel' | 'globalKernelPtwr' = 'globalKernel',
): number {
  if ((lo & P) === 0) return lo
  if (level === 4) return (lo | US | (xen.version.rules.l4Accessed ? A : 0)) >>> 0
  if (level !== 1) return (lo | US) >>> 0
  // Both marks at once are the guest's own doing; Xen adds but one of them.
  if ((lo & G) !== 0 && (hi & HI_GUEST_KERNEL) !== 0) xen.log(warning, { pfn: entryFrame(lo, hi) })
  const isKernel = (lo & US) === 0 || (hi & HI_GUEST_KERNEL) !== 0
  return (lo | US | (isKernel ? 0 : G)) >>> 0
}

/** The high half of the same entry, from its halves before: a page that no process may use gets the kernel's mark. */
export function adjustedHigh(level: TableLevel, lo: number, hi: number): number {
  return level === 1 && (lo & (P | US)) === P ? (hi | HI_GUEST_KERNEL) >>> 0 : hi
}

/**
 * Take the references of a present L1 entry: get_page_from_l1e(). A negative error, or the bits of the low half that
 * Xen turns over in the entry it stores.
 *
 * @param tableOwner whose table it is; its rights decide about flags and devices
 * @param pageOwner whose frame it is to map
 */
export function getPageFromL1e(
  xen: Hypervisor,
  lo: number,
  hi: number,
  tableOwner: Domain,
  pageOwner: Domain,
): number {
  const bad = foldFlags(lo, hi) & badFlags(xen, tableOwner, 1)
  if (bad !== 0) return refuse(xen, 'badL1Flags', { flags: bad })
  const mfn = entryFrame(lo, hi)
  const record = xen.memory.record(mfn)
  const owner = record === -1 ? OWNER_IO : ownerOf(xen, record)
  if (owner === OWNER_IO) return getDeviceFromL1e(xen, mfn, lo, tableOwner, pageOwner)
  if (owner !== pageOwner.owner) {
    const real = xen.owners[owner]
    // A domain that manages another may map what that one may map: stub domains.
    const isTransfer = real !== undefined && pageOwner !== tableOwner && mayActOn(pageOwner, real)
    if (!isTransfer) {
      refuse(xen, 'otherOwner', {
        pg_owner: pageOwner.id,
        l1e_owner: tableOwner.id,
        real_pg_owner: real === undefined ? -1 : real.id,
      })
      return passOn(xen, 'gettingMfn', gettingFacts(xen, lo, hi, tableOwner, pageOwner), EBUSY)
    }
    pageOwner = real
  }
  const refs = refsWordOf(xen, record)
  if (!hasRoom(refs)) {
    return refuse(xen, 'gettingMfn', gettingFacts(xen, lo, hi, tableOwner, pageOwner))
  }
  setRefsWord(xen, record, refs + 1)
  if ((lo & RW) !== 0 && getPageType(xen, mfn, record, TYPE_CODE.writable) !== 0) {
    xen.log('notWritableType')
    const rc = passOn(xen, 'gettingMfn', gettingFacts(xen, lo, hi, tableOwner, pageOwner), EBUSY)
    putPage(xen, mfn, record)
    return rc
  }
  const rc = checkCaching(xen, mfn, record, lo)
  if (rc !== 0) {
    if ((lo & RW) !== 0) putPageType(xen, mfn, record)
    putPage(xen, mfn, record)
  } else if (xen.version.rules.marksNonCoherent && (lo & (RW | CACHE_BITS)) === (RW | PAT)) {
    // Xen's entry 4 of the PAT is write combining.
    setTypeWord(xen, record, typeWordOf(xen, record) | TYPE_NON_COHERENT)
  }
  return rc
}

/** What is said of an entry whose frame could not be had. */
function gettingFacts(xen: Hypervisor, lo: number, hi: number, tableOwner: Domain, pageOwner: Domain) {
  const mfn = entryFrame(lo, hi)
  return {
    mfn,
    pfn: xen.m2p.get(mfn),
    pte: hex64(lo, hi),
    l1e_owner: tableOwner.id,
    pg_owner: pageOwner.id,
  }
}

/** Whether a device's frame may be read but not written, by anybody: mmio_ro_ranges. The IO-APIC's page is. */
export function isReadOnlyDevice(mfn: number): boolean {
  return mfn === 0xfec00
}

/** A mapping of a device, or of nothing: no reference is held on it. */
function getDeviceFromL1e(
  xen: Hypervisor,
  mfn: number,
  lo: number,
  tableOwner: Domain,
  pageOwner: Domain,
): number {
  const asking = pageOwner === xen.domIo ? tableOwner : pageOwner
  // A frame of all ones is how guests write "no frame": no line for it.
  if (mfn === NO_FRAME) return refuse(xen, 'noFrame', { mfn })
  if (!mayMapDevice(xen, asking, mfn)) return refuse(xen, 'mmioDenied', { pg_owner: asking.id, mfn })
  if (!xen.version.rules.mmioUncached) return 0
  let flips = 0
  if (isReadOnlyDevice(mfn) && (lo & RW) !== 0) {
    xen.log('forcedReadOnly', { l1e_owner: tableOwner.id, mfn })
    flips |= RW
  }
  const caching = lo & CACHE_BITS
  if (caching === 0) flips |= PWT | PCD
  else if (caching === PWT) flips |= PCD
  else if (caching === (PAT | PWT)) flips |= PCD | PAT
  return flips
}

/** Caching other than write-back: refused on Xen's own frames; old versions keep a note of it for every frame. */
function checkCaching(xen: Hypervisor, mfn: number, record: number, lo: number): number {
  const attributes = ((lo >> 3) & 3) | ((lo >> 5) & 4)
  const isHeap = (refsWordOf(xen, record) & REF_XEN_HEAP) !== 0
  if (!xen.version.rules.tracksCacheAttributes) {
    return attributes === 0 || !isHeap ? 0 : refuse(xen, 'cacheOfHeap', { mfn })
  }
  if (attributes === cacheAttributesOf(xen, record)) return 0
  if (isHeap) return (lo & RW) === 0 ? 0 : refuse(xen, 'cacheOfHeap', { mfn })
  setCacheAttributes(xen, record, attributes)
  return 0
}

/**
 * Take the references of a present entry of L2 to L4: get_page_from_l2e() to l4e(). 0, or a negative error.
 *
 * @param table the frame that contains the entry
 */
export function getPageFromUpper(
  xen: Hypervisor,
  level: 2 | 3 | 4,
  lo: number,
  hi: number,
  table: number,
  domain: Domain,
): number {
  const bad = foldFlags(lo, hi) & badFlags(xen, domain, level)
  if (bad !== 0) return refuse(xen, BAD_FLAGS[level], { flags: bad, level })
  // Where the flag is none of L2's bad ones it is for domains that may have superpages; none may here.
  if (level === 2 && (lo & PSE) !== 0) return refuse(xen, 'superpageFlag', { level })
  const mfn = entryFrame(lo, hi)
  const record = xen.memory.record(mfn)
  const before = xen.refusal
  let rc: number
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    rc = refuse(xen, 'pageRef', { mfn, level })
  } else {
    rc = getPageType(xen, mfn, record, level - 1)
    if (rc !== 0) putPage(xen, mfn, record)
  }
  if (rc === EINVAL && getLinear(xen, level, lo, mfn, table, domain)) {
    // Nothing was refused after all.
    xen.refusal = before
    return 0
  }
  return rc
}

const BAD_FLAGS = { 2: 'badL2Flags', 3: 'badL3Flags', 4: 'badL4Flags' } as const

/** The count of same-level uses is a signed half word: one more would make it one of entries. */
const MOST_LINEAR_USES = -0x8000

/**
 * A table of the same level as the target of its own entry: linear page tables, by which a guest reads its tables.
 * Tried after the ordinary way said no. Xen: define_get_linear_pagetable().
 */
function getLinear(
  xen: Hypervisor,
  level: 2 | 3 | 4,
  lo: number,
  mfn: number,
  table: number,
  domain: Domain,
): boolean {
  if ((lo & RW) !== 0) {
    xen.log(level === 2 ? 'linearWritable2' : level === 3 ? 'linearWritable3' : 'linearWritable4')
    return false
  }
  // A table that maps itself holds no reference on itself, or it could never be given back.
  if (mfn === table) return true
  const record = xen.memory.record(mfn)
  const container = xen.memory.record(table)
  if (xen.version.rules.countsLinear && ownerOf(xen, container) !== domain.owner) return false
  if (record === -1 || !getPage(xen, mfn, record, domain)) {
    xen.log('pageRef', { mfn })
    return false
  }
  if (xen.version.rules.countsLinear) {
    // Chains of same-level tables are at most one long, as their teardown would recurse along them.
    const uses = linearCountOf(xen, record)
    if (linearCountOf(xen, container) < 0 || uses > 0 || uses === MOST_LINEAR_USES) {
      putPage(xen, mfn, record)
      return false
    }
  }
  const word = typeWordOf(xen, record)
  const count = word & TYPE_COUNT
  const bare = (level << TYPE_SHIFT) | TYPE_VALIDATED
  // The pinned bit does not count: only type, validated and a count in use do.
  const flags = word & ~TYPE_COUNT & ~TYPE_PINNED
  if (flags !== bare || count === 0 || count === TYPE_COUNT) {
    putPage(xen, mfn, record)
    return false
  }
  setTypeWord(xen, record, word + 1)
  if (xen.version.rules.countsLinear) countLinear(xen, container, record, 1)
  return true
}

/** An entry of `container` for the table `target` of its own level is there, or is there no more. */
function countLinear(xen: Hypervisor, container: number, target: number, by: 1 | -1): void {
  setLinearCount(xen, container, linearCountOf(xen, container) + by)
  setLinearCount(xen, target, linearCountOf(xen, target) - by)
}

/** Give back what an L1 entry holds: put_page_from_l1e(). */
export function putPageFromL1e(xen: Hypervisor, lo: number, hi: number, tableOwner: Domain): void {
  if ((lo & P) === 0) return
  const mfn = entryFrame(lo, hi)
  const record = xen.memory.record(mfn)
  if (record === -1) return
  const owner = ownerOf(xen, record)
  if (owner === OWNER_IO) return
  if ((hi & HI_GNTTAB) !== 0 && (badFlags(xen, tableOwner, 1) & 0x400000) !== 0) {
    xen.log('implicitUnmap', { l1e_owner: { domain: tableOwner.id }, pte: hex64(lo, hi) })
  }
  if ((lo & RW) !== 0) putPageType(xen, mfn, record)
  else if (xen.version.rules.unmapDropsLdt && owner === tableOwner.owner) {
    // Whether it is a page of the LDT is not looked at: put_page_from_l1e().
    if (typeCodeOf(xen, record) === TYPE_CODE.segdesc && typeCountOf(xen, record) !== 0) {
      for (const vcpu of tableOwner.vcpus) dropLdt(xen, vcpu)
    }
  }
  putPage(xen, mfn, record)
}

/**
 * Whether an L2 entry maps a page of 2 MiB: one of those by which Xen's builder maps the p2m list of a dom0. A guest can put no
 * such entry anywhere; the flag on an entry that holds a table is XSA-148's.
 */
function isLargePage(xen: Hypervisor, lo: number, mfn: number, table: number): boolean {
  if ((lo & PSE) === 0 || typeCodeOf(xen, xen.memory.record(table)) !== TYPE_CODE.l2) return false
  return typeCodeOf(xen, xen.memory.record(mfn)) === TYPE_CODE.writable
}

/** Give back what an entry of L2 to L4 holds: put_page_from_l2e() to l4e(). */
export function putPageFromUpper(xen: Hypervisor, lo: number, hi: number, table: number): void {
  if ((lo & P) === 0) return
  const mfn = entryFrame(lo, hi)
  if (mfn === table) return
  if (isLargePage(xen, lo, mfn, table)) {
    for (let i = 0; i < SLOTS; i++) putPageAndType(xen, mfn + i, xen.memory.record(mfn + i))
    return
  }
  const record = xen.memory.record(mfn)
  if (xen.version.rules.countsLinear) {
    const container = xen.memory.record(table)
    if (typeCodeOf(xen, record) === typeCodeOf(xen, container)) countLinear(xen, container, record, -1)
  }
  putPageAndType(xen, mfn, record)
}
