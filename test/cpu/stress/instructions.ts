import { bytesOf, type Draft, type Piece } from './draft.ts'
import { code, FREE, memory, type Place, register, SIZES, type Size } from './operands.ts'
import { FLOAT, float, vectorMove, vectorOperation } from './vectors.ts'

/** Random instructions as compilers write them, and such as they never do: what leads nowhere else. */
type Maker = (d: Draft) => readonly Piece[]

/** A register or a place in memory, with what stands before it. */
function either(d: Draft, of = 3): { readonly before: readonly Piece[]; readonly place: Place } {
  return d.chance(of) ? memory(d) : { before: [], place: register(d.pick(FREE)) }
}

function immediate(d: Draft, size: Size): number[] {
  const bytes = Math.min(size, 4)
  return bytesOf(
    d.pick([0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000_0000, d.random(256), d.random(2 ** 32)]),
    bytes,
  )
}

/** add, or, adc, sbb, and, sub, xor, cmp, test, mov, xchg: of register and register or memory, both ways round. */
function two(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = either(d)
  const byteOr = size === 1 ? 0 : 1
  const opcode = d.pick([
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [n * 8, n * 8 + 2]),
    0x84,
    0x86,
    0x88,
    0x8a,
    0x8a,
  ])
  return [...before, code({ opcode: [opcode + byteOr], size, reg: d.pick(FREE), place, low: d.chance(2) })]
}

/** The same with an immediate. */
function withImmediate(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = either(d)
  const reg = d.random(8)
  if (size > 1 && d.chance(2))
    return [...before, code({ opcode: [0x83], size, reg, place, immediate: immediate(d, 1) })]
  return [
    ...before,
    code({ opcode: [size === 1 ? 0x80 : 0x81], size, reg, place, immediate: immediate(d, size) }),
  ]
}

/** inc, dec, not, neg, mul, imul; and of div and idiv those that may fault. */
function one(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = either(d)
  const byteOr = size === 1 ? 0 : 1
  const [opcode, reg] = d.pick([
    [0xfe, 0],
    [0xfe, 1],
    [0xf6, 2],
    [0xf6, 3],
    [0xf6, 4],
    [0xf6, 5],
  ])
  return [...before, code({ opcode: [opcode + byteOr], size, reg, place, low: d.chance(2) })]
}

/** div and idiv, of what is there or of a half that is known to be small. */
function divide(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = either(d)
  const byteOr = size === 1 ? 0 : 1
  const small: Piece[] = size === 1 ? [[0x0f, 0xb6, 0xc0]] : [[0x31, 0xd2]]
  return [
    ...before,
    ...(d.chance(4) ? [] : small),
    code({ opcode: [0xf6 + byteOr], size, reg: 6 + d.random(2), place }),
  ]
}

/** imul of two and of three operands. */
function multiply(d: Draft): readonly Piece[] {
  const size = d.pick([2, 4, 8] as const)
  const { before, place } = either(d)
  const reg = d.pick(FREE)
  if (d.chance(2)) return [...before, code({ opcode: [0x0f, 0xaf], size, reg, place })]
  return [...before, code({ opcode: [0x69], size, reg, place, immediate: immediate(d, size) })]
}

/** Shifts and rotations, by 1, by a number, by cl; of two registers. */
function shift(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = either(d, 5)
  const byteOr = size === 1 ? 0 : 1
  const reg = d.pick([0, 1, 2, 3, 4, 5, 7])
  switch (d.random(4)) {
    case 0:
      return [...before, code({ opcode: [0xd0 + byteOr], size, reg, place })]
    case 1:
      return [...before, code({ opcode: [0xc0 + byteOr], size, reg, place, immediate: [d.random(70)] })]
    case 2:
      return [...before, code({ opcode: [0xd2 + byteOr], size, reg, place })]
    default: {
      const wide = d.pick([2, 4, 8] as const)
      const isLeft = d.chance(2)
      const source = d.pick(FREE)
      return d.chance(2)
        ? [...before, code({ opcode: [0x0f, isLeft ? 0xa5 : 0xad], size: wide, reg: source, place })]
        : [
            ...before,
            code({
              opcode: [0x0f, isLeft ? 0xa4 : 0xac],
              size: wide,
              reg: source,
              place,
              immediate: [d.random(70)],
            }),
          ]
    }
  }
}

