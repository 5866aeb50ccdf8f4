import { decodeTypeWord } from '../../bits/type-word.ts'
import { xenVersion } from '../../xen/versions/index.ts'

/** A field of a type word: its bits, and what they say. */
export type TypeWordField = {
  readonly name: string
  /** Highest and lowest bit. */
  readonly bits: readonly [high: number, low: number]
  /** The bits as they are, highest first. */
  readonly value: string
  readonly says: string
}

/** The type word of a frame, field by field from the highest bit on, in the layout of a version of Xen. */
export function typeWordFields(xen: string, word: string): TypeWordField[] {
  const layout = xenVersion(xen).words.type
  const bits = BigInt(`0x${word}`)
  const decoded = decodeTypeWord(layout, bits)
  const digitsOf = (low: number, width: number): string =>
    ((bits >> BigInt(low)) & ((1n << BigInt(width)) - 1n)).toString(2).padStart(width, '0')
  const field = (name: string, low: number, width: number, says: string): TypeWordField => ({
    name,
    bits: [low + width - 1, low],
    value: digitsOf(low, width),
    says,
  })
  const [typeBit, typeWidth] = layout.type
  const flags = Object.entries(layout.flags).map(([name, bit]) =>
    field(name, bit, 1, digitsOf(bit, 1) === '1' ? 'yes' : 'no'),
  )
  const count = decoded?.count ?? 0
  return [
    field('type', typeBit, typeWidth, decoded?.type ?? 'unknown'),
    ...flags,
    field('count', 0, layout.countBits, `${count} ${count === 1 ? 'user relies' : 'users rely'} on the type`),
  ].sort((a, b) => b.bits[0] - a.bits[0])
}
