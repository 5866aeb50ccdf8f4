import { slotAt } from '../../bits/address.ts'
import { EINVAL, EPERM, ESRCH } from '../../bits/errno.ts'
import { A, entryFrame, P, PSE } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageOwner, mayActOn } from '../mm/foreign.ts'
import { isLive, lockPage, unlockPage } from '../mm/frame-type.ts'
import { isGuestAddress } from '../mm/guest-copy.ts'
import { throughLinearMap } from '../mm/linear-map.ts'
import { modEntry } from '../mm/mod-entry.ts'
import { ownerOf, typeCodeOf } from '../mm/references.ts'
import { arg32, argHigh, argVa } from './arguments.ts'

/**
 * update_va_mapping(va, value, flags): change the L1 entry that maps an address now, and flush what `flags` asks for; in
 * old versions even where nothing was changed. Xen: do_update_va_mapping().
 */
export function updateVaMapping({ xen, domain: caller, port }: Call): number {
  return update(xen, caller, port, caller)
}

/** The same, for an entry that maps a frame of another domain: the fourth argument names it. */
export function updateVaMappingOtherdomain({ xen, domain: caller, port }: Call): number {
  // A domid_t: 16 bits, whatever else the register holds.
  const pageOwner = getPageOwner(xen, caller, arg32(port, 3) & 0xffff)
  if (pageOwner === null) return ESRCH
  // The security policy is asked before anything else; even for dom_io a domU may not.
  if (xen.version.rules.policyForForeign && !mayActOn(caller, pageOwner)) return EPERM
  return update(xen, caller, port, pageOwner)
}

function update(xen: Hypervisor, caller: Domain, port: Vcpu, pageOwner: Domain): number {
  const va = argVa(port, 0)
  const lo = arg32(port, 1)
  const hi = argHigh(port, 1)
  const table = l1TableOf(xen, port, va, 3)
  let rc: number = EINVAL
  if (table !== -1) {
    const record = xen.memory.record(table)
    if (
      ownerOf(xen, record) === caller.owner &&
      isLive(xen, record) &&
      typeCodeOf(xen, record) === TYPE_CODE.l1
    ) {
      lockPage(xen, record)
      // The L1 is locked by its frame and written by its address.
      const written = throughLinearMap(xen, port, va, table)
      rc = modEntry(xen, 1, written, slotAt(va, 1), lo, hi, false, caller, pageOwner)
      unlockPage(xen, record)
    }
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

/** UVMF_TLB_FLUSH and UVMF_INVLPG. Of the vCPUs that the other bits name there is but one. */
function flush(xen: Hypervisor, port: Vcpu, va: number, what: number): void {
  if (what === 1) xen.flushTlbs()
  else if (what === 2 && va !== -1) xen.flushPage(port, va)
}

/**
 * The frame of the table whose entry maps `va` in the tables in use, or -1. Xen looks through its linear map of them,
 * in which the tables are pages: so the CPU marks as accessed those entries that lie above the one that Xen reads.
 *
 * @param marked the lowest level whose entries are marked: 2 where Xen reads the L1 entry, 3 where it reads the L2 entry
 */
export function l1TableOf(xen: Hypervisor, port: Vcpu, va: number, marked: 2 | 3): number {
  if (!isGuestAddress(va)) return -1
  const { memory } = xen
  let table = port.root
  for (const level of [4, 3, 2] as const) {
    const record = memory.record(table)
    if (record === -1) return -1
    const at = memory.backing(record) + slotAt(va, level) * 2
    const lo = memory.u32[at]
    if ((lo & P) === 0) return -1
    if (level >= marked) memory.u32[at] = lo | A
    if (level < 4 && (lo & PSE) !== 0) return -1
    table = entryFrame(lo, memory.u32[at + 1])
  }
  if (memory.record(table) === -1) return -1
  return marked === 2 ? throughLinearMap(xen, port, va, table) : table
}
