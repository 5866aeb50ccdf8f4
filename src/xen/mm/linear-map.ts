import { ENTRY_BYTES } from '../../bits/address.ts'
import { PSE } from '../../bits/pte.ts'
import { markPath, walk } from '../../machine/vcpu/mmu.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isGuestAddress } from './guest-copy.ts'

/**
 * Xen's linear map: slot 258 of every root is the root itself, so that the tables in use appear as pages, and the entry
 * for an address is at an address of its own.
 */

/**
 * The frame of the table whose entry maps `va` in the tables in use, or -1. Xen looks through its linear map of them, so the
 * CPU marks as accessed those entries that lie above the one that Xen reads.
 *
 * @param marked the lowest level whose entries are marked: 2 where Xen reads the L1 entry, 3 where it reads the L2 entry
 */
export function l1TableOf(xen: Hypervisor, port: Vcpu, va: number, marked: 2 | 3): number {
  if (!isGuestAddress(va)) return -1
  const found = walk(xen.memory, port.root, va, xen.found, 2)
  const lowest = found.missing === 0 ? found.level : found.missing + 1
  markPath(xen.memory, found, lowest < marked ? marked : lowest)
  if (found.missing !== 0 || (found.lo & PSE) !== 0 || xen.memory.record(found.mfn) === -1) return -1
  return marked === 2 ? throughLinearMap(xen, port, va, found.mfn) : found.mfn
}

/**
 * The CPU caches translations of the linear map as any others. A version that flushes them when an L2 to L4 changes can be
 * taken to walk the tables anew each time; one that does not (XSA-286) finds the L1 that was there when it looked first.
 *
 * @param table frame of the L1 that maps `va` now
 * @returns frame of the L1 that Xen finds
 */
export function throughLinearMap(xen: Hypervisor, port: Vcpu, va: number, table: number): number {
  if (xen.version.rules.flushesLinearMap) return table
  return port.tlb.linearL1(Math.floor(va / ENTRY_BYTES[2]), table)
}
