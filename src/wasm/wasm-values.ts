import { byte, type Code, code, signed, unsigned } from './bytes.ts'

/**
 * Expressions of WebAssembly as typed values: each holds the code that leaves it on the stack. Written out, the semantics
 * of an instruction then read like arithmetic. The opcodes are the core specification's, section "Instructions".
 */

/** Of a constant, what it is; operations of constants are constants. */
type Known<T> = T | undefined
type Halves = { readonly lo: number; readonly hi: number }

export class I32 {
  readonly code: Code
  readonly known: Known<number>
  constructor(code: Code, known?: number) {
    this.code = code
    this.known = known
  }

  get isKnown(): boolean {
    return this.known !== undefined
  }

  private binary(other: I32 | number, opcode: number): I32 {
    const b = i32(other)
    if (this.known !== undefined && b.known !== undefined) {
      const folded = FOLD_I32[opcode]?.(this.known, b.known)
      if (folded !== undefined) return i32(folded)
    }
    return new I32(this.code + b.code + byte(opcode))
  }

  add(other: I32 | number): I32 {
    return this.binary(other, 0x6a)
  }
  sub(other: I32 | number): I32 {
    return this.binary(other, 0x6b)
  }
  mul(other: I32 | number): I32 {
    return this.binary(other, 0x6c)
  }
  and(other: I32 | number): I32 {
    return this.binary(other, 0x71)
  }
  or(other: I32 | number): I32 {
    return this.binary(other, 0x72)
  }
  xor(other: I32 | number): I32 {
    return this.binary(other, 0x73)
  }
  shl(other: I32 | number): I32 {
    return this.binary(other, 0x74)
  }
  sar(other: I32 | number): I32 {
    return this.binary(other, 0x75)
  }
  shr(other: I32 | number): I32 {
    return this.binary(other, 0x76)
  }
  eq(other: I32 | number): I32 {
    return this.binary(other, 0x46)
  }
  ne(other: I32 | number): I32 {
    return this.binary(other, 0x47)
  }
  ltS(other: I32 | number): I32 {
    return this.binary(other, 0x48)
  }
  ltU(other: I32 | number): I32 {
    return this.binary(other, 0x49)
  }
  gtU(other: I32 | number): I32 {
    return this.binary(other, 0x4b)
  }
  leU(other: I32 | number): I32 {
    return this.binary(other, 0x4d)
  }
  geU(other: I32 | number): I32 {
    return this.binary(other, 0x4f)
  }
  eqz(): I32 {
    if (this.known !== undefined) return i32(this.known === 0 ? 1 : 0)
    return new I32(this.code + byte(0x45))
  }
  popcnt(): I32 {
    return new I32(this.code + byte(0x69))
  }
  extend(): I64 {
    return new I64(this.code + byte(0xad))
  }
  extendS(): I64 {
    return new I64(this.code + byte(0xac))
  }
  asF32(): F32 {
    return new F32(this.code + byte(0xbe))
  }
}

export class I64 {
  readonly code: Code
  /** Of a constant, its two halves. */
  private readonly halves: Known<Halves>
  constructor(code: Code, halves?: Halves) {
    this.code = code
    this.halves = halves
  }

  /** Of a constant, what it is, as an unsigned number. */
  get known(): Known<bigint> {
    if (this.halves === undefined) return undefined
    return (BigInt(this.halves.hi >>> 0) << 32n) | BigInt(this.halves.lo >>> 0)
  }

  get isKnown(): boolean {
    return this.halves !== undefined
  }

  private binary(other: I64 | number, opcode: number): I64 {
    const b = i64(other)
    if (this.halves !== undefined && b.halves !== undefined) {
      const halves = FOLD_HALVES[opcode]?.(this.halves, b.halves)
      if (halves !== undefined) return i64(halves.lo, halves.hi)
      const folded = FOLD_I64[opcode]?.(this.known as bigint, b.known as bigint)
      if (folded !== undefined) return constant64(folded)
    }
    return new I64(this.code + b.code + byte(opcode))
  }

  private compare(other: I64 | number, opcode: number): I32 {
    const b = i64(other)
    if (this.isKnown && b.isKnown) {
      const folded = COMPARE_I64[opcode]?.(this.known as bigint, b.known as bigint)
      if (folded !== undefined) return i32(folded ? 1 : 0)
    }
    return new I32(this.code + b.code + byte(opcode))
  }

