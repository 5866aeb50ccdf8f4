import {
  C0,
  C1,
  C2,
  C3,
  EARLY,
  invalid,
  noteDenormals,
  type Stack,
  specialResult,
} from '../../assist/x87-state.ts'
import type { Environment, Float, Format } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'

/** What x87 computes from one or two numbers; exceptions go into the environment. */
export type Operation = (env: Environment, format: Format, a: Float, b: Float) => Float

const WORD = 0x1_0000_0000

const stops = (env: Environment): boolean => (env.flags & ~env.masks & EARLY) !== 0
const isInfinite = (f: Float): boolean => f.kind === soft.INFINITE
const isZero = (f: Float): boolean => f.kind === soft.ZERO

function add(env: Environment, format: Format, a: Float, b: Float): Float {
  const special = specialResult(env, a, b)
  if (special !== null) return special
  if (isInfinite(a) && isInfinite(b) && a.sign !== b.sign) return invalid(env)
  noteDenormals(env, a, b)
  if (stops(env) || isInfinite(a)) return a
  return isInfinite(b) ? b : soft.add(env, format, a, b)
}

const negate = (f: Float): Float => (f.kind >= soft.QUIET ? f : { ...f, sign: f.sign ^ 1 })

function multiply(env: Environment, format: Format, a: Float, b: Float): Float {
  const special = specialResult(env, a, b)
  if (special !== null) return special
  const infinite = isInfinite(a) || isInfinite(b)
  if (infinite && (isZero(a) || isZero(b))) return invalid(env)
  noteDenormals(env, a, b)
  if (stops(env)) return a
  return infinite ? soft.float(soft.INFINITE, a.sign ^ b.sign) : soft.multiply(env, format, a, b)
}

function divide(env: Environment, format: Format, a: Float, b: Float): Float {
  const special = specialResult(env, a, b)
  if (special !== null) return special
  if (a.kind === b.kind && (isZero(a) || isInfinite(a))) return invalid(env)
  const sign = a.sign ^ b.sign
  if (isZero(b) && !isInfinite(a)) {
    env.flags |= soft.DIVIDE
    return soft.float(soft.INFINITE, sign)
  }
  noteDenormals(env, a, b)
  if (stops(env)) return a
  if (isInfinite(a)) return soft.float(soft.INFINITE, sign)
  return isInfinite(b) ? soft.float(soft.ZERO, sign) : soft.divide(env, format, a, b)
}

/** Of the first operand that an instruction names and its other one. */
export const BINARY: Readonly<Record<string, Operation>> = {
  add,
  mul: multiply,
  sub: (env, format, a, b) => add(env, format, a, negate(b)),
  subr: (env, format, a, b) => add(env, format, b, negate(a)),
  div: divide,
  divr: (env, format, a, b) => divide(env, format, b, a),
}

/** fsqrt: of less than zero it is an invalid operation. */
export function squareRoot(env: Environment, format: Format, a: Float): Float {
  const special = specialResult(env, a, a)
  if (special !== null) return special
  if (a.sign === 1 && !isZero(a)) return invalid(env)
  noteDenormals(env, a)
  if (stops(env) || isInfinite(a)) return a
  return soft.squareRoot(env, format, a)
}

/** frndint: to an integer, by the control word's rounding. */
export function roundInteger(env: Environment, _format: Format, a: Float): Float {
  const special = specialResult(env, a, a)
  if (special !== null) return special
  noteDenormals(env, a)
  return stops(env) ? a : soft.roundToInteger(env, a)
}

/** a times 2 to the integer part of b. */
export function scale(env: Environment, _format: Format, a: Float, b: Float): Float {
  const special = specialResult(env, a, b)
  if (special !== null) return special
  if (isInfinite(b)) {
    if (b.sign === 0 ? isZero(a) : isInfinite(a)) return invalid(env)
    noteDenormals(env, a)
    if (stops(env)) return a
    return soft.float(b.sign === 1 ? soft.ZERO : soft.INFINITE, a.sign)
  }
  noteDenormals(env, a, b)
  if (stops(env) || a.kind !== soft.NORMAL || isZero(b)) return a
  const steps = b.exponent > 15 ? (b.sign === 1 ? -0x1_0000 : 0x1_0000) : integerPart(b)
  return soft.round(env, soft.EXTENDED, a.sign, a.exponent + steps, { hi: a.hi, lo: a.lo, rest: 0 })
}

function integerPart(b: Float): number {
  if (b.exponent < 0) return 0
  const magnitude = b.hi >>> (31 - b.exponent)
  return b.sign === 1 ? -magnitude : magnitude
}

/** What a comparison says, as C0, C2 and C3. */
export function orderCodes(order: number): number {
  if (order === soft.UNORDERED) return C0 | C2 | C3
  return order === soft.LESS ? C0 : order === soft.EQUAL ? C3 : 0
}

/** Compare; `isQuiet` raises nothing for quiet NaNs. */
export function compare(env: Environment, a: Float, b: Float, isQuiet: boolean): number {
  const isNan = a.kind >= soft.QUIET || b.kind >= soft.QUIET
  const isBad = [a, b].some((f) => f.kind === soft.SIGNALLING || f.kind === soft.UNSUPPORTED)
  if (isBad || (isNan && !isQuiet)) env.flags |= soft.INVALID
  if (!isNan) noteDenormals(env, a, b)
  return soft.compare(a, b)
}