/** movzx, movsx, movsxd, lea, cmov, bsf, bsr. */
function move(d: Draft): readonly Piece[] {
  const size = d.pick([2, 4, 8] as const)
  const { before, place } = either(d)
  const reg = d.pick(FREE)
  const opcode = d.pick([
    [0x0f, 0xb6],
    [0x0f, 0xb7],
    [0x0f, 0xbe],
    [0x0f, 0xbf],
    [0x63],
    [0x0f, 0xbc],
    [0x0f, 0xbd],
  ])
  if (d.chance(3)) return [...before, code({ opcode: [0x0f, 0x40 + d.random(16)], size, reg, place })]
  if (place.kind === 'memory' && d.chance(3)) return [...before, code({ opcode: [0x8d], size, reg, place })]
  return [...before, code({ opcode, size, reg, place, low: opcode.length > 1 && d.chance(2) })]
}

/** bt, bts, btr, btc by a number, or by a register, which of memory leads a few bytes away. */
function bits(d: Draft): readonly Piece[] {
  const size = d.pick([2, 4, 8] as const)
  const { before, place } = either(d)
  const reg = d.pick(FREE)
  if (d.chance(2))
    return [
      ...before,
      code({ opcode: [0x0f, 0xba], size, reg: 4 + d.random(4), place, immediate: [d.random(70)] }),
    ]
  const opcode = [0x0f, d.pick([0xa3, 0xab, 0xb3, 0xbb])]
  const mask = code({ opcode: [0x83], size: 8, reg: 4, place: register(reg), immediate: [0x7f] })
  return [...(place.kind === 'memory' ? [mask] : []), ...before, code({ opcode, size, reg, place })]
}

/** cmpxchg, xadd and xchg of memory, some with lock. */
function locked(d: Draft): readonly Piece[] {
  const size = d.pick(SIZES)
  const { before, place } = memory(d)
  const byteOr = size === 1 ? 0 : 1
  const opcode = d.pick([
    [0x0f, 0xb0 + byteOr],
    [0x0f, 0xc0 + byteOr],
    [0x86 + byteOr],
    [byteOr],
    [0x28 + byteOr],
  ])
  const piece = code({ opcode, size, reg: d.pick(FREE), place, low: true })
  return [...before, d.chance(2) ? [0xf0, ...piece] : piece]
}

/** Whoever reads flags, however far the instruction is that set them. */
function readFlags(d: Draft): readonly Piece[] {
  const { before, place } = either(d)
  switch (d.random(5)) {
    case 0:
      return [
        ...before,
        code({ opcode: [0x0f, 0x90 + d.random(16)], size: 1, reg: 0, place, low: d.chance(2) }),
      ]
    case 1:
      // pushf, and its flags into a register
      return [[0x9c], [0x58 + d.pick([0, 1, 2, 3, 5])]]
    case 2:
      // lahf, sahf, cmc, stc, clc
      return [[d.pick([0x9f, 0x9e, 0xf5, 0xf9, 0xf8])]]
    case 3:
      // adc and sbb of a register with itself, and with 0
      return [
        d.pick([
          [0x11, 0xc0],
          [0x19, 0xc9],
          [0x83, 0xd2, 0],
          [0x83, 0xdb, 0],
          [0x48, 0x19, 0xff],
        ]),
      ]
    default:
      return [
        ...before,
        code({
          opcode: [0x0f, 0x40 + d.random(16)],
          size: d.pick([2, 4, 8] as const),
          reg: d.pick(FREE),
          place,
        }),
      ]
  }
}

/** popf of flags that are made up; seldom with TF or DF. */
function writeFlags(d: Draft): readonly Piece[] {
  const value =
    (d.random(0x1000) & 0x8d5) |
    (d.chance(12) ? 0x100 : 0) |
    (d.chance(12) ? 0x400 : 0) |
    (d.chance(8) ? 0x20_0000 : 0)
  return [[0x68, ...bytesOf(value, 4)], [0x9d]]
}