  add(other: I64 | number): I64 {
    return this.binary(other, 0x7c)
  }
  sub(other: I64 | number): I64 {
    return this.binary(other, 0x7d)
  }
  mul(other: I64 | number): I64 {
    return this.binary(other, 0x7e)
  }
  divS(other: I64 | number): I64 {
    return this.binary(other, 0x7f)
  }
  divU(other: I64 | number): I64 {
    return this.binary(other, 0x80)
  }
  remS(other: I64 | number): I64 {
    return this.binary(other, 0x81)
  }
  remU(other: I64 | number): I64 {
    return this.binary(other, 0x82)
  }
  and(other: I64 | number): I64 {
    return this.binary(other, 0x83)
  }
  or(other: I64 | number): I64 {
    return this.binary(other, 0x84)
  }
  xor(other: I64 | number): I64 {
    return this.binary(other, 0x85)
  }
  shl(other: I64 | number): I64 {
    return this.binary(other, 0x86)
  }
  sar(other: I64 | number): I64 {
    return this.binary(other, 0x87)
  }
  shr(other: I64 | number): I64 {
    return this.binary(other, 0x88)
  }
  rotl(other: I64 | number): I64 {
    return this.binary(other, 0x89)
  }
  rotr(other: I64 | number): I64 {
    return this.binary(other, 0x8a)
  }
  not(): I64 {
    return this.xor(-1)
  }
  eq(other: I64 | number): I32 {
    return this.compare(other, 0x51)
  }
  ne(other: I64 | number): I32 {
    return this.compare(other, 0x52)
  }
  ltS(other: I64 | number): I32 {
    return this.compare(other, 0x53)
  }
  ltU(other: I64 | number): I32 {
    return this.compare(other, 0x54)
  }
  gtU(other: I64 | number): I32 {
    return this.compare(other, 0x56)
  }
  leU(other: I64 | number): I32 {
    return this.compare(other, 0x58)
  }
  geU(other: I64 | number): I32 {
    return this.compare(other, 0x5a)
  }
  eqz(): I32 {
    if (this.halves !== undefined) return i32((this.halves.lo | this.halves.hi) === 0 ? 1 : 0)
    return new I32(this.code + byte(0x50))
  }
  clz(): I64 {
    return new I64(this.code + byte(0x79))
  }
  ctz(): I64 {
    return new I64(this.code + byte(0x7a))
  }
  wrap(): I32 {
    if (this.halves !== undefined) return i32(this.halves.lo | 0)
    return new I32(this.code + byte(0xa7))
  }
  asF64(): F64 {
    return new F64(this.code + byte(0xbf))
  }
  /** Of a value of `bytes` bytes, the sign extended or the rest cleared. */
  signExtend(bytes: number): I64 {
    if (bytes === 8) return this
    return new I64(this.code + byte(bytes === 1 ? 0xc2 : bytes === 2 ? 0xc3 : 0xc4))
  }
  zeroExtend(bytes: number): I64 {
    if (bytes === 8) return this
    return this.and(bytes === 1 ? 0xff : bytes === 2 ? 0xffff : LOW_HALF)
  }
}

/** Floating point is computed by WebAssembly where it and SSE agree. */
export class F32 {
  readonly code: Code
  constructor(code: Code) {
    this.code = code
  }
  asI32(): I32 {
    return new I32(this.code + byte(0xbc))
  }
}

export class F64 {
  readonly code: Code
  constructor(code: Code) {
    this.code = code
  }
  private binary(other: F64, opcode: number): F64 {
    return new F64(this.code + other.code + byte(opcode))
  }
  add(other: F64): F64 {
    return this.binary(other, 0xa0)
  }
  sub(other: F64): F64 {
    return this.binary(other, 0xa1)
  }
  mul(other: F64): F64 {
    return this.binary(other, 0xa2)
  }
  div(other: F64): F64 {
    return this.binary(other, 0xa3)
  }
  asI64(): I64 {
    return new I64(this.code + byte(0xbd))
  }
}

/** The opcode of a SIMD instruction, behind its prefix. */
function simd(opcode: number): Code {
  return byte(0xfd) + unsigned(opcode)
}

export class V128 {
  readonly code: Code
  constructor(code: Code) {
    this.code = code
  }
  /** A SIMD instruction of one or two vectors. */
  simd(opcode: number, ...others: V128[]): V128 {
    return new V128(this.code + others.map((o) => o.code).join('') + simd(opcode))
  }
  /** A shift by a number of bits; WebAssembly takes it modulo the lane's width. */
  shift(opcode: number, bits: I32): V128 {
    return new V128(this.code + bits.code + simd(opcode))
  }
  /** Bytes chosen from this and `other`, 0 to 31. */
  shuffle(other: V128, lanes: readonly number[]): V128 {
    return new V128(this.code + other.code + simd(0x0d) + code(...lanes))
  }
  /** A SIMD instruction with a number as its result. */
  bits(opcode: number): I32 {
    return new I32(this.code + simd(opcode))
  }
  lane64(lane: number): I64 {
    return new I64(this.code + simd(0x1d) + byte(lane))
  }
  lane32(lane: number): I32 {
    return new I32(this.code + simd(0x1b) + byte(lane))
  }
  withLane64(lane: number, value: I64): V128 {
    return new V128(this.code + value.code + simd(0x1e) + byte(lane))
  }
  withLane32(lane: number, value: I32): V128 {
    return new V128(this.code + value.code + simd(0x1c) + byte(lane))
  }
}

