import { EARLY, invalid, noteDenormals, specialResult } from '../../assist/x87-state.ts'
import type { Environment, Float } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'

/**
 * The functions of x87 that the C library's long double uses: 2^x - 1, y log2(x), y log2(x + 1) and the arc tangent. They are rare,
 * so plain integers of any length do: numbers with a fixed point and far more bits than a result has, rounded once at the end.
 * The processor's own results are less than one unit in the last place off; these are the nearest but for ties beyond reach.
 */

/** Bits behind the fixed point. A result keeps 64 of them, and an argument as small as 2^-TINY costs that many. */
const BITS = 256n
const ONE = 1n << BITS
/** Below 2^-70 a function is its first term: what the second one adds lies beyond the last bit of a result. */
const TINY = -70

type Function2 = (env: Environment, y: Float, x: Float) => Float

const stops = (env: Environment): boolean => (env.flags & ~env.masks & EARLY) !== 0
const zero = (sign: number): Float => soft.float(soft.ZERO, sign)
const infinity = (sign: number): Float => soft.float(soft.INFINITE, sign)

// ---- fixed point ----

/** artanh(z), z between -1/2 and 1/2. */
function artanh(z: bigint): bigint {
  const square = (z * z) >> BITS
  let sum = 0n
  let power = z
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n
    power = (power * square) >> BITS
  }
  return sum
}

/** atan(t), t between 0 and 1. */
function arcTangent(t: bigint): bigint {
  // Twice half the angle, twice over, until the series is quick.
  let [z, doublings] = [t, 0n]
  while (z > ONE / 8n) {
    z = (z << BITS) / (ONE + squareRoot(ONE + ((z * z) >> BITS)))
    doublings++
  }
  const square = (z * z) >> BITS
  let sum = 0n
  let power = z
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n
    power = -((power * square) >> BITS)
  }
  return sum << doublings
}

