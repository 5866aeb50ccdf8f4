import type { Size } from '../../machine/vcpu/instruction.ts'
import { code } from '../../wasm/bytes.ts'
import { loadLane, select } from '../../wasm/wasm-module.ts'
import { I32, I64, i32, i64, type V128, v128, ZERO_VECTOR } from '../../wasm/wasm-values.ts'
import type { Emitter } from '../semantics/emitter.ts'
import { setFlagBits } from '../semantics/flags.ts'
import {
  type FlagUse,
  LOADING,
  NO_FLAGS,
  ONE_SIZE,
  SETS_ARITHMETIC,
  type Semantic,
  semantic,
} from '../semantics/semantic.ts'
import { CF, FIELD, ZF } from '../state.ts'

/**
 * SSE's floating point where WebAssembly's is the same: rounding to nearest, operands that are zero or ordinary numbers, and
 * results with no exception but precision. That one has to be known: either its flag is set already, as it is soon and
 * for ever, or the result is shown to be exact. All else goes the slow way, to sse-float.ts.
 */
type Width = 4 | 8

/** SIMD opcodes of the two formats, and masks of their fields. */
type Lanes = {
  readonly width: Width
  readonly add: number
  readonly subtract: number
  readonly multiply: number
  readonly divide: number
  readonly squareRoot: number
  readonly equal: number
  readonly pmin: number
  readonly pmax: number
  readonly allTrue: number
  readonly integerEqual: number
  readonly greater: number
  readonly exponent: V128
  readonly magnitude: V128
  /** The smallest ordinary number: what a smaller one may have been rounded to, which is an underflow. */
  readonly smallest: V128
  readonly one: V128
  /** Splits a significand in halves: 2^27 + 1, 2^12 + 1. */
  readonly splitter: V128
  /** Products must not be smaller for their error to be exact. */
  readonly least: V128
}

const pair = (lo: number, hi: number): V128 => v128([lo, hi, lo, hi])
const four = (word: number): V128 => v128([word, word, word, word])

const SINGLE: Lanes = {
  width: 4,
  add: 228,
  subtract: 229,
  multiply: 230,
  divide: 231,
  squareRoot: 227,
  equal: 65,
  pmin: 234,
  pmax: 235,
  allTrue: 163,
  integerEqual: 55,
  greater: 59,
  exponent: four(0x7f80_0000),
  magnitude: four(0x7fff_ffff),
  smallest: four(0x0080_0000),
  one: four(0x3f80_0000),
  splitter: four(0x4580_0800),
  least: four(0x1800_0000),
}

const DOUBLE: Lanes = {
  width: 8,
  add: 240,
  subtract: 241,
  multiply: 242,
  divide: 243,
  squareRoot: 239,
  equal: 71,
  pmin: 246,
  pmax: 247,
  allTrue: 195,
  integerEqual: 214,
  greater: 217,
  exponent: pair(0, 0x7ff0_0000),
  magnitude: pair(0xffff_ffff, 0x7fff_ffff),
  smallest: pair(0, 0x0010_0000),
  one: pair(0, 0x3ff0_0000),
  splitter: pair(0x0200_0000, 0x41a0_0000),
  least: pair(0, 0x0a00_0000),
}

const AND = 78
const OR = 80

/** Lanes that hold an ordinary number: neither zero, denormal, infinite nor a NaN. */
function isOrdinary(l: Lanes, v: V128): V128 {
  const exponent = v.simd(AND, l.exponent)
  return exponent.simd(l.greater, ZERO_VECTOR).simd(AND, l.exponent.simd(l.greater, exponent))
}

/** Lanes whose result is ordinary, and was before it was rounded. */
function isOrdinaryResult(l: Lanes, v: V128): V128 {
  const magnitude = v.simd(AND, l.magnitude)
  return magnitude.simd(l.greater, l.smallest).simd(AND, l.exponent.simd(l.greater, magnitude))
}

function isZero(l: Lanes, v: V128): V128 {
  return v.simd(AND, l.magnitude).simd(l.integerEqual, ZERO_VECTOR)
}

