import { slotAt } from '../../bits/address.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import { ownerOf, typeCodeOf } from '../frames/frame-record.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageOwner, mayActOn } from '../mm/foreign.ts'
import { isLive, lockPage, unlockPage } from '../mm/frame-type.ts'
import { l1TableOf, throughLinearMap } from '../mm/linear-map.ts'
import { modEntry } from '../mm/mod-entry.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { arg32, argHigh, argVa } from './arguments.ts'
import { flat } from './flat.ts'

/**
 * update_va_mapping(va, value, flags): change the L1 entry that maps an address now, and flush what `flags` asks for; in
 * old versions even where nothing was changed. All of it is in registers: there is nothing to read. Xen:
 * do_update_va_mapping().
 */
export function updateVaMapping(call: Call): number {
  return update(call, call.domain)
}

/** The same, for an entry that maps a frame of another domain: the fourth argument names it. */
export const updateVaMappingOtherdomain = flat(readPageOwner, update)

function readPageOwner({ xen, domain: caller, port }: Call): Domain | Refusal {
  // A domid_t: 16 bits, whatever else the register holds.
  const pageOwner = getPageOwner(xen, caller, arg32(port, 3) & 0xffff)
  // The security policy is asked before anything else; even for dom_io a domU may not.
  const isAsked = !isRefusal(pageOwner) && xen.version.rules.policyForForeign
  if (isAsked && !mayActOn(caller, pageOwner)) return refused(xen, 'notAllowed', { domid: pageOwner.id })
  return pageOwner
}

function update({ xen, domain: caller, port }: Call, pageOwner: Domain): number {
  const va = argVa(port, 0)
  const lo = arg32(port, 1)
  const hi = argHigh(port, 1)
  const table = l1TableOf(xen, port, va, 3)
  const record = table === -1 ? -1 : xen.memory.record(table)
  let rc: number
  if (record === -1 || !isLiveL1(xen, record, caller)) rc = refuse(xen, 'noL1', { va })
  else {
    const { update } = xen
    update.level = 1
    // The L1 is locked by its frame and written by its address.
    update.table = throughLinearMap(xen, port, va, table)
    update.slot = slotAt(va, 1)
    update.keepAccessed = false
    update.tableOwner = caller
    update.pageOwner = pageOwner
    lockPage(xen, record)
    rc = modEntry(xen, update, lo, hi)
    unlockPage(xen, record)
  }
  if (rc === 0 || xen.version.rules.flushesAfterFailure) flush(xen, port, va, arg32(port, 2) & 3)
  if (xen.sink !== null) {
    xen.sink({
      kind: 'hypercall',
      name: 'update_va_mapping',
      rc,
      args: { va, table, slot: slotAt(va, 1), lo, hi },
    })
  }
  return rc
}

function isLiveL1(xen: Hypervisor, record: number, owner: Domain): boolean {
  const isOwn = ownerOf(xen, record) === owner.owner
  return isOwn && isLive(xen, record) && typeCodeOf(xen, record) === TYPE_CODE.l1
}

/** UVMF_TLB_FLUSH and UVMF_INVLPG. Of the vCPUs that the other bits name there is but one. */
function flush(xen: Hypervisor, port: Vcpu, va: number, what: number): void {
  if (what === 1) xen.flushTlbs()
  else if (what === 2 && va !== -1) xen.flushPage(port, va)
}