/** Newton's method, from above. */
function squareRoot(a: bigint): bigint {
  const wanted = a << BITS
  let root = ONE << 1n
  for (;;) {
    const next = (root + wanted / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

const LN2 = 2n * artanh(ONE / 3n)
/** Machin's formula. */
const PI = 4n * (4n * arcTangent(ONE / 5n) - arcTangent(ONE / 239n))

/** log2(n / 2^scale), n positive. */
function log2(n: bigint, scale: number): bigint {
  // The power of two that leaves a factor between 2/3 and 4/3.
  let exponent = n.toString(2).length - 1
  if (3n * n > 4n << BigInt(exponent)) exponent++
  const power = 1n << BigInt(exponent)
  const z = ((n - power) << BITS) / (n + power)
  return BigInt(exponent - scale) * ONE + ((2n * artanh(z)) << BITS) / LN2
}

/** e^t - 1, t between -1 and 1. */
function exponentialLessOne(t: bigint): bigint {
  let sum = 0n
  let term = t
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term
    term = ((term * t) >> BITS) / n
  }
  return sum
}

// ---- to and from floating point ----

const significand = (f: Float): bigint => (BigInt(f.hi) << 32n) | BigInt(f.lo)

/** A NORMAL number, its sign included, with the fixed point. Exact, or cut below 2^-BITS. */
function fixed(f: Float): bigint {
  const shift = BigInt(f.exponent - 63) + BITS
  const magnitude = shift >= 0n ? significand(f) << shift : significand(f) >> -shift
  return f.sign === 1 ? -magnitude : magnitude
}

/** n times 2^exponent, rounded; n is not negative. `isCut`: bits below those of n are missing. */
function rounded(env: Environment, sign: number, n: bigint, exponent: number, isCut: boolean): Float {
  if (n === 0n) return zero(sign)
  const length = n.toString(2).length
  const wide = length > 96 ? n >> BigInt(length - 96) : n << BigInt(96 - length)
  const isWhole = !isCut && (length <= 96 || wide << BigInt(length - 96) === n)
  const part = (at: bigint): number => Number((wide >> at) & 0xffff_ffffn)
  const rest = (part(0n) | (isWhole ? 0 : 1)) >>> 0
  return soft.round(env, soft.EXTENDED, sign, exponent + length - 1, { hi: part(64n), lo: part(32n), rest })
}

/** A fixed-point number, never negative, with a sign. */
function roundedFixed(env: Environment, sign: number, n: bigint): Float {
  return rounded(env, sign, n, -Number(BITS), true)
}

// ---- the functions ----

/** F2XM1, for x between -1 and 1; beyond that it is undefined, and x stays. */
export function powerLessOne(env: Environment, x: Float): Float {
  const special = specialResult(env, x, x)
  if (special !== null) return special
  if (x.kind === soft.INFINITE) return x.sign === 1 ? soft.float(soft.NORMAL, 1, 0, 0x8000_0000) : x
  noteDenormals(env, x)
  if (stops(env) || x.kind === soft.ZERO || x.exponent > 0) return x
  if (x.exponent < TINY)
    return rounded(env, x.sign, significand(x) * LN2, x.exponent - 63 - Number(BITS), true)
  if (x.exponent === 0) return roundedFixed(env, x.sign, x.sign === 1 ? ONE / 2n : ONE)
  const n = exponentialLessOne((fixed(x) * LN2) >> BITS)
  return roundedFixed(env, x.sign, n < 0n ? -n : n)
}

/** FYL2X: y log2(x). */
export const timesLogarithm: Function2 = (env, y, x) => {
  const special = specialResult(env, y, x)
  if (special !== null) return special
  if (x.kind === soft.ZERO) return timesLogarithmOfZero(env, y)
  if (x.sign === 1) return invalid(env)
  const order = x.kind === soft.INFINITE || x.exponent > 0 ? 1 : compareWithOne(x)
  if (y.kind === soft.INFINITE && order === 0) return invalid(env)
  if (x.kind === soft.INFINITE && y.kind === soft.ZERO) return invalid(env)
  noteDenormals(env, y, x)
  if (stops(env)) return y
  const sign = y.sign ^ (order < 0 ? 1 : 0)
  if (x.kind === soft.INFINITE || y.kind === soft.INFINITE) return infinity(sign)
  if (y.kind === soft.ZERO || order === 0) return zero(sign)
  // A power of two has an exact logarithm; the processor says that it rounded all the same, and of a denormal result more.
  const isPower = x.hi === 0x8000_0000 && x.lo === 0
  env.flags |= soft.PRECISION
  const result = timesFixed(env, y, log2(significand(x), 63) + BigInt(x.exponent) * ONE, !isPower)
  if (result.kind === soft.NORMAL && result.exponent < soft.EXTENDED.min) env.flags |= soft.UNDERFLOW
  return result
}

/** Negative, 0 or positive, as a positive NORMAL number is below one, one, or above. */
function compareWithOne(x: Float): number {
  if (x.exponent < 0) return -1
  return x.hi === 0x8000_0000 && x.lo === 0 ? 0 : 1
}

function timesLogarithmOfZero(env: Environment, y: Float): Float {
  if (y.kind === soft.ZERO) return invalid(env)
  if (y.kind !== soft.INFINITE) env.flags |= soft.DIVIDE
  return infinity(y.sign ^ 1)
}

function timesFixed(env: Environment, y: Float, n: bigint, isCut: boolean): Float {
  const sign = y.sign ^ (n < 0n ? 1 : 0)
  return rounded(env, sign, significand(y) * (n < 0n ? -n : n), y.exponent - 63 - Number(BITS), isCut)
}

/** FYL2XP1: y log2(x + 1), for x near to zero; at -1 and below it is undefined. */
export const timesLogarithmOfOneMore: Function2 = (env, y, x) => {
  const special = specialResult(env, y, x)
  if (special !== null) return special
  const isInfinite = y.kind === soft.INFINITE || x.kind === soft.INFINITE
  if (isInfinite && (x.kind === soft.ZERO || y.kind === soft.ZERO)) return invalid(env)
  if (x.sign === 1 && (x.kind === soft.INFINITE || (x.kind === soft.NORMAL && x.exponent >= 0)))
    return invalid(env)
  noteDenormals(env, y, x)
  if (stops(env)) return y
  const sign = y.sign ^ x.sign
  if (isInfinite) return infinity(sign)
  if (x.kind === soft.ZERO || y.kind === soft.ZERO) return zero(sign)
  if (x.exponent < TINY) {
    const n = ((significand(y) * significand(x)) << (BITS * 2n)) / LN2
    return rounded(env, sign, n, y.exponent + x.exponent - 126 - Number(BITS), true)
  }
  const bits = x.exponent > 63 ? 0 : 63 - x.exponent
  const one = 1n << BigInt(bits)
  const whole = significand(x) << BigInt(Math.max(0, x.exponent - 63))
  return timesFixed(env, y, log2(one + (x.sign === 1 ? -whole : whole), bits), true)
}

/** FPATAN: the angle of the point (x, y), from -pi to pi. */
export const angle: Function2 = (env, y, x) => {
  const special = specialResult(env, y, x)
  if (special !== null) return special
  noteDenormals(env, y, x)
  if (stops(env)) return y
  const isLeft = x.sign === 1
  if (y.kind === soft.INFINITE && x.kind === soft.INFINITE) {
    return roundedFixed(env, y.sign, isLeft ? (3n * PI) / 4n : PI / 4n)
  }
  if (y.kind === soft.ZERO || x.kind === soft.INFINITE)
    return isLeft ? roundedFixed(env, y.sign, PI) : zero(y.sign)
  if (x.kind === soft.ZERO || y.kind === soft.INFINITE) return roundedFixed(env, y.sign, PI / 2n)
  const distance = y.exponent - x.exponent
  if (distance < TINY && !isLeft) {
    const n = (significand(y) << BITS) / significand(x)
    return rounded(env, y.sign, n, distance - Number(BITS), true)
  }
  const acute = acuteAngle(significand(y), significand(x), distance)
  return roundedFixed(env, y.sign, isLeft ? PI - acute : acute)
}

/** atan(y / x * 2^distance) of positive numbers. */
function acuteAngle(y: bigint, x: bigint, distance: number): bigint {
  const far = BigInt(Math.min(Math.abs(distance), 2 * Number(BITS)))
  const [above, below] = distance >= 0 ? [y << far, x] : [y, x << far]
  if (above <= below) return arcTangent((above << BITS) / below)
  return PI / 2n - arcTangent((below << BITS) / above)
}
