import { type Float, float, INFINITE, NORMAL, normalized, QUIET, ZERO } from './float-formats.ts'

/**
 * Floating-point arithmetic with every rounding mode and every exception, exact to the bit: what SSE and x87 define and
 * WebAssembly does not show. Numbers of all three formats are taken apart into sign, exponent and 64 bits of significand,
 * whose highest bit is 1; results have 32 more bits, the last of which stands for all that are beyond, and are rounded once.
 */
export * from './float-formats.ts'

/** Exceptions, as MXCSR and the x87 status word number them. */
export const INVALID = 1
export const DENORMAL = 2
export const DIVIDE = 4
export const OVERFLOW = 8
export const UNDERFLOW = 16
export const PRECISION = 32

export const NEAREST = 0
export const DOWN = 1
export const UP = 2
export const TRUNCATE = 3

export type Format = { readonly precision: 24 | 53 | 64; readonly min: number; readonly max: number }

export const SINGLE: Format = { precision: 24, min: -126, max: 127 }
export const DOUBLE: Format = { precision: 53, min: -1022, max: 1023 }
export const EXTENDED: Format = { precision: 64, min: -16382, max: 16383 }

/** How to round, and the exceptions that came up. */
export type Environment = {
  mode: number
  flags: number
  /** Exceptions that are masked. */
  masks: number
  flushToZero: boolean
  denormalsAreZero: boolean
  /** By how many powers of two an unmasked overflow or underflow scales its result; 0 where there is none. */
  scale: number
}

const HIGH_BIT = 0x8000_0000

// ---- rounding ----

/** What rounding works on: 96 bits of significand, the lowest of which is set when anything below is. */
type Wide = { hi: number; lo: number; rest: number }

function shiftWide(w: Wide, n: number): Wide {
  if (n === 0) return w
  if (n >= 96) return { hi: 0, lo: 0, rest: (w.hi | w.lo | w.rest) === 0 ? 0 : 1 }
  if (n >= 32) {
    const lost = w.rest !== 0 ? 1 : 0
    return shiftWide({ hi: 0, lo: w.hi, rest: (w.lo | lost) >>> 0 }, n - 32)
  }
  const lost = w.rest << (32 - n) !== 0 ? 1 : 0
  return {
    hi: w.hi >>> n,
    lo: ((w.lo >>> n) | (w.hi << (32 - n))) >>> 0,
    rest: ((w.rest >>> n) | (w.lo << (32 - n)) | lost) >>> 0,
  }
}

type Rounded = { hi: number; lo: number; carried: boolean; isInexact: boolean; isUp: boolean }

function roundWide(w: Wide, precision: number, sign: number, mode: number): Rounded {
  let { hi, lo } = w
  let guard: number
  let below: number
  let last: number
  if (precision === 64) {
    guard = w.rest >>> 31
    below = w.rest << 1
    last = lo & 1
  } else if (precision === 53) {
    guard = (lo >>> 10) & 1
    below = (lo & 0x3ff) | w.rest
    last = (lo >>> 11) & 1
    lo = (lo & ~0x7ff) >>> 0
  } else {
    guard = (hi >>> 7) & 1
    below = (hi & 0x7f) | lo | w.rest
    last = (hi >>> 8) & 1
    hi = (hi & ~0xff) >>> 0
    lo = 0
  }
  const isInexact = guard !== 0 || below !== 0
  const isUp =
    mode === NEAREST
      ? guard !== 0 && (below !== 0 || last !== 0)
      : isInexact && ((mode === DOWN && sign === 1) || (mode === UP && sign === 0))
  if (!isUp) return { hi, lo, carried: false, isInexact, isUp }
  if (precision === 24) {
    hi += 0x100
  } else {
    lo += precision === 64 ? 1 : 0x800
    if (lo > 0xffff_ffff) {
      lo = 0
      hi++
    }
  }
  const carried = hi > 0xffff_ffff
  return { hi: carried ? HIGH_BIT : hi, lo, carried, isInexact, isUp }
}

/** Whether the last result was rounded away from zero: C1 of the x87 status word. */
export let roundedUp = false

