import { type Draft, hex, type Piece } from './draft.ts'
import { code, FREE, memory, type Place, register } from './operands.ts'

/** Random instructions of SSE, MMX and x87. */

/** Moves of SSE: by opcode whether the place has to be aligned, and its mandatory prefix. */
const VECTOR_MOVES: readonly (readonly [prefix: number, opcode: number, align: number])[] = [
  ...[0x6f, 0x7f].flatMap(
    (opcode) =>
      [
        [0xf3, opcode, 1],
        [0x66, opcode, 16],
        [0x66, opcode, 16],
      ] as const,
  ),
  ...[0x10, 0x11].flatMap((opcode) => [0, 0x66, 0xf2, 0xf3].map((prefix) => [prefix, opcode, 1] as const)),
  ...[0x28, 0x29].flatMap((opcode) => [0, 0x66].map((prefix) => [prefix, opcode, 16] as const)),
  [0xf3, 0x7e, 1],
  [0x66, 0xd6, 1],
  [0x66, 0x6e, 1],
  [0x66, 0x7e, 1],
  [0, 0x16, 1],
  [0, 0x12, 1],
]

/** Operations on whole registers with the prefix 66, and of floating point with any. */
const VECTOR = hex(
  '606162636465666768696a6b6c6d747576d1d2d3d4d5d8d9dadbdcdddedfe0e1e2e3e4e5e8e9eaebecedeeeff1f2f3f4f5f6f8f9fafbfcfdfe1415545556572e2f',
)
/** sqrt, add, mul, sub, min, div and max of floating point. */
export const FLOAT = hex('51585c595d5e5f')

/** A load, a store, or a move from register to register. */
export function vectorMove(d: Draft): readonly Piece[] {
  const [prefix, opcode, align] = d.pick(VECTOR_MOVES)
  const isLoaded = opcode === 0x16 || opcode === 0x12 || d.chance(2)
  const aligned = d.chance(20) ? 1 : align
  const { before, place } = isLoaded ? memory(d, aligned) : { before: [], place: register(d.random(4)) }
  return [...before, vector(d, prefix, [opcode], place)]
}

function vector(
  d: Draft,
  prefix: number,
  opcode: readonly number[],
  place: Place,
  immediate: number[] = [],
): Piece {
  return code({
    ...(prefix === 0 ? {} : { prefix }),
    opcode: [0x0f, ...opcode],
    size: 4,
    reg: d.random(d.chance(6) ? 16 : 4),
    place,
    immediate,
  })
}

/** An operation on whole registers, a shuffle, a shift, a conversion. */
export function vectorOperation(d: Draft): readonly Piece[] {
  const { before, place } = d.chance(3) ? memory(d, 16) : { before: [], place: register(d.random(4)) }
  switch (d.random(6)) {
    case 0:
      return [...before, vector(d, d.pick([0, 0x66, 0xf2, 0xf3]), [d.pick(FLOAT)], place)]
    case 1:
      // shuffles
      return [...before, vector(d, d.pick([0x66, 0xf2, 0xf3]), [0x70], place, [d.random(256)])]
    case 2:
      // shifts by a number
      return [
        code({
          prefix: 0x66,
          opcode: [0x0f, 0x71 + d.random(3)],
          size: 4,
          reg: d.pick([2, 4, 6]),
          place: register(d.random(4)),
          immediate: [d.random(70)],
        }),
      ]
    case 3:
      // pmovmskb, movmskps; conversions
      return d.chance(2)
        ? [
            vector(d, d.pick([0, 0x66]), [0x50], register(d.random(4))),
            vector(d, 0x66, [0xd7], register(d.random(4))),
          ]
        : [...before, vector(d, d.pick([0x66, 0xf3]), [d.pick([0x5b, 0xe6])], place)]
    case 4: {
      // cvtsi2sd, cvttsd2si and the like
      const general = register(d.pick(FREE))
      const prefix = d.pick([0xf2, 0xf3])
      const wide = d.chance(2)
      return [
        code({ prefix, opcode: [0x0f, 0x2a], size: 4, reg: d.random(4), place: general, isWide: wide }),
        code({
          prefix,
          opcode: [0x0f, d.pick([0x2c, 0x2d])],
          size: 4,
          reg: d.pick(FREE),
          place: register(d.random(4)),
          isWide: wide,
        }),
      ]
    }
    default:
      return [...before, vector(d, 0x66, [d.pick(VECTOR)], place)]
  }
}

/** x87 and MMX: loads, stores and sums. */
export function float(d: Draft): readonly Piece[] {
  const { before, place } = memory(d)
  const mmx = (opcode: number, at: Place): Piece =>
    code({ opcode: [0x0f, opcode], size: 4, reg: d.random(8), place: at })
  return d.pick<() => readonly Piece[]>([
    () => [
      [0xd9, 0xe8 + d.random(7)],
      ...before,
      code({ opcode: [0xdc], size: 4, reg: d.pick([0, 1, 4, 6]), place }),
      code({ opcode: [0xdd], size: 4, reg: 3, place }),
    ],
    () => [
      ...before,
      code({ opcode: [0xdf], size: 4, reg: 5, place }),
      code({ opcode: [0xdf], size: 4, reg: 7, place }),
    ],
    () => [
      ...before,
      mmx(0x6f, place),
      mmx(d.pick([0xfd, 0xef, 0xd4]), register(d.random(8))),
      mmx(0x7f, place),
      [0x0f, 0x77],
    ],
    () => [[0xdb, 0xe3]],
  ])()
}