/** One byte: cbw and the like, xchg with rax, nop, cld; bswap, mov of an immediate of 8 bytes. */
function short(d: Draft): readonly Piece[] {
  const n = d.pick([0, 1, 2, 3, 5, 6, 7])
  return [
    d.pick<Piece>([
      [0x98],
      [0x99],
      [0x48, 0x98],
      [0x48, 0x99],
      [0x66, 0x98],
      [0x66, 0x99],
      [0x90],
      [0xfc],
      [0x90 + n],
      [0x48, 0x90 + n],
      [0x0f, 0xc8 + n],
      [0x48, 0x0f, 0xc8 + n],
      [0xb8 + n, ...immediate(d, 4)],
      [0x48, 0xb8 + n, ...immediate(d, 4), ...immediate(d, 4)],
      [0xb0 + d.random(8), d.random(256)],
      [0x48, 0xc7, 0xc0 + n, ...immediate(d, 4)],
    ]),
  ]
}

/** A push and a pop with something between. */
function stack(d: Draft): readonly Piece[] {
  const from = d.pick([0, 1, 2, 3, 5, 6, 7])
  const to = d.pick([0, 1, 2, 3, 5, 6, 7])
  const { before, place } = either(d)
  return d.pick<() => readonly Piece[]>([
    () => [[0x50 + from], ...instructions(d, d.random(3)), [0x58 + to]],
    () => [...before, code({ opcode: [0xff], size: 4, reg: 6, place }), [0x58 + to]],
    () => [[0x68, ...immediate(d, 4)], ...before, code({ opcode: [0x8f], size: 4, reg: 0, place })],
    () => [
      [0x6a, d.random(256)],
      [0x48, 0x83, 0xc4, 8],
    ],
    () => [[0x55], [0x48, 0x89, 0xe5], ...instructions(d, d.random(3)), [0xc9]],
  ])()
}

/** Sums, products and comparisons of ordinary numbers, of which nothing is denormal, and who reads the flags. */
function ordinaryFloat(d: Draft): readonly Piece[] {
  const prefix = d.pick([0xf2, 0xf3])
  const [a, b] = [register(d.random(4)), register(d.random(4))]
  const from = (reg: number): Piece =>
    code({ prefix, opcode: [0x0f, 0x2a], size: 4, reg, place: register(d.pick(FREE)) })
  const numbers = [from(0), from(1), from(2), from(3)]
  const operation = (): Piece =>
    code({ prefix, opcode: [0x0f, d.pick(FLOAT)], size: 4, reg: d.random(4), place: a })
  const integers: readonly Piece[] = d.chance(2) ? [] : withImmediate(d)
  const compared = code({
    ...(prefix === 0xf2 ? { prefix: 0x66 } : {}),
    opcode: [0x0f, d.pick([0x2e, 0x2f])],
    size: 4,
    reg: d.random(4),
    place: b,
  })
  const skipped = operation()
  const jump: Piece = [0x70 + d.random(16), skipped.length]
  const operations = Array.from({ length: d.random(3) }, operation)
  return [
    ...(d.chance(3) ? [] : numbers),
    ...operations,
    ...integers,
    compared,
    ...(d.chance(2) ? [jump, skipped] : readFlags(d)),
  ]
}

/** Kinds by how often there is one. */
const KINDS: readonly (readonly [often: number, make: Maker])[] = [
  [10, two],
  [6, withImmediate],
  [3, one],
  [1, divide],
  [2, multiply],
  [4, shift],
  [5, move],
  [2, bits],
  [1, locked],
  [5, readFlags],
  [1, writeFlags],
  [4, short],
  [2, stack],
  [2, vectorMove],
  [3, vectorOperation],
  [2, ordinaryFloat],
  [1, float],
]
const MAKERS: readonly Maker[] = KINDS.flatMap(([often, make]) => Array.from({ length: often }, () => make))

/** So many random instructions, or a few more where one needs others. */
export function instructions(d: Draft, count: number): Piece[] {
  return Array.from({ length: count }, () => d.pick(MAKERS)(d)).flat()
}

/** Instructions that leave flags as they are: between one that sets them and one that reads them. */
export function withoutFlags(d: Draft, count: number): Piece[] {
  return Array.from({ length: count }, () => d.pick<Maker>([move, short, vectorMove])(d)).flat()
}
