import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { EntryUpdate } from '../frames/entry-update.ts'
import { typeCodeOf } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { TableLevel } from '../mm/entries.ts'
import { domainNamed, getPageOwner, mayActOn } from '../mm/foreign.ts'
import { getPageType, isLive, lockPage, putPageType, unlockPage } from '../mm/frame-type.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from '../mm/guest-copy.ts'
import { modEntry } from '../mm/mod-entry.ts'
import { getPage, putPage } from '../mm/references.ts'
import { isRefusal, passOn, refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
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
 * u64 value}. The first that fails ends the batch; those before it stay: so Xen reads each request only when the one before
 * it is carried out, and what is refused late has been done in part. A long one is put off between two requests. Xen:
 * do_mmu_update().
 */
export function mmuUpdate(call: Call): number {
  const { xen, domain: caller, port } = call
  const array = argVa(port, 0)
  const asked = arg32(port, 1)
  const count = asked & ~GOES_ON
  const done = argVa(port, 2)
  const before = asked === count ? 0 : doneBefore(port, done)
  const foreign = arg32(port, 3)
  const tableOwner = tablesOf(xen, caller, foreign >>> 16)
  if (tableOwner === undefined) return refuse(xen, 'unknownTableOwner', { domid: (foreign >>> 16) - 1 })
  const pageOwner = getPageOwner(xen, caller, foreign & 0xffff)
  if (isRefusal(pageOwner)) {
    // Only here does a call that fails as a whole say that it has done nothing.
    if (done !== 0) writeDone(port, done, 0)
    return pageOwner.errno
  }
  if (!isGuestRange(array, count * 16)) return refuse(xen, 'unreadable', { va: array })

  const { update } = xen
  update.tableOwner = tableOwner
  update.pageOwner = pageOwner
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
      rc = refuse(xen, 'unreadable', { va: array + i * 16 })
      break
    }
    const command = request[0] & 7
    update.table = request[1] * 0x10_0000 + (request[0] >>> 12)
    update.slot = (request[0] & 0xfff) >>> 3
    rc = updateOne(call, command, update, request[2], request[3])
    if (xen.sink !== null) traceRequest(xen, rc, command, update, request[2], request[3])
    if (rc < 0) break
    if (rc > 0) upperChanged = true
    rc = 0
  }
  if (upperChanged && xen.version.rules.flushesLinearMap) xen.flushTlbs()
  if (done !== 0) writeDone(port, done, before + i)
  return rc
}

/** The owner of the tables: high half of the foreign domain argument, one more than the id, or 0 for the caller. */
function tablesOf(xen: Hypervisor, caller: Domain, plusOne: number): Domain | undefined {
  return plusOne === 0 ? caller : domainNamed(xen, caller, plusOne - 1)
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
function updateOne(call: Call, command: number, update: EntryUpdate, lo: number, hi: number): number {
  const { xen, domain: caller } = call
  const { tableOwner, pageOwner } = update
  const isStore = command === NORMAL_UPDATE || command === PRESERVE_AD
  const noTranslate = command === NO_TRANSLATE && xen.version.abi.noTranslate
  if (isStore || noTranslate) {
    const mayStore = mayActOn(caller, pageOwner) && mayActOn(caller, tableOwner)
    if (pageOwner !== xen.domIo && !mayStore) return refuse(xen, 'notAllowed', { domid: pageOwner.id })
    update.keepAccessed = command === PRESERVE_AD
    return storeEntry(xen, update, lo, hi)
  }
  if (command === MACHPHYS_UPDATE) {
    if (tableOwner !== caller || !mayActOn(caller, pageOwner)) {
      return refuse(xen, 'notAllowed', { domid: pageOwner.id })
    }
    return machPhys(xen, update, lo, hi)
  }
  return refuse(xen, 'mmuCommand', { cmd: command })
}

function storeEntry(xen: Hypervisor, update: EntryUpdate, lo: number, hi: number): number {
  const { table, slot, tableOwner, pageOwner } = update
  const record = xen.memory.record(table)
  if (record === -1 || !getPage(xen, table, record, tableOwner)) {
    return refuse(xen, 'normalUpdate', { table, slot })
  }
  let rc: number
  if (isLive(xen, record)) {
    const code = typeCodeOf(xen, record)
    const isUpper = code > TYPE_CODE.l1 && code <= TYPE_CODE.l4
    if (code === TYPE_CODE.writable) {
      plainStore(xen, update, lo, hi)
      rc = 0
    } else if (isUpper && tableOwner !== pageOwner && xen.version.rules.foreignOnlyInL1) {
      rc = refuse(xen, 'foreignUpper', { table, slot, level: code })
    } else if (code === TYPE_CODE.l1 || isUpper) {
      update.level = code as TableLevel
      lockPage(xen, record)
      rc = modEntry(xen, update, lo, hi)
      unlockPage(xen, record)
      if (rc === 0 && isUpper) rc = 1
    } else rc = refuse(xen, 'notStorable', { table, slot })
  } else {
    // An idle frame: it becomes, and stays, of type writable, and the store is not checked.
    rc = getPageType(xen, table, record, TYPE_CODE.writable)
    if (rc === 0) {
      plainStore(xen, update, lo, hi)
      putPageType(xen, table, record)
    }
  }
  putPage(xen, table, record)
  return rc
}

function plainStore(xen: Hypervisor, { table, slot }: EntryUpdate, lo: number, hi: number): void {
  const at = xen.memory.frameWords(table) + slot * 2
  xen.memory.u32[at] = lo
  xen.memory.u32[at + 1] = hi
}

/** MMU_MACHPHYS_UPDATE: the frame in the request gets another pfn. */
function machPhys(xen: Hypervisor, update: EntryUpdate, lo: number, hi: number): number {
  const { table: mfn, pageOwner } = update
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, pageOwner)) {
    refuse(xen, 'pageRef', { mfn })
    return passOn(xen, 'machphys', {})
  }
  xen.m2p.set(mfn, lo, hi)
  putPage(xen, mfn, record)
  return 0
}

function traceRequest(
  xen: Hypervisor,
  rc: number,
  command: number,
  { table, slot }: EntryUpdate,
  lo: number,
  hi: number,
): void {
  xen.sink?.({
    kind: 'hypercall',
    name: 'mmu_update',
    rc: Math.min(rc, 0),
    args: { table, slot, command, lo, hi },
  })
}
