import { hex, hex64, hexVa } from '../../bits/address.ts'
import { flagNames, RW } from '../../bits/pte.ts'
import type { KernelFault } from '../../guest/kernel-faults.ts'
import { PF_FETCH, PF_PRESENT, PF_WRITE } from '../../machine/vcpu/mmu.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'

/**
 * The page fault that a kernel died of, as the machine delivered it, whatever the kernel makes of it: docs/kernels.md. Addresses,
 * frames and entries are `0x` strings.
 */
export type FatalFault = {
  readonly address: string
  readonly access: 'load' | 'store' | 'fetch'
  /** Whether the address was mapped: then the entries forbid the access. */
  readonly mapped: boolean
  readonly error: number
  /** The frame that the tables lead to; null where they lead to none. */
  readonly mfn: string | null
  readonly pfn: string | null
  /** Where the kernel was: an address, what it calls it, and the instructions that it had executed. */
  readonly at: string
  readonly symbol: string | null
  readonly instruction: number
  /** The entries on the way, from L4 on, to the one that forbids the access or is not there. */
  readonly path: readonly {
    readonly level: number
    readonly table: string
    readonly slot: number
    readonly entry: string
    readonly flags: string
  }[]
}

/** A fault as plain data. `nameOf` gives the kernel's names of addresses. */
export function fatalFault(
  xen: Hypervisor,
  fault: KernelFault,
  nameOf: (va: number) => string | undefined,
): FatalFault {
  const { va, error, mfn, rip, instructions, path } = fault
  const pfn = mfn === null ? -1 : xen.m2p.get(mfn)
  return {
    address: `0x${hexVa(va)}`,
    access: (error & PF_FETCH) !== 0 ? 'fetch' : (error & PF_WRITE) !== 0 ? 'store' : 'load',
    mapped: (error & PF_PRESENT) !== 0,
    error,
    mfn: mfn === null ? null : hex(mfn),
    pfn: pfn === -1 ? null : hex(pfn),
    at: `0x${hexVa(rip)}`,
    symbol: nameOf(rip) ?? null,
    instruction: instructions,
    path: path.map(({ level, table, slot, lo, hi }) => ({
      level,
      table: hex(table),
      slot,
      entry: `0x${hex64(lo, hi)}`,
      flags: flagNames(lo, hi),
    })),
  }
}

/** A fault in half a line: what was accessed, what it is, and from where. */
export function faultText(fault: FatalFault): string {
  const { address, pfn, mfn, at, symbol } = fault
  const frame = pfn !== null ? `pfn ${pfn.slice(2)}` : mfn !== null ? `mfn ${mfn.slice(2)}` : null
  const place = symbol === null ? at.slice(2) : `${at.slice(2)} ${symbol}`
  return `${accessText(fault)} ${address.slice(2)} (${frame === null ? '' : `${frame}, `}${mappingText(fault)}) at ${place}`
}

/** What was done there: `a store to`. */
export function accessText({ access }: FatalFault): string {
  return { load: 'a load from', store: 'a store to', fetch: 'a fetch from' }[access]
}

/** How the address was mapped, if it was. */
export function mappingText({ access, mapped, path }: FatalFault): string {
  if (!mapped) return `not mapped: no entry in L${path.at(-1)?.level ?? 4}`
  const isReadOnly =
    access === 'store' && path.some(({ entry }) => (Number.parseInt(entry.slice(-3), 16) & RW) === 0)
  return isReadOnly ? 'mapped read-only' : 'mapped, but not for that'
}

/** The same with the way through the tables, as lines. */
export function faultLines(fault: FatalFault): string[] {
  const entries = fault.path.map(
    ({ level, table, slot, entry, flags }) =>
      `    L${level} at mfn ${table.slice(2)}, slot ${slot}: ${entry.slice(2)} ${flags}`,
  )
  return [`  on ${faultText(fault)}`, `  instruction ${fault.instruction}; the tables say`, ...entries]
}
