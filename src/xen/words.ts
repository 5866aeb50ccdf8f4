import { hex64 } from '../bits/address.ts'
import { encodeTypeWord, TYPE_NAMES, type TypeLayout } from '../bits/type-word.ts'
import {
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  TYPE_COUNT,
  TYPE_LOCKED,
  TYPE_NON_COHERENT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../machine/frames.ts'

/** A packed type word as a version of Xen prints it: 16 digits in its layout. */
export function typeText(layout: TypeLayout, packed: number): string {
  const flags: string[] = []
  if (packed & TYPE_PINNED) flags.push('pinned')
  if (packed & TYPE_VALIDATED) flags.push('validated')
  if (packed & TYPE_LOCKED) flags.push('locked')
  if (packed & TYPE_NON_COHERENT) flags.push('non_coherent')
  const bits = encodeTypeWord(layout, {
    type: TYPE_NAMES[packed >>> TYPE_SHIFT],
    flags,
    count: packed & TYPE_COUNT,
  })
  return hex64(Number(bits & 0xffffffffn), Number(bits >> 32n))
}

/** A packed count word as %08lx prints it. */
export function refsText(packed: number): string {
  // Both profiles keep `allocated` in bit 63 and `Xen heap` in bit 62; a free frame's state is above the count.
  const high = (packed & (REF_ALLOCATED | REF_XEN_HEAP)) >>> 0
  if (high === 0) return (packed & REF_COUNT).toString(16).padStart(8, '0')
  return hex64(packed & REF_COUNT, high)
}
