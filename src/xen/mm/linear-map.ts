import { ENTRY_BYTES } from '../../bits/address.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * Xen's linear map: slot 258 of every root is the root itself, so that the tables in use appear as pages, and the entry
 * for an address is at an address of its own. The CPU caches these translations as any others. A version that flushes them
 * when an L2 to L4 changes can be taken to walk the tables anew each time; one that does not (XSA-286) finds the L1 that
 * was there when it looked first.
 *
 * @param table frame of the L1 that maps `va` now
 * @returns frame of the L1 that Xen finds
 */
export function throughLinearMap(xen: Hypervisor, port: Vcpu, va: number, table: number): number {
  if (xen.version.rules.flushesLinearMap) return table
  return port.tlb.linearL1(Math.floor(va / ENTRY_BYTES[2]), table)
}