/** The class of st(0), whose sign is C1. */
export function examine(stack: Stack): void {
  const f = stack.read(0)
  stack.setCodes((stack.isEmpty(0) ? C3 | C0 : classCodes(f)) | (f.sign === 1 ? C1 : 0))
}

function classCodes(f: Float): number {
  if (f.kind === soft.UNSUPPORTED) return 0
  if (f.kind >= soft.QUIET) return C0
  if (f.kind === soft.INFINITE) return C2 | C0
  if (f.kind === soft.ZERO) return C3
  return f.isDenormal ? C3 | C2 : C2
}

/**
 * The remainder of a by b, and the low three bits of the quotient as condition codes. What is too far away is only brought
 * nearer, which C2 says. Invalid operations leave the codes, which are null then.
 */
export function remainder(
  env: Environment,
  a: Float,
  b: Float,
  isNearest: boolean,
): { f: Float; codes: number | null } {
  const special = specialResult(env, a, b)
  if (special !== null) return { f: special, codes: null }
  if (isInfinite(a) || isZero(b)) return { f: invalid(env), codes: null }
  noteDenormals(env, a, b)
  if (stops(env) || isZero(a) || isInfinite(b)) return { f: a, codes: 0 }
  const distance = a.exponent - b.exponent
  if (distance < (isNearest ? -1 : 0)) return { f: exactly(env, a), codes: 0 }
  const isPartial = distance >= 64
  // By how many powers of two a partial remainder comes nearer is the processor's choice, from 32 to 63.
  const steps = (isPartial ? (distance & 31) | 32 : distance) + 1
  const r = divideSteps(a, b, steps)
  // After the last step the rest counts in units of a's exponent less the steps but one.
  const exponent = a.exponent - Math.max(0, steps - 1)
  if (isPartial) return { f: build(env, a.sign, exponent, r.hi, r.lo), codes: C2 }
  if (!isNearest) return { f: build(env, a.sign, exponent, r.hi, r.lo), codes: quotientCodes(r.quotient) }
  return nearest(env, a, b, distance, r)
}

type Rest = { hi: number; lo: number; quotient: number }

/** `steps` bits of quotient of a's significand by b's, and what is left. */
function divideSteps(a: Float, b: Float, steps: number): Rest {
  let { hi, lo } = a
  let quotient = 0
  for (let n = 0; n < steps; n++) {
    if (n > 0) {
      lo *= 2
      hi *= 2
      if (lo >= WORD) {
        lo -= WORD
        hi++
      }
    }
    quotient = (quotient << 1) & 7
    // The rest is below twice b, so that it may need one bit more than b has.
    if (hi > b.hi || (hi === b.hi && lo >= b.lo)) {
      lo -= b.lo
      hi -= b.hi
      if (lo < 0) {
        lo += WORD
        hi--
      }
      quotient |= 1
    }
  }
  return { hi, lo, quotient }
}

/** Round the quotient to the nearest integer, the even one when both are as near. */
function nearest(
  env: Environment,
  a: Float,
  b: Float,
  distance: number,
  { hi, lo, quotient }: Rest,
): { f: Float; codes: number } {
  // At a distance of -1 the rest is a itself, in units half as large as b's: then it is not doubled.
  const isHalf = distance === -1
  const twiceLo = isHalf ? lo : (lo * 2) % WORD
  const twiceHi = isHalf ? hi : hi * 2 + (lo * 2 >= WORD ? 1 : 0)
  const order = twiceHi - b.hi || twiceLo - b.lo
  const exponent = isHalf ? a.exponent : b.exponent
  if (order < 0 || (order === 0 && (quotient & 1) === 0)) {
    return { f: build(env, a.sign, exponent, hi, lo), codes: quotientCodes(quotient) }
  }
  // b less the rest, in the rest's units.
  const wholeLo = isHalf ? (b.lo * 2) % WORD : b.lo
  const wholeHi = isHalf ? b.hi * 2 + (b.lo * 2 >= WORD ? 1 : 0) : b.hi
  const restLo = wholeLo - lo
  const restHi = wholeHi - hi - (restLo < 0 ? 1 : 0)
  const f = build(env, a.sign ^ 1, exponent, restHi, restLo < 0 ? restLo + WORD : restLo)
  return { f, codes: quotientCodes(quotient + 1) }
}

function build(env: Environment, sign: number, exponent: number, hi: number, lo: number): Float {
  if (hi === 0 && lo === 0) return soft.float(soft.ZERO, sign)
  return soft.roundWords(env, soft.EXTENDED, sign, exponent, hi >>> 0, lo >>> 0)
}

/** A number as it is: of one that is tiny, with the exception if that is not masked. */
function exactly(env: Environment, a: Float): Float {
  return a.kind === soft.NORMAL ? soft.convert(env, soft.EXTENDED, a) : a
}

function quotientCodes(quotient: number): number {
  return ((quotient & 4) !== 0 ? C0 : 0) | ((quotient & 2) !== 0 ? C3 : 0) | ((quotient & 1) !== 0 ? C1 : 0)
}
