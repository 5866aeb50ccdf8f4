import { SLOTS } from '../../bits/address.ts'
import { entryHi, entryLo, HI_NX, P } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Domain } from '../domain.ts'
import { setLinearCount } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { passOn, refuse } from '../refusal.ts'
import { checkDescriptorPage } from './descriptors.ts'
import {
  adjustedHigh,
  adjustedLow,
  badFlags,
  getPageFromL1e,
  getPageFromUpper,
  putPageFromL1e,
  putPageFromUpper,
} from './entries.ts'
import { takePlainEntries } from './plain-entries.ts'

/**
 * Whole tables: a frame becomes one when every entry of it has been checked and has taken its references, and ceases to
 * be one when every entry has given them back. Xen: promote_l1_table() to l4_table() (alloc_lN_table() in the seed),
 * demote_l1_table() to l4_table().
 */

/** Slots 256 to 271 of an L4 are Xen's. What a guest writes there is ignored and overwritten. */
export const FIRST_XEN_SLOT = 256
export const LAST_XEN_SLOT = 271

/**
 * Validate a frame as a table of `level`, or as a page of descriptors. -1, or the slot of the entry that failed, which the
 * refusal is about; then every reference taken is given back, and entries that were adjusted already stay so.
 */
export function promoteTable(
  xen: Hypervisor,
  domain: Domain,
  mfn: number,
  record: number,
  code: number,
): number {
  xen.work.table()
  if (code === TYPE_CODE.l1) return promoteL1(xen, domain, mfn, record)
  if (code !== TYPE_CODE.segdesc) return promoteUpper(xen, domain, mfn, record, code as 2 | 3 | 4)
  const slot = checkDescriptorPage(xen, xen.memory.backing(record))
  if (slot !== -1) refuse(xen, 'badDescriptor', { table: mfn, slot })
  return slot
}

/** An L1: its plain entries in one go, and by the rules of an entry whatever is in between. */
function promoteL1(xen: Hypervisor, domain: Domain, mfn: number, record: number): number {
  const { memory } = xen
  const words = memory.u32
  const table = memory.backing(record)
  const bad = badFlags(xen, domain, 1)
  const next = (slot: number): number => takePlainEntries(memory, table, slot, bad, domain.owner)
  for (let slot = next(0); slot < SLOTS; slot = next(slot + 1)) {
    const at = table + slot * 2
    const lo = words[at]
    const hi = words[at + 1]
    const rc = getPageFromL1e(xen, lo, hi, domain, domain)
    if (rc < 0) {
      passOn(xen, 'failureL1', { rc, slot, table: mfn, level: 1 }, xen.version.errnos.refusedEntry)
      for (let done = slot - 1; done >= 0; done--) {
        const entry = table + done * 2
        putPageFromL1e(xen, words[entry], words[entry + 1], domain)
      }
      return slot
    }
    const got = (lo ^ rc) >>> 0
    words[at] = adjustedLow(xen, 1, got, hi)
    words[at + 1] = adjustedHigh(1, got, hi)
  }
  return -1
}

function promoteUpper(
  xen: Hypervisor,
  domain: Domain,
  mfn: number,
  record: number,
  level: 2 | 3 | 4,
): number {
  const words = xen.memory.u32
  const table = xen.memory.backing(record)
  // A fresh validation starts the count of same-level references anew.
  setLinearCount(xen, record, 0)
  for (let slot = 0; slot < SLOTS; slot++) {
    if (isXenSlot(level, slot)) continue
    const at = table + slot * 2
    const lo = words[at]
    const hi = words[at + 1]
    if ((lo & P) === 0) continue
    const rc = getPageFromUpper(xen, level, lo, hi, mfn, domain)
    if (rc !== 0) {
      const id = level === 2 ? 'failureL2' : level === 3 ? 'failureL3' : 'failureL4'
      passOn(xen, id, { rc, slot, table: mfn, level })
      for (let done = slot - 1; done >= 0; done--) {
        if (!isXenSlot(level, done))
          putPageFromUpper(xen, words[table + done * 2], words[table + done * 2 + 1], mfn)
      }
      return slot
    }
    words[at] = adjustedLow(xen, level, lo, hi)
    words[at + 1] = adjustedHigh(level, lo, hi)
  }
  if (level === 4) {
    initXenSlots(xen, mfn, table)
    if (isM2pStrict(domain)) fillM2pSlot(xen, table)
  }
  return -1
}

/** Whether a slot of a table is one of the L4's that are Xen's: 256 to 271. */
export function isXenSlot(level: number, slot: number): boolean {
  return level === 4 && slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT
}

/** Xen's part of an L4: the M2P for the guest to read, the table itself, and tables that a guest cannot use. */
export function initXenSlots(xen: Hypervisor, mfn: number, table: number): void {
  const words = xen.memory.u32
  words.fill(0, table + FIRST_XEN_SLOT * 2, table + (LAST_XEN_SLOT + 1) * 2)
  if (xen.version.rules.m2pOnPromotion) fillM2pSlot(xen, table)
  words[table + 258 * 2] = entryLo(mfn, 0x63)
  words[table + 258 * 2 + 1] = entryHi(mfn, xen.version.rules.xenSlotsNx ? HI_NX : 0)
  for (const [slot, l3] of xen.xenL3s) {
    words[table + slot * 2] = entryLo(l3, 0x63)
    words[table + slot * 2 + 1] = entryHi(l3, slot !== 261 && xen.version.rules.xenSlotsNx ? HI_NX : 0)
  }
}

/** Slot 256: the M2P, readable by the guest. */
export function fillM2pSlot(xen: Hypervisor, table: number): void {
  const words = xen.memory.u32
  const isSafe = xen.version.rules.xenSlotsNx
  words[table + 256 * 2] = entryLo(xen.m2p.l3, isSafe ? 0x25 : 0x67)
  words[table + 256 * 2 + 1] = entryHi(xen.m2p.l3, isSafe ? HI_NX : 0)
}

/** Take the M2P out of an L4, whose word index this is. */
export function zapM2pSlot(xen: Hypervisor, table: number): void {
  xen.memory.u32.fill(0, table + 256 * 2, table + 257 * 2)
}

/** vm_assist type 32: the M2P is mapped only by the roots that a kernel uses. Its bit is one that a number has. */
export const ASSIST_M2P_STRICT = 1 << 30

/** Whether the guest has asked that only its kernel's roots map the M2P. */
export function isM2pStrict(domain: Domain): boolean {
  return (domain.assist & ASSIST_M2P_STRICT) !== 0
}

/** Give back every reference of a table's entries, highest slot first. The entries themselves stay. */
export function demoteTable(
  xen: Hypervisor,
  domain: Domain,
  mfn: number,
  record: number,
  code: number,
): void {
  xen.work.table()
  const words = xen.memory.u32
  const table = xen.memory.backing(record)
  for (let slot = SLOTS - 1; slot >= 0; slot--) {
    const at = table + slot * 2
    if (code === TYPE_CODE.l1) putPageFromL1e(xen, words[at], words[at + 1], domain)
    else if (!isXenSlot(code, slot)) putPageFromUpper(xen, words[at], words[at + 1], mfn)
  }
}
