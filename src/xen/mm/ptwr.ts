import { hexVa, PAGE, slotAt } from '../../bits/address.ts'
import { entryFrame, P, RW } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { PF_PRESENT, PF_RESERVED, PF_USER, PF_WRITE } from '../../machine/vcpu/mmu.ts'
import type { FaultingStore, Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'
import { typeCodeOf } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { passOn, refuse } from '../refusal.ts'
import { adjustedHigh, adjustedLow, getPageFromL1e, isReadOnlyDevice, putPageFromL1e } from './entries.ts'
import { isLive, lockPage, unlockPage } from './frame-type.ts'
import { isGuestAddress } from './guest-copy.ts'
import { l1TableOf } from './linear-map.ts'
import { getPage, putPage } from './references.ts'

/** vm_assist type 2: stores to live L1 tables are carried out by Xen. */
export const ASSIST_WRITABLE_PAGETABLES = 2

/** `by` in the facts of a refusal that no hypercall asked for, but a store to a table in use. */
export const STORE = 'store'

/**
 * A page fault of the guest, before the guest sees it: fixup_page_fault(). A kernel's store to a read-only mapping of a
 * live L1 is carried out for it, entry checked; L2 to L4 are never written so.
 */
export function fixupPageFault(
  xen: Hypervisor,
  domain: Domain,
  port: Vcpu,
  va: number,
  error: number,
  store: FaultingStore | undefined,
): 'emulated' | 'deliver' {
  const isWrite = (error & (PF_WRITE | PF_PRESENT | PF_RESERVED)) === (PF_WRITE | PF_PRESENT)
  const assisted = domain.privileged || (domain.assist & (1 << ASSIST_WRITABLE_PAGETABLES)) !== 0
  if (isWrite && store !== undefined && port.kernelMode && assisted && isGuestAddress(va)) {
    if (emulateWrite(xen, domain, port, va, store)) return 'emulated'
  }
  if (xen.sink !== null) xen.sink({ kind: 'fault', va, error: port.kernelMode ? error & ~PF_USER : error })
  return 'deliver'
}

/** Writable page tables: ptwr_do_page_fault(). False when the fault is the guest's after all. */
function emulateWrite(
  xen: Hypervisor,
  domain: Domain,
  port: Vcpu,
  va: number,
  store: FaultingStore,
): boolean {
  const table = tableMappedAt(xen, port, va)
  if (table === -1) return false
  // dom0's stores to registers that it may only read are carried out by dropping them. What would read them first is not.
  if (domain.privileged && isReadOnlyDevice(table)) {
    return store.expected === undefined && store.bytes <= 8 && va % store.bytes === 0
  }
  const record = xen.memory.record(table)
  if (record === -1 || !getPage(xen, table, record, domain)) {
    refuse(xen, 'pageRef', { mfn: table, va })
    return false
  }
  const done = isLive(xen, record) && emulateLocked(xen, domain, va, store, table, record)
  putPage(xen, table, record)
  return done
}

function emulateLocked(
  xen: Hypervisor,
  domain: Domain,
  va: number,
  store: FaultingStore,
  table: number,
  record: number,
): boolean {
  if (typeCodeOf(xen, record) !== TYPE_CODE.l1) return false
  const { bytes } = store
  const offset = (va >>> 0) & (PAGE - 1)
  if (bytes > 8) return false
  if ((offset & (bytes - 1)) !== 0) {
    const digits = hexVa(va).replace(/^0+(?=.)/, '')
    refuse(xen, 'ptwrAccess', { cr2: digits, addr: digits, bytes, table })
    return false
  }
  lockPage(xen, record)
  const done = storeToLiveL1(xen, domain, table, offset, store)
  unlockPage(xen, record)
  return done
}

/** The frame that a read-only mapping at `va` maps, or -1: guest_get_eff_l1e(). */
function tableMappedAt(xen: Hypervisor, port: Vcpu, va: number): number {
  const l1 = l1TableOf(xen, port, va, 2)
  if (l1 === -1) return -1
  const at = xen.memory.frameWords(l1) + slotAt(va, 1) * 2
  const lo = xen.memory.u32[at]
  if ((lo & (P | RW)) !== P) return -1
  return entryFrame(lo, xen.memory.u32[at + 1])
}

function storeToLiveL1(
  xen: Hypervisor,
  domain: Domain,
  table: number,
  offset: number,
  store: FaultingStore,
): boolean {
  const words = xen.memory.u32
  const slot = offset >>> 3
  const at = xen.memory.frameWords(table) + slot * 2
  const oldLo = words[at]
  const oldHi = words[at + 1]
  if (store.expected !== undefined && !holds(oldLo, oldHi, offset & 7, store)) return true
  let [lo, hi] = widen(oldLo, oldHi, offset & 7, store)
  if ((lo & P) !== 0) {
    const rc = getPageFromL1e(xen, lo, hi, domain, domain)
    if (rc < 0) {
      passOn(xen, 'ptwrGet', { table, slot, level: 1, by: STORE })
      if (xen.sink !== null) xen.sink({ kind: 'ptwr', table, slot, lo, hi, refused: true })
      return false
    }
    const got = (lo ^ rc) >>> 0
    lo = adjustedLow(xen, 1, got, hi, 'globalKernelPtwr')
    hi = adjustedHigh(1, got, hi)
  }
  words[at] = lo
  words[at + 1] = hi
  if ((oldLo & P) !== 0) {
    xen.entryChanged(1, at)
    putPageFromL1e(xen, oldLo, oldHi, domain)
  }
  if (xen.sink !== null) xen.sink({ kind: 'ptwr', table, slot, lo, hi, refused: false })
  return true
}

/** The whole entry that a store of 1 to 8 bytes makes of an old one. */
function widen(oldLo: number, oldHi: number, offset: number, store: FaultingStore): [lo: number, hi: number] {
  if (store.bytes === 8) return [store.lo, store.hi]
  const mask = store.bytes === 4 ? 0xffffffff : (1 << (store.bytes * 8)) - 1
  const shift = (offset & 3) * 8
  const replace = (old: number): number => ((old & ~(mask << shift)) | ((store.lo & mask) << shift)) >>> 0
  return offset < 4 ? [replace(oldLo), oldHi] : [oldLo, replace(oldHi)]
}

/** Whether memory holds what a compare-and-exchange expects. */
function holds(oldLo: number, oldHi: number, offset: number, store: FaultingStore): boolean {
  const { expected, bytes } = store
  if (expected === undefined) return true
  if (bytes === 8) return expected.lo === oldLo && expected.hi === oldHi
  const mask = bytes === 4 ? 0xffffffff : (1 << (bytes * 8)) - 1
  const old = ((offset < 4 ? oldLo : oldHi) >>> ((offset & 3) * 8)) & mask
  return (expected.lo & mask) === old
}
