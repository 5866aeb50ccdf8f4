import { DOMID } from '../../bits/domid.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { TableLevel } from '../mm/entries.ts'
import { getPageOwner, mayActOn } from '../mm/foreign.ts'
import { getPageType, isLive, lockPage, putPageType, unlockPage } from '../mm/frame-type.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from '../mm/guest-copy.ts'
import { modEntry } from '../mm/mod-entry.ts'
import { getPage, putPage, typeCodeOf } from '../mm/references.ts'
import { COST_NS } from '../sched/work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith, GOES_ON } from './continuation.ts'

/** Low three bits of a request's pointer: Xen's public/xen.h. */
const NORMAL_UPDATE = 0
const MACHPHYS_UPDATE = 1
const PRESERVE_AD = 2
const NO_TRANSLATE = 3

const request = new Uint32Array(4)
const doneWord = new Uint32Array(1)

/**
 * mmu_update(requests, count, done*, foreign domain): a batch of stores to page tables, each {u64 pointer | command,
 * u64 value}. The first that fails ends the batch; those before it stay. A long one is put off between two requests.
 * Xen: do_mmu_update().
 */
export function mmuUpdate({ xen, domain: caller, port }: Call): number {
  const array = argVa(port, 0)
  const asked = arg32(port, 1)
  const count = asked & ~GOES_ON
  const done = argVa(port, 2)
  const before = asked === count ? 0 : doneBefore(port, done)
  const foreign = arg32(port, 3)
  const tableOwner = tablesOf(xen, caller, foreign >>> 16)
  if (tableOwner === null) return xen.version.errnos.unknownTableOwner
  const pageOwner = getPageOwner(xen, caller, foreign & 0xffff)
  if (pageOwner === null) {
    // Only here does a call that fails as a whole say that it has done nothing.
    if (done !== 0) writeDone(port, done, 0)
    return ESRCH
  }
  if (!isGuestRange(array, count * 16)) return EFAULT

  let rc = 0
  let i = 0
  let upperChanged = false
  for (; i < count; i++) {
    if (i > 0 && xen.work.isTooLong) {
      rc = continueWith(port, array + i * 16, ((count - i) | GOES_ON) >>> 0)
      break
    }
    xen.work.done += COST_NS.request
    if (!copyFromGuest(port, array + i * 16, request, 4)) {
      rc = EFAULT
      break
    }
    rc = updateOne(xen, caller, tableOwner, pageOwner, request[0], request[1], request[2], request[3])
    if (xen.sink !== null) traceRequest(xen, rc)
    if (rc < 0) break
    if (rc > 0) upperChanged = true
    rc = 0
  }
  if (upperChanged && xen.version.rules.flushesLinearMap) xen.flushTlbs()
  if (done !== 0) writeDone(port, done, before + i)
  return rc
}

/** The owner of the tables: high half of the foreign domain argument, one more than the id, or 0 for the caller. */
function tablesOf(xen: Hypervisor, caller: Domain, plusOne: number): Domain | null {
  if (plusOne === 0) return caller
  const id = plusOne - 1
  if (id === DOMID.SELF || id === caller.id) return caller
  return xen.domainById(id) ?? null
}

/** Of a call that goes on: how many requests are done already, where the guest is told. */
export function doneBefore(port: Vcpu, done: number): number {
  return done !== 0 && copyFromGuest(port, done, doneWord, 1) ? doneWord[0] : 0
}

/** `*done = count`, where the guest gave an address; a bad one is ignored. */
export function writeDone(port: Vcpu, done: number, count: number): void {
  doneWord[0] = count
  copyToGuest(port, done, doneWord, 1)
}

/** One request: negative error, 0, or 1 when an L2, L3 or L4 changed. */
function updateOne(
  xen: Hypervisor,
  caller: Domain,
  tableOwner: Domain,
  pageOwner: Domain,
  pointerLo: number,
  pointerHi: number,
  lo: number,
  hi: number,
): number {
  const command = pointerLo & 7
  const isStore = command === NORMAL_UPDATE || command === PRESERVE_AD
  const noTranslate = command === NO_TRANSLATE && xen.version.abi.noTranslate
  if (isStore || noTranslate) {
    if (pageOwner !== xen.domIo && (!mayActOn(caller, pageOwner) || !mayActOn(caller, tableOwner)))
      return EPERM
    return storeEntry(xen, tableOwner, pageOwner, pointerLo, pointerHi, lo, hi, command === PRESERVE_AD)
  }
  if (command === MACHPHYS_UPDATE) {
    if (tableOwner !== caller || !mayActOn(caller, pageOwner)) return EPERM
    return machPhys(xen, pageOwner, pointerLo, pointerHi, lo, hi)
  }
  xen.log('mmuCommand', { cmd: command })
  return ENOSYS
}

function storeEntry(
  xen: Hypervisor,
  tableOwner: Domain,
  pageOwner: Domain,
  pointerLo: number,
  pointerHi: number,
  lo: number,
  hi: number,
  keepAccessed: boolean,
): number {
  const table = pointerHi * 0x10_0000 + (pointerLo >>> 12)
  const slot = (pointerLo & 0xfff) >>> 3
  const record = xen.memory.record(table)
  if (record === -1 || !getPage(xen, table, record, tableOwner)) {
    xen.log('normalUpdate')
    return EINVAL
  }
  let rc: number = EINVAL
  const code = typeCodeOf(xen, record)
  if (isLive(xen, record)) {
    if (code === TYPE_CODE.writable) {
      plainStore(xen, table, slot, lo, hi)
      rc = 0
    } else if (code >= TYPE_CODE.l1 && code <= TYPE_CODE.l4) {
      const foreignUpper =
        code > TYPE_CODE.l1 && tableOwner !== pageOwner && xen.version.rules.foreignOnlyInL1
      if (!foreignUpper) {
        lockPage(xen, record)
        rc = modEntry(xen, code as TableLevel, table, slot, lo, hi, keepAccessed, tableOwner, pageOwner)
        unlockPage(xen, record)
        if (rc === 0 && code > TYPE_CODE.l1) rc = 1
      }
    }
  } else {
    // An idle frame: it becomes, and stays, of type writable, and the store is not checked.
    rc = getPageType(xen, table, record, TYPE_CODE.writable)
    if (rc === 0) {
      plainStore(xen, table, slot, lo, hi)
      putPageType(xen, table, record)
    }
  }
  putPage(xen, table, record)
  return rc
}

function plainStore(xen: Hypervisor, mfn: number, slot: number, lo: number, hi: number): void {
  const at = xen.memory.frameWords(mfn) + slot * 2
  xen.memory.u32[at] = lo
  xen.memory.u32[at + 1] = hi
}

function machPhys(
  xen: Hypervisor,
  pageOwner: Domain,
  pointerLo: number,
  pointerHi: number,
  lo: number,
  hi: number,
): number {
  const mfn = pointerHi * 0x10_0000 + (pointerLo >>> 12)
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, pageOwner)) {
    xen.log('pageRef', { mfn })
    xen.log('machphys')
    return EINVAL
  }
  xen.m2p.set(mfn, lo, hi)
  putPage(xen, mfn, record)
  return 0
}

function traceRequest(xen: Hypervisor, rc: number): void {
  const [pointerLo, pointerHi, lo, hi] = request
  const table = pointerHi * 0x10_0000 + (pointerLo >>> 12)
  xen.sink?.({
    kind: 'hypercall',
    name: 'mmu_update',
    rc: Math.min(rc, 0),
    args: { table, slot: (pointerLo & 0xfff) >>> 3, command: pointerLo & 7, lo, hi },
  })
}