/** Rounding to nearest, nothing flushed, all exceptions masked; and the same with the precision flag. */
const CONTROL = 0xffc0
const ORDINARY_CONTROL = 0x1f80
const PRECISION_FLAG = 0x20

const hasOrdinaryControl = (e: Emitter): I32 => e.field(FIELD.mxcsr).and(CONTROL).eq(ORDINARY_CONTROL)
const knowsInexact = (e: Emitter): I32 => e.field(FIELD.mxcsr).and(PRECISION_FLAG)

/** What rounding took from a sum: zero in lanes that are exact. */
function sumError(e: Emitter, l: Lanes, a: V128, b: V128, sum: V128): V128 {
  const rest = e.let(sum.simd(l.subtract, a))
  const left = a.simd(l.subtract, sum.simd(l.subtract, rest))
  return left.simd(l.add, b.simd(l.subtract, rest))
}

/** The same of a product, from those of halves (Dekker). Too large operands give a NaN, which is not zero. */
function productError(e: Emitter, l: Lanes, a: V128, b: V128, product: V128): V128 {
  const split = (v: V128): readonly [V128, V128] => {
    const big = e.let(v.simd(l.multiply, l.splitter))
    const high = e.let(big.simd(l.subtract, big.simd(l.subtract, v)))
    return [high, e.let(v.simd(l.subtract, high))]
  }
  const [aHigh, aLow] = split(a)
  const [bHigh, bLow] = split(b)
  const first = aHigh.simd(l.multiply, bHigh).simd(l.subtract, product)
  const middle = first.simd(l.add, aHigh.simd(l.multiply, bLow)).simd(l.add, aLow.simd(l.multiply, bHigh))
  return middle.simd(l.add, aLow.simd(l.multiply, bLow))
}

function isExactProduct(e: Emitter, l: Lanes, a: V128, b: V128, product: V128): V128 {
  const isLarge = product.simd(AND, l.magnitude).simd(l.greater, l.least)
  const isRight = productError(e, l, a, b, product).simd(l.equal, ZERO_VECTOR)
  return isRight.simd(AND, isLarge.simd(OR, isZero(l, a)).simd(OR, isZero(l, b)))
}

type FastOperation = {
  readonly compute: (l: Lanes, a: V128, b: V128) => V128
  /** Lanes whose result is exact. */
  readonly isExact: (e: Emitter, l: Lanes, a: V128, b: V128, r: V128) => V128
  /** Lanes in which a result of zero is right. */
  readonly mayBeZero: (l: Lanes, a: V128, b: V128) => V128
  /** The same of one number, by whether its operands are zero. */
  readonly mayOneBeZero: (isZeroA: I32, isZeroB: I32) => I32
}

const ANY = four(0xffff_ffff)

const OPERATIONS: Readonly<Record<string, FastOperation>> = {
  add: {
    compute: (l, a, b) => a.simd(l.add, b),
    isExact: (e, l, a, b, r) => sumError(e, l, a, b, r).simd(l.equal, ZERO_VECTOR),
    mayBeZero: () => ANY,
    mayOneBeZero: () => i32(1),
  },
  sub: {
    compute: (l, a, b) => a.simd(l.subtract, b),
    isExact: (e, l, a, b, r) => sumError(e, l, a, negated(l, b), r).simd(l.equal, ZERO_VECTOR),
    mayBeZero: () => ANY,
    mayOneBeZero: () => i32(1),
  },
  mul: {
    compute: (l, a, b) => a.simd(l.multiply, b),
    isExact: isExactProduct,
    mayBeZero: (l, a, b) => isZero(l, a).simd(OR, isZero(l, b)),
    mayOneBeZero: (a, b) => a.or(b),
  },
  div: {
    compute: (l, a, b) => a.simd(l.divide, b),
    // A quotient is exact when it gives the dividend back, exactly.
    isExact: (e, l, a, b, r) => {
      const back = e.let(r.simd(l.multiply, b))
      return isExactProduct(e, l, r, b, back).simd(AND, back.simd(l.equal, a))
    },
    // A divisor of zero makes no zero, and is none of ours.
    mayBeZero: (l, a) => isZero(l, a),
    mayOneBeZero: (a) => a,
  },
  sqrt: {
    compute: (l, _a, b) => b.simd(l.squareRoot),
    isExact: (e, l, _a, b, r) => {
      const back = e.let(r.simd(l.multiply, r))
      return isExactProduct(e, l, r, r, back).simd(AND, back.simd(l.equal, b))
    },
    mayBeZero: (l, _a, b) => isZero(l, b),
    mayOneBeZero: (_a, b) => b,
  },
}