export type Value = I32 | I64 | F32 | F64 | V128
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

export const TYPE_BYTE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
}

/** The WebAssembly type of a value. */
export function typeOf(value: Value): ValueType {
  if (value instanceof I32) return 'i32'
  if (value instanceof I64) return 'i64'
  if (value instanceof F32) return 'f32'
  return value instanceof F64 ? 'f64' : 'v128'
}

/** A value of a type from code that leaves it on the stack. */
export function ofType(type: ValueType, code: Code): Value {
  switch (type) {
    case 'i32':
      return new I32(code)
    case 'i64':
      return new I64(code)
    case 'f32':
      return new F32(code)
    case 'f64':
      return new F64(code)
    default:
      return new V128(code)
  }
}

/** Constants from -SMALL to SMALL are made once. */
const SMALL = 4096
const SMALL_I32 = new Array<I32 | undefined>(2 * SMALL).fill(undefined)
const SMALL_I64 = new Array<I64 | undefined>(2 * SMALL).fill(undefined)

/** A constant, or a value as it is. */
export function i32(n: I32 | number): I32 {
  if (typeof n !== 'number') return n
  if (n >= -SMALL && n < SMALL) {
    SMALL_I32[n + SMALL] ??= constantI32(n)
    return SMALL_I32[n + SMALL] as I32
  }
  return constantI32(n)
}

function constantI32(n: number): I32 {
  return new I32(byte(0x41) + signed(n | 0, (n | 0) >> 31), n | 0)
}

/** A constant of 32 bits, sign extended; of two halves; or a value as it is. */
export function i64(n: I64 | number, high?: number): I64 {
  if (typeof n !== 'number') return n
  const sign = (n | 0) >> 31
  if (n >= -SMALL && n < SMALL && (high ?? sign) === sign) {
    SMALL_I64[n + SMALL] ??= constantI64(n, sign)
    return SMALL_I64[n + SMALL] as I64
  }
  return constantI64(n, high ?? sign)
}

function constantI64(lo: number, hi: number): I64 {
  return new I64(byte(0x42) + signed(lo, hi), { lo, hi })
}

/** The low half of a value. */
const LOW_HALF = constantI64(-1, 0)

/** A constant of 64 bits; what is above is cut off. */
function constant64(n: bigint): I64 {
  return i64(Number(BigInt.asIntN(32, n)), Number(BigInt.asIntN(32, n >> 32n)))
}

// ---- operations of constants; what is missing is left to the engine ----

const FOLD_I32: Readonly<Record<number, (a: number, b: number) => number>> = {
  106: (a, b) => a + b,
  107: (a, b) => a - b,
  113: (a, b) => a & b,
  114: (a, b) => a | b,
  115: (a, b) => a ^ b,
  116: (a, b) => a << b,
  117: (a, b) => a >> b,
  118: (a, b) => a >>> b,
  70: (a, b) => (a === b ? 1 : 0),
  71: (a, b) => (a === b ? 0 : 1),
}

/** What every other instruction asks for, without bigints. */
const FOLD_HALVES: Readonly<Record<number, (a: Halves, b: Halves) => Halves>> = {
  124: (a, b) => {
    const lo = (a.lo >>> 0) + (b.lo >>> 0)
    return { lo: lo | 0, hi: (a.hi + b.hi + (lo > 0xffff_ffff ? 1 : 0)) | 0 }
  },
  131: (a, b) => ({ lo: a.lo & b.lo, hi: a.hi & b.hi }),
  132: (a, b) => ({ lo: a.lo | b.lo, hi: a.hi | b.hi }),
  133: (a, b) => ({ lo: a.lo ^ b.lo, hi: a.hi ^ b.hi }),
}

const FOLD_I64: Readonly<Record<number, (a: bigint, b: bigint) => bigint>> = {
  125: (a, b) => a - b,
  134: (a, b) => a << (b & 63n),
  135: (a, b) => BigInt.asIntN(64, a) >> (b & 63n),
  136: (a, b) => a >> (b & 63n),
}

const COMPARE_I64: Readonly<Record<number, (a: bigint, b: bigint) => boolean>> = {
  81: (a, b) => a === b,
  82: (a, b) => a !== b,
  84: (a, b) => a < b,
  86: (a, b) => a > b,
  88: (a, b) => a <= b,
  90: (a, b) => a >= b,
}

/** A vector of four words, lowest first. */
export function v128(words: readonly number[]): V128 {
  const bytes = words.flatMap((w) => [w & 0xff, (w >>> 8) & 0xff, (w >>> 16) & 0xff, w >>> 24])
  return new V128(simd(0x0c) + code(...bytes))
}

export const ZERO_VECTOR = v128([0, 0, 0, 0])