/** Round a number to a format, with the exceptions that this raises. The significand's highest bit is 1. */
export function round(env: Environment, format: Format, sign: number, exponent: number, w: Wide): Float {
  const { precision, min, max } = format
  const free = roundWide(w, precision, sign, env.mode)
  const freeExponent = exponent + (free.carried ? 1 : 0)
  roundedUp = free.isUp
  if (freeExponent > max) return overflow(env, format, sign, freeExponent, free)
  if (exponent >= min) {
    if (free.isInexact) env.flags |= PRECISION
    return float(NORMAL, sign, freeExponent, free.hi, free.lo)
  }
  // Too small, as it would be with any exponent: tininess is detected after rounding.
  const isTiny = freeExponent < min
  if (isTiny && (env.masks & UNDERFLOW) === 0) {
    env.flags |= UNDERFLOW | (free.isInexact ? PRECISION : 0)
    if (env.scale > 0 && freeExponent + env.scale < min) {
      env.flags |= PRECISION
      return float(ZERO, sign)
    }
    return float(NORMAL, sign, freeExponent + env.scale, free.hi, free.lo)
  }
  if (isTiny && env.flushToZero) {
    env.flags |= UNDERFLOW | PRECISION
    return float(ZERO, sign)
  }
  const { hi, lo, carried, isInexact, isUp } = roundWide(
    shiftWide(w, min - exponent),
    precision,
    sign,
    env.mode,
  )
  roundedUp = isUp
  if (isInexact) env.flags |= PRECISION | (isTiny ? UNDERFLOW : 0)
  if (carried) return float(NORMAL, sign, min + 1, hi, lo)
  return normalized(sign, min, hi, lo, true)
}

function overflow(env: Environment, format: Format, sign: number, exponent: number, free: Rounded): Float {
  env.flags |= OVERFLOW
  if ((env.masks & OVERFLOW) === 0) {
    if (free.isInexact) env.flags |= PRECISION
    if (env.scale > 0 && exponent - env.scale > format.max) {
      env.flags |= PRECISION
      roundedUp = true
      return float(INFINITE, sign)
    }
    return float(NORMAL, sign, exponent - env.scale, free.hi, free.lo)
  }
  env.flags |= PRECISION
  const isInfinite = env.mode === NEAREST || env.mode === (sign === 1 ? DOWN : UP)
  roundedUp = isInfinite
  if (isInfinite) return float(INFINITE, sign)
  const { precision, max } = format
  const hi = precision === 24 ? 0xffff_ff00 : 0xffff_ffff
  return float(NORMAL, sign, max, hi, precision === 64 ? 0xffff_ffff : precision === 53 ? 0xffff_f800 : 0)
}

/** A number in another format. */
export function convert(env: Environment, format: Format, f: Float): Float {
  if (f.kind !== NORMAL) return f
  return round(env, format, f.sign, f.exponent, { hi: f.hi, lo: f.lo, rest: 0 })
}

// ---- arithmetic of two NORMAL or ZERO numbers ----

/** Compare magnitudes of NORMAL numbers: negative, 0 or positive. */
function compareMagnitude(a: Float, b: Float): number {
  return a.exponent - b.exponent || a.hi - b.hi || a.lo - b.lo
}

/** a + b, rounded to a format. Neither is a NaN or infinite: those are the caller's, as SSE and x87 differ there. */
export function add(env: Environment, format: Format, a: Float, b: Float): Float {
  if (a.kind === ZERO && b.kind === ZERO) {
    if (a.sign === b.sign) return a
    return float(ZERO, env.mode === DOWN ? 1 : 0)
  }
  if (a.kind === ZERO) return convert(env, format, b)
  if (b.kind === ZERO) return convert(env, format, a)
  const order = compareMagnitude(a, b)
  if (order === 0 && a.sign !== b.sign) return float(ZERO, env.mode === DOWN ? 1 : 0)
  const [big, small] = order >= 0 ? [a, b] : [b, a]
  const w = shiftWide({ hi: small.hi, lo: small.lo, rest: 0 }, big.exponent - small.exponent)
  if (a.sign === b.sign) return addMagnitudes(env, format, big, w)
  // big - w, over 96 bits.
  const rest = -w.rest
  const lo = big.lo - w.lo - (rest < 0 ? 1 : 0)
  const hi = big.hi - w.hi - (lo < 0 ? 1 : 0)
  return roundNormalized(env, format, big.sign, big.exponent, hi >>> 0, lo >>> 0, rest >>> 0)
}

function addMagnitudes(env: Environment, format: Format, big: Float, w: Wide): Float {
  const lo = big.lo + w.lo
  const hi = big.hi + w.hi + (lo > 0xffff_ffff ? 1 : 0)
  if (hi <= 0xffff_ffff) return round(env, format, big.sign, big.exponent, { hi, lo: lo >>> 0, rest: w.rest })
  const shifted = shiftWide({ hi: hi >>> 0, lo: lo >>> 0, rest: w.rest }, 1)
  return round(env, format, big.sign, big.exponent + 1, { ...shifted, hi: (shifted.hi | HIGH_BIT) >>> 0 })
}