function negated(l: Lanes, v: V128): V128 {
  return v.simd(81, l.width === 4 ? four(0x8000_0000) : pair(0, 0x8000_0000))
}

/** One lane of a vector, the others ones: what a scalar instruction computes with. */
function scalar(l: Lanes, v: V128): V128 {
  return l.width === 4 ? l.one.withLane32(0, v.lane32(0)) : l.one.withLane64(0, v.lane64(0))
}

function mergeScalar(l: Lanes, into: V128, v: V128): V128 {
  return l.width === 4 ? into.withLane32(0, v.lane32(0)) : into.withLane64(0, v.lane64(0))
}

/** The second operand, of as many bytes as the instruction takes. */
function source(e: Emitter, l: Lanes, isScalar: boolean): V128 {
  if (!isScalar) return e.vectorSource(16)
  if (e.form === 'rr') return e.secondVector()
  return loadLane(e.host(e.address(), l.width, 'read'), l.width)
}

type Operation = { readonly a: V128; readonly b: V128; readonly r: V128; readonly isUnary: boolean }

/** Whether operands and results are ordinary, or zeros, in all lanes. */
function areAllPlain(_e: Emitter, l: Lanes, operation: FastOperation, { a, b, r, isUnary }: Operation): I32 {
  const isFine = (v: V128): V128 => isOrdinary(l, v).simd(OR, isZero(l, v))
  const operands = isUnary ? isFine(b) : isFine(a).simd(AND, isFine(b))
  const results = isOrdinaryResult(l, r).simd(OR, isZero(l, r).simd(AND, operation.mayBeZero(l, a, b)))
  return operands.simd(AND, results).bits(l.allTrue)
}

/** Halves of the smallest ordinary number and of infinity, as integers; a single's bits are the high half of 64. */
const SMALLEST = 0x0010_0000
const SMALLEST_SINGLE = 0x0080_0000
const INFINITE = 0x7ff0_0000
const INFINITE_SINGLE = 0x7f80_0000

/** The same of one number, by integers: a number without its sign is ordinary from the smallest one to below infinity. */
function isOnePlain(e: Emitter, l: Lanes, operation: FastOperation, { a, b, r, isUnary }: Operation): I32 {
  const isWide = l.width === 8
  const bits = (v: V128): I64 => (isWide ? v.lane64(0) : v.lane32(0).extend().shl(32))
  const magnitude = (v: V128): I64 => e.let(bits(v).and(i64(-1, 0x7fff_ffff)))
  const smallest = isWide ? SMALLEST : SMALLEST_SINGLE
  const count = (isWide ? INFINITE : INFINITE_SINGLE) - smallest
  const isFine = (m: I64): I32 => m.sub(i64(0, smallest)).ltU(i64(0, count)).or(m.eqz())
  const [x, y, z] = [isUnary ? i64(0) : magnitude(a), magnitude(b), magnitude(r)]
  // The smallest one may be what a smaller one was rounded to.
  const isOrdinary = z
    .sub(i64(0, smallest))
    .sub(1)
    .ltU(i64(-1, count - 1))
  const isZero = z.eqz().and(operation.mayOneBeZero(x.eqz(), y.eqz()))
  const operands = isUnary ? isFine(y) : isFine(x).and(isFine(y))
  return operands.and(isOrdinary.or(isZero))
}

