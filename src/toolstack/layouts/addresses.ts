import { hex, PAGE, REGION } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { Mapping } from './start-of-day.ts'

/** Slots 256 to 271 of every L4 are Xen's, and nobody can map anything there. */
const XEN_ADDRESSES = { start: REGION.xenStart, end: REGION.xenStart + 16 * 2 ** 39 }

/** Where Xen would overwrite a mapping, or one the other, no domain can be built. Throws BadInput. */
export function checkAddresses(mappings: readonly Mapping[]): void {
  const ranges = mappings.map(({ va, pages }) => ({ start: va, end: va + pages * PAGE }))
  for (const [i, range] of ranges.entries()) {
    for (const other of [XEN_ADDRESSES, ...ranges.slice(0, i)]) {
      if (range.start >= other.end || other.start >= range.end) continue
      const what = other === XEN_ADDRESSES ? "Xen's" : 'used twice'
      throw new BadInput(`the kernel wants to be mapped at ${hex(range.start)}, where addresses are ${what}`)
    }
  }
}