function roundNormalized(
  env: Environment,
  format: Format,
  sign: number,
  exponent: number,
  hi: number,
  lo: number,
  rest: number,
): Float {
  let [h, l, r, e] = [hi, lo, rest, exponent]
  while (h === 0) {
    ;[h, l, r] = [l, r, 0]
    e -= 32
  }
  const n = Math.clz32(h)
  if (n > 0) {
    h = ((h << n) | (l >>> (32 - n))) >>> 0
    l = ((l << n) | (r >>> (32 - n))) >>> 0
    r = (r << n) >>> 0
  }
  return round(env, format, sign, e - n, { hi: h, lo: l, rest: r })
}

/** Round 64 bits of significand, whose highest bit need not be 1. */
export function roundWords(
  env: Environment,
  format: Format,
  sign: number,
  exponent: number,
  hi: number,
  lo: number,
): Float {
  return roundNormalized(env, format, sign, exponent, hi, lo, 0)
}

/** The 64-bit product of two words: high and low half. */
function multiplyWords(a: number, b: number): readonly [hi: number, lo: number] {
  const low = Math.imul(a, b) >>> 0
  const a1 = a >>> 16
  const a0 = a & 0xffff
  const b1 = b >>> 16
  const b0 = b & 0xffff
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  const other = a0 * b1 + (middle & 0xffff)
  return [a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000), low]
}

/** a · b, rounded to a format. Neither is a NaN or infinite. */
export function multiply(env: Environment, format: Format, a: Float, b: Float): Float {
  const sign = a.sign ^ b.sign
  if (a.kind === ZERO || b.kind === ZERO) return float(ZERO, sign)
  const [h3, h2] = multiplyWords(a.hi, b.hi)
  const [m3, m2] = multiplyWords(a.hi, b.lo)
  const [n3, n2] = multiplyWords(a.lo, b.hi)
  const [l3, l2] = multiplyWords(a.lo, b.lo)
  const w1 = l3 + m2 + n2
  const w2 = h2 + m3 + n3 + Math.floor(w1 / 0x1_0000_0000)
  const w3 = h3 + Math.floor(w2 / 0x1_0000_0000)
  const rest = ((w1 >>> 0) | (l2 === 0 ? 0 : 1)) >>> 0
  return roundNormalized(env, format, sign, a.exponent + b.exponent + 1, w3, w2 >>> 0, rest)
}

/** a / b, rounded to a format. Neither is a NaN or infinite, and b is not zero. */
export function divide(env: Environment, format: Format, a: Float, b: Float): Float {
  const sign = a.sign ^ b.sign
  if (a.kind === ZERO) return float(ZERO, sign)
  // Long division: 96 bits of quotient, of which the first is 0 where a's significand is the smaller.
  const words = [0, 0, 0]
  let hi = a.hi
  let lo = a.lo
  for (let n = 0; n < 96; n++) {
    const over = hi > 0xffff_ffff
    if (over || hi > b.hi || (hi === b.hi && lo >= b.lo)) {
      lo -= b.lo
      hi -= b.hi
      if (lo < 0) {
        lo += 0x1_0000_0000
        hi--
      }
      words[n >>> 5] |= 1 << (31 - (n & 31))
    }
    // The remainder is less than b, so that doubled it fits 65 bits: `hi` keeps the one above.
    lo *= 2
    hi *= 2
    if (lo > 0xffff_ffff) {
      lo -= 0x1_0000_0000
      hi++
    }
  }
  const rest = ((words[2] >>> 0) | (hi !== 0 || lo !== 0 ? 1 : 0)) >>> 0
  return roundNormalized(env, format, sign, a.exponent - b.exponent, words[0] >>> 0, words[1] >>> 0, rest)
}

/** Of a number that is not negative. */
export function squareRoot(env: Environment, format: Format, a: Float): Float {
  if (a.kind === ZERO) return a
  const isOdd = (a.exponent & 1) !== 0
  // Digit by digit: 72 bits of the root from the significand with an even exponent, two bits of it at a time.
  const digits: number[] = []
  const first = isOdd ? a : { hi: a.hi >>> 1, lo: ((a.lo >>> 1) | (a.hi << 31)) >>> 0 }
  const last = isOdd ? 0 : (a.lo & 1) << 31
  for (const word of [first.hi, first.lo, last]) {
    for (let n = 30; n >= 0; n -= 2) digits.push((word >>> n) & 3)
  }
  // Remainder and root, in words of 24 bits, lowest first; both stay below 2^96.
  let remainder = [0, 0, 0, 0]
  let root = [0, 0, 0, 0]
  for (let n = 0; n < 72; n++) {
    remainder = shiftLimbs(remainder, 2, digits[n] ?? 0)
    const trial = shiftLimbs(root, 2, 1)
    const rest = subtractLimbs(remainder, trial)
    root = shiftLimbs(root, 1, rest === null ? 0 : 1)
    if (rest !== null) remainder = rest
  }
  const isExact = remainder.every((limb) => limb === 0)
  const hi = root[2] * 0x100 + (root[1] >>> 16)
  const lo = ((root[1] & 0xffff) * 0x1_0000 + (root[0] >>> 8)) >>> 0
  const rest = ((root[0] << 24) | (isExact ? 0 : 1)) >>> 0
  return roundNormalized(env, format, 0, Math.floor(a.exponent / 2), hi, lo, rest)
}