function arithmetic(
  l: Lanes,
  isScalar: boolean,
  operation: FastOperation,
  isUnary: boolean,
): (e: Emitter) => void {
  return (e) => {
    const given = e.let(source(e, l, isScalar))
    const before = e.let(e.vector())
    const b = isScalar ? e.let(scalar(l, given)) : given
    const a = isScalar ? e.let(scalar(l, before)) : before
    const r = e.let(operation.compute(l, a, b))
    const isPlain = isScalar ? isOnePlain : areAllPlain
    e.if(hasOrdinaryControl(e).and(isPlain(e, l, operation, { a, b, r, isUnary })), () => {
      const isKnown = e.variable<I32>('i32')
      e.set(isKnown, knowsInexact(e))
      e.if(isKnown.value.eqz(), () => e.set(isKnown, operation.isExact(e, l, a, b, r).bits(l.allTrue)))
      e.if(isKnown.value, () => {
        e.writeVector(isScalar ? mergeScalar(l, before, r) : r)
        e.next()
      })
    })
    e.assistInstead()
  }
}

/** min and max: `a < b ? a : b`. They raise nothing for ordinary numbers. */
function extreme(l: Lanes, isScalar: boolean, opcode: number): (e: Emitter) => void {
  return (e) => {
    const given = e.let(source(e, l, isScalar))
    const before = e.let(e.vector())
    const b = isScalar ? e.let(scalar(l, given)) : given
    const a = isScalar ? e.let(scalar(l, before)) : before
    const isFine = (v: V128): V128 => isOrdinary(l, v).simd(OR, isZero(l, v))
    e.if(isFine(a).simd(AND, isFine(b)).bits(l.allTrue), () => {
      const r = e.let(b.simd(opcode, a))
      e.writeVector(isScalar ? mergeScalar(l, before, r) : r)
      e.next()
    })
    e.assistInstead()
  }
}

/** comis and ucomis of ordinary numbers. */
function compare(l: Lanes): (e: Emitter) => void {
  return (e) => {
    const b = e.let(scalar(l, source(e, l, true)))
    const a = e.let(scalar(l, e.vector()))
    const isFine = (v: V128): V128 => isOrdinary(l, v).simd(OR, isZero(l, v))
    e.if(isFine(a).simd(AND, isFine(b)).bits(l.allTrue), () => {
      const lessThan = l.width === 4 ? 67 : 73
      const isLess = a.simd(lessThan, b).lane32(0).and(CF)
      const isEqual = a.simd(l.equal, b).lane32(0).and(ZF)
      setFlagBits(e, isLess.or(isEqual))
      e.next()
    })
    e.assistInstead()
  }
}

/** An integer to a number: exact below 2^24 or 2^53. */
function fromInteger(l: Lanes): (e: Emitter) => void {
  return (e) => {
    const n = e.let(e.source().signExtend(e.size))
    const bits = l.width === 4 ? 24 : 53
    e.if(n.add(i64(0, 2 ** 21).shr(53 - bits)).leU(i64(0, 2 ** 22).shr(53 - bits)), () => {
      const before = e.let(e.vector())
      if (l.width === 8) e.writeVector(before.withLane64(0, new I64(n.code + code(0xb9, 0xbd))))
      else e.writeVector(before.withLane32(0, new I32(n.code + code(0xb4, 0xbc))))
      e.next()
    })
    e.assistInstead()
  }
}

/** A number to an integer, cut off, where it fits and, unless the precision flag is set, is whole. */
function toInteger(l: Lanes, bytes: 4 | 8): (e: Emitter) => void {
  return (e) => {
    const given = e.let(source(e, l, true))
    const v = e.let(scalar(l, given))
    const isFine = isOrdinary(l, v).simd(OR, isZero(l, v)).bits(l.allTrue)
    // i64.trunc_sat_f64_s or i64.trunc_sat_f32_s, and back.
    const number = l.width === 8 ? v.lane64(0).asF64() : v.lane32(0).asF32()
    const n = e.let(new I64(number.code + code(0xfc, l.width === 8 ? 0x06 : 0x04)))
    const back = new I32(
      n.code + code(l.width === 8 ? 0xb9 : 0xb4) + number.code + code(l.width === 8 ? 0x61 : 0x5b),
    )
    // Saturated results are beyond what is taken here.
    const limit = bytes === 8 ? i64(0, 0x4000_0000) : i64(0x8000_0000, 0)
    const fits = n.add(limit).ltU(limit.shl(1))
    const isKnown = knowsInexact(e).or(back).and(hasAnyMask(e))
    e.if(isFine.and(fits).and(isKnown.ne(0)), () => {
      e.writeAs(n, bytes)
      e.next()
    })
    e.assistInstead()
  }
}

