import { type Evidence, recordsOf } from '../evidence.ts'
import { directMapPfn } from './regions.ts'
import { errnoOf } from './values.ts'

/** A page that a crash dump points to when Xen printed no refusal. */
export type Suspect = {
  readonly register: string
  readonly value: string
  /** Hexadecimal, as Xen prints it. */
  readonly pfn: string
  /** The kernel's buffer for early tables that holds it, as the kernel printed it. */
  readonly buffer: string
  /** What the refused hypercall answered. */
  readonly errno: string
  readonly line: number
}

/**
 * The direct-map addresses among a dump's registers whose pages lie in a buffer of early tables, when another register
 * holds an error number: Linux has the table's address and the answer at hand when it gives up (`pin_pagetable_pfn`).
 */
export function earlyTableSuspects(evidence: Evidence): Suspect[] {
  const buffers = recordsOf(evidence, 'mark').filter(({ mark }) => mark === 'early-tables')
  const inBuffer = (pfn: bigint) =>
    buffers.find(
      ({ fields }) => pfn >= BigInt(`0x${fields.start}`) >> 12n && pfn < BigInt(`0x${fields.end}`) >> 12n,
    )
  return recordsOf(evidence, 'registers').flatMap(({ values, line }) => {
    const errno = Object.values(values)
      .map(errnoOf)
      .find((name) => name !== undefined)
    if (errno === undefined) return []
    return Object.entries(values).flatMap(([register, value]) => {
      const pfn = value.length === 16 ? directMapPfn(BigInt(`0x${value}`)) : undefined
      const buffer = pfn === undefined || (BigInt(`0x${value}`) & 0xfffn) !== 0n ? undefined : inBuffer(pfn)
      if (buffer === undefined) return []
      const { start, end } = buffer.fields
      return [{ register, value, pfn: pfn!.toString(16), buffer: `${start}-${end}`, errno, line }]
    })
  })
}