const LIMB = 0x100_0000

function shiftLimbs(limbs: readonly number[], bits: number, low: number): number[] {
  let carry = low
  return limbs.map((limb) => {
    const value = limb * 2 ** bits + carry
    carry = Math.floor(value / LIMB)
    return value % LIMB
  })
}

function subtractLimbs(a: readonly number[], b: readonly number[]): number[] | null {
  let borrow = 0
  const r = a.map((limb, i) => {
    const value = limb - b[i] - borrow
    borrow = value < 0 ? 1 : 0
    return value + borrow * LIMB
  })
  return borrow === 0 ? r : null
}

// ---- comparison and integers ----

export const LESS = -1
export const EQUAL = 0
export const GREATER = 1
export const UNORDERED = 2

/** Compare numbers, infinities among them; NaNs are unordered. */
export function compare(a: Float, b: Float): number {
  if (a.kind >= QUIET || b.kind >= QUIET) return UNORDERED
  if (a.kind === ZERO && b.kind === ZERO) return EQUAL
  if (a.kind === ZERO) return b.sign === 1 ? GREATER : LESS
  if (b.kind === ZERO || a.sign !== b.sign) return a.sign === 1 ? LESS : GREATER
  const size =
    a.kind === INFINITE || b.kind === INFINITE
      ? (a.kind === INFINITE ? 1 : 0) - (b.kind === INFINITE ? 1 : 0)
      : compareMagnitude(a, b)
  if (size === 0) return EQUAL
  return size > 0 === (a.sign === 0) ? GREATER : LESS
}

/**
 * The integer of `bits` bits, two's complement in two words; null when it does not fit, which is an invalid operation.
 */
export function toInteger(
  env: Environment,
  f: Float,
  bits: number,
  mode = env.mode,
): readonly [number, number] | null {
  if (f.kind === ZERO) return [0, 0]
  if (f.kind !== NORMAL || f.exponent >= 64) return null
  const w =
    f.exponent < -1 ? { hi: 0, lo: 0, rest: 1 } : shiftWide({ hi: f.hi, lo: f.lo, rest: 0 }, 63 - f.exponent)
  const rounded = roundWide(w, 64, f.sign, mode)
  roundedUp = rounded.isUp
  if (rounded.carried) return null
  const { hi, lo } = rounded
  const limit = bits === 64 ? HIGH_BIT : 0
  const magnitude = bits === 64 ? hi : hi * 0x1_0000_0000 + lo
  const top = bits === 64 ? limit : 2 ** (bits - 1)
  const isTop = magnitude === top && (bits !== 64 || lo === 0)
  if (magnitude > top || (magnitude === top && !(isTop && f.sign === 1))) return null
  if (rounded.isInexact) env.flags |= PRECISION
  if (f.sign === 0) return [lo, hi]
  return [-lo >>> 0, (lo === 0 ? -hi : ~hi) >>> 0]
}

/** A signed integer of 64 bits as a number, exactly. */
export function fromInteger(lo: number, hi: number): Float {
  const sign = hi >>> 31
  const [h, l] = sign === 0 ? [hi, lo] : [(lo === 0 ? -hi : ~hi) >>> 0, -lo >>> 0]
  return normalized(sign, 63, h >>> 0, l >>> 0, false)
}

/** A NaN made quiet. */
export function quiet(f: Float): Float {
  return float(QUIET, f.sign, 0, f.hi | 0xc000_0000, f.lo)
}

/** A number rounded to an integer, in its own format. */
export function roundToInteger(env: Environment, f: Float): Float {
  if (f.kind !== NORMAL || f.exponent >= 63) return f
  const w =
    f.exponent < -1 ? { hi: 0, lo: 0, rest: 1 } : shiftWide({ hi: f.hi, lo: f.lo, rest: 0 }, 63 - f.exponent)
  const { hi, lo, isInexact, isUp } = roundWide(w, 64, f.sign, env.mode)
  roundedUp = isUp
  if (isInexact) env.flags |= PRECISION
  return normalized(f.sign, 63, hi, lo, false)
}