/** All exceptions masked, whatever the rounding. */
const hasAnyMask = (e: Emitter): I32 =>
  select(e.field(FIELD.mxcsr).and(ORDINARY_CONTROL).eq(ORDINARY_CONTROL), i32(-1), i32(0))

/** Single to double is exact; double to single like arithmetic. */
function widen(e: Emitter): void {
  const v = e.let(scalar(SINGLE, source(e, SINGLE, true)))
  e.if(isOrdinary(SINGLE, v).simd(OR, isZero(SINGLE, v)).bits(SINGLE.allTrue), () => {
    // f64x2.promote_low_f32x4
    e.writeVector(e.vector().withLane64(0, v.simd(95).lane64(0)))
    e.next()
  })
  e.assistInstead()
}

function narrow(e: Emitter): void {
  const v = e.let(scalar(DOUBLE, source(e, DOUBLE, true)))
  // f32x4.demote_f64x2_zero
  const r = e.let(scalar(SINGLE, v.simd(94)))
  const isExact = r.simd(95).simd(DOUBLE.equal, v).lane32(0)
  const isFine = isOrdinaryResult(SINGLE, r).simd(AND, isOrdinary(DOUBLE, v)).lane32(0)
  e.if(hasOrdinaryControl(e).and(isFine).and(knowsInexact(e).or(isExact).ne(0)), () => {
    e.writeVector(e.vector().withLane32(0, r.lane32(0)))
    e.next()
  })
  e.assistInstead()
}

/** All of them may fall back on `assist`, which finds the instruction. */
function float(
  name: string,
  write: (e: Emitter) => void,
  flags: FlagUse = NO_FLAGS,
  sizes: readonly Size[] = ONE_SIZE,
): Semantic {
  return semantic({ name, sizes, forms: LOADING, flags, isKept: true, write })
}

const SHAPES: readonly (readonly [suffix: string, lanes: Lanes, isScalar: boolean])[] = [
  ['ps', SINGLE, false],
  ['ss', SINGLE, true],
  ['pd', DOUBLE, false],
  ['sd', DOUBLE, true],
]

/** Conversions from and to integers by the integer's bytes: select-vector.ts. */
export const FAST_FLOAT_SEMANTICS: readonly Semantic[] = [
  ...SHAPES.flatMap(([suffix, l, isScalar]) => [
    ...Object.entries(OPERATIONS).map(([name, operation]) =>
      float(`${name}${suffix}`, arithmetic(l, isScalar, operation, name === 'sqrt')),
    ),
    float(`min${suffix}`, extreme(l, isScalar, l.pmin)),
    float(`max${suffix}`, extreme(l, isScalar, l.pmax)),
  ]),
  ...[SINGLE, DOUBLE].flatMap((l) => {
    const s = l.width === 4 ? 'ss' : 'sd'
    return [
      float(`comi${s}`, compare(l), SETS_ARITHMETIC),
      float(`ucomi${s}`, compare(l), SETS_ARITHMETIC),
      ...([4, 8] as const).flatMap((bytes) => [
        float(`cvtsi${bytes}2${s}`, fromInteger(l), NO_FLAGS, [bytes]),
        float(`cvtt${s}2si${bytes}`, toInteger(l, bytes)),
      ]),
    ]
  }),
  float('cvtss2sd', widen),
  float('cvtsd2ss', narrow),
]
