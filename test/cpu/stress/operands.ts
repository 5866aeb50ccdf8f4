import { bytesOf, type Draft, type Piece } from './draft.ts'
import { DATA_PAGES, PAGE, PLACE } from './program.ts'

/** How the instructions of ordinary programs name registers and memory. */

/** Registers that any instruction may write: rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9. */
export const FREE = [0, 1, 2, 3, 5, 6, 7, 8, 9] as const
const RSP = 4
/** An index of a few bytes, set before it is used. */
const INDEX = 11
/** What loops count by, the outer one and the inner ones. */
export const COUNTERS = [12, 13, 10] as const
/** The middle of the data. */
export const POINTER = 14
const POINTED = PLACE.data + PAGE
/** Below are the stacks. */
const STACKS = 0x800

/** The middle of the data, into the register that points there. */
export const SET_POINTER: Piece = [0x41, 0xb8 + (POINTER & 7), ...bytesOf(POINTED, 4)]

/** Bytes of an operand. */
export type Size = 1 | 2 | 4 | 8
export const SIZES: readonly Size[] = [1, 2, 4, 8]

/** The second operand of a ModRM byte: a register, or an address by what stands behind that byte. */
export type Place =
  | { readonly kind: 'register'; readonly n: number }
  | {
      readonly kind: 'memory'
      readonly mod: number
      readonly rm: number
      readonly base: number
      readonly index: number
      readonly tail: Piece
    }

export function register(n: number): Place {
  return { kind: 'register', n }
}

/** Anywhere in the data but the stacks; often near the border of its pages, seldom beyond their end or in the stacks. */
export function dataOffset(d: Draft, align = 1): number {
  const at = (): number => {
    if (d.chance(6)) return PAGE - 16 + d.random(24)
    if (d.chance(60)) return DATA_PAGES * PAGE - 8 + d.random(16)
    if (d.chance(60)) return d.random(STACKS)
    return STACKS + d.random(DATA_PAGES * PAGE - STACKS - 16)
  }
  return Math.floor(at() / align) * align
}

/** A place in the data, in any way of writing one; what is to be done before it is named comes first. */
export function memory(d: Draft, align = 1): { readonly before: readonly Piece[]; readonly place: Place } {
  const offset = dataOffset(d, align) - PAGE
  const based = { kind: 'memory', base: POINTER, index: 0 } as const
  switch (d.random(5)) {
    case 0:
      // [disp32]
      return alone({
        kind: 'memory',
        mod: 0,
        rm: 4,
        base: 0,
        index: 0,
        tail: [0x25, ...bytesOf(POINTED + offset, 4)],
      })
    case 1: {
      // [r14 + r11 * scale + disp32], with the index made of what is there.
      const scale = d.random(4)
      const mask = align === 1 ? 0x1f : 0x10
      const source = d.pick(FREE)
      return {
        before: [
          [source < 8 ? 0x41 : 0x45, 0x89, 0xc0 + (source & 7) * 8 + (INDEX & 7)],
          [0x41, 0x83, 0xe0 + (INDEX & 7), mask],
        ],
        place: {
          ...based,
          mod: 2,
          rm: 4,
          index: INDEX,
          tail: [scale * 64 + (INDEX & 7) * 8 + (POINTER & 7), ...bytesOf(offset - 128, 4)],
        },
      }
    }
    case 2:
      if (offset >= -128 && offset < 128)
        return alone({ ...based, mod: 1, rm: POINTER & 7, tail: [offset & 0xff] })
      return alone({ ...based, mod: 2, rm: POINTER & 7, tail: bytesOf(offset, 4) })
    case 3:
      if (align > 8) return alone({ ...based, mod: 2, rm: POINTER & 7, tail: bytesOf(offset, 4) })
      // [rsp + disp8]
      return alone({ kind: 'memory', mod: 1, rm: RSP, base: 0, index: 0, tail: [0x24, d.random(10) * 8] })
    default:
      return alone({ ...based, mod: 2, rm: POINTER & 7, tail: bytesOf(offset, 4) })
  }
}

function alone(place: Place): { readonly before: readonly Piece[]; readonly place: Place } {
  return { before: [], place }
}

/** What an instruction with a ModRM byte is made of. */
export type Coded = {
  /** The bytes of the opcode; a mandatory prefix (66, f2, f3) stands apart. */
  readonly opcode: readonly number[]
  readonly prefix?: number
  readonly size: Size
  /** The register of ModRM, or the digit that is part of the opcode. */
  readonly reg: number
  readonly place: Place
  readonly immediate?: readonly number[]
  /** Whether REX.W says that it is of 8 bytes; not where the opcode does. */
  readonly isWide?: boolean
  /** A byte register 4 to 7 is spl, bpl, sil or dil, not ah, ch, dh or bh. */
  readonly low?: boolean
}

export function code({ opcode, prefix, size, reg, place, immediate = [], isWide, low }: Coded): Piece {
  const [base, index] = place.kind === 'register' ? [place.n, 0] : [place.base, place.index]
  const wide = isWide ?? size === 8
  const rex = (wide ? 8 : 0) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (base >> 3)
  const modrm =
    place.kind === 'register'
      ? [0xc0 + (reg & 7) * 8 + (place.n & 7)]
      : [place.mod * 64 + (reg & 7) * 8 + place.rm, ...place.tail]
  return [
    ...(size === 2 ? [0x66] : []),
    ...(prefix === undefined ? [] : [prefix]),
    ...(rex !== 0 || low === true ? [0x40 | rex] : []),
    ...opcode,
    ...modrm,
    ...immediate,
  ]
}
