import { hex64 } from './address.ts'

/**
 * The word in which Xen keeps a frame's type: its type, a count of the references that hold it to that type, and
 * flags. Its layout changed five times (Xen's include/asm-x86/mm.h: eb063a09b3, 38edca187d, 1ae4be859b, c1c9cae3a9).
 * The machine keeps one packed form of its own (machine/frames.ts); these tables say how a version prints it.
 */
export type FrameType = 'none' | 'l1' | 'l2' | 'l3' | 'l4' | 'segdesc' | 'shared' | 'writable'

/** Codes of the types, in the machine's packed form. Tables are their level. */
export const TYPE_CODE = { none: 0, l1: 1, l2: 2, l3: 3, l4: 4, segdesc: 5, shared: 6, writable: 7 } as const
export const TYPE_NAMES: readonly FrameType[] = [
  'none',
  'l1',
  'l2',
  'l3',
  'l4',
  'segdesc',
  'shared',
  'writable',
]

export type TypeLayout = {
  readonly name: string
  readonly versions: string
  /** Digits it is printed with. */
  readonly digits: 8 | 16
  /** Lowest bit and width of the type field. */
  readonly type: readonly [bit: number, width: number]
  /** The code of `shared`, the only type whose code moved. */
  readonly shared: number
  readonly flags: Readonly<Record<string, number>>
  /** Width of the count, which starts at bit 0. */
  readonly countBits: number
}

export const TYPE_LAYOUTS: readonly TypeLayout[] = [
  {
    name: '3.0',
    versions: '3.0 to 3.3',
    digits: 8,
    type: [29, 3],
    shared: 6,
    flags: { pinned: 28, validated: 27, pae_xen_l2: 26, partial: 25 },
    countBits: 25,
  },
  {
    name: '3.4',
    versions: '3.4',
    digits: 16,
    type: [61, 3],
    shared: 6,
    flags: { pinned: 60, validated: 59, pae_xen_l2: 58, partial: 57, locked: 56 },
    countBits: 56,
  },
  {
    name: '4.0',
    versions: '4.0 to 4.9',
    digits: 16,
    type: [60, 4],
    shared: 8,
    flags: { pinned: 59, validated: 58, pae_xen_l2: 57, partial: 56, locked: 55 },
    countBits: 55,
  },
  {
    name: '4.10',
    versions: '4.10 to 4.16',
    digits: 16,
    type: [61, 3],
    shared: 6,
    flags: { locked: 60, pinned: 59, validated: 58, pae_xen_l2: 57, partial: 56 },
    countBits: 56,
  },
  {
    name: '4.17',
    versions: '4.17 and later',
    digits: 16,
    type: [61, 3],
    shared: 6,
    flags: { locked: 60, pinned: 59, validated: 58, pae_xen_l2: 57, partial: 56, non_coherent: 55 },
    countBits: 55,
  },
]

/** The layout of that name; throws for one that the table does not have, a mistake of ours. */
export function typeLayout(name: string): TypeLayout {
  const layout = TYPE_LAYOUTS.find((l) => l.name === name)
  if (layout === undefined) throw new Error(`no type layout ${name}`)
  return layout
}

export type TypeWord = {
  readonly type: FrameType
  readonly flags: readonly string[]
  readonly count: number
}

/** The word of a layout that says this. */
export function encodeTypeWord(layout: TypeLayout, word: TypeWord): bigint {
  const code = word.type === 'shared' ? layout.shared : TYPE_CODE[word.type]
  let bits = (BigInt(code) << BigInt(layout.type[0])) | BigInt(word.count)
  for (const flag of word.flags) {
    const bit = layout.flags[flag]
    if (bit !== undefined) bits |= 1n << BigInt(bit)
  }
  return bits
}

/** What a printed word says, in a layout. An unknown type code gives undefined: the layout is then not the right one. */
export function decodeTypeWord(layout: TypeLayout, bits: bigint): TypeWord | undefined {
  const code = Number((bits >> BigInt(layout.type[0])) & ((1n << BigInt(layout.type[1])) - 1n))
  const type = code === layout.shared ? 'shared' : TYPE_NAMES[code]
  if (type === undefined || (type === 'shared' && code !== layout.shared)) return undefined
  return {
    type,
    flags: Object.keys(layout.flags).filter((flag) => (bits >> BigInt(layout.flags[flag])) & 1n),
    count: Number(bits & ((1n << BigInt(layout.countBits)) - 1n)),
  }
}

/** The word as Xen prints it, without `0x`. */
export function printTypeWord(layout: TypeLayout, word: TypeWord): string {
  const bits = encodeTypeWord(layout, word)
  return layout.digits === 8
    ? bits.toString(16).padStart(8, '0')
    : hex64(Number(bits & 0xffffffffn), Number(bits >> 32n))
}
