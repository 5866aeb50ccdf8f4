/**
 * Floating-point numbers of 32, 64 and 80 bits, taken apart into sign, exponent and 64 bits of significand, whose highest
 * bit is 1, and put together again.
 */
export const ZERO = 0
export const NORMAL = 1
export const INFINITE = 2
export const QUIET = 3
export const SIGNALLING = 4
/** Encodings of the 80-bit format that no operation makes. */
export const UNSUPPORTED = 5

export type Float = {
  readonly kind: number
  readonly sign: number
  /** Of a NORMAL number: its value is significand / 2^63 x 2^exponent. */
  readonly exponent: number
  /** Halves of the significand; of a NaN, its payload below the highest bit. */
  readonly hi: number
  readonly lo: number
  /** Whether it was encoded as a denormal. */
  readonly isDenormal: boolean
}

const HIGH_BIT = 0x8000_0000

/** A number of a kind, with the exponent without its bias and the significand's 64 bits as two halves. */
export function float(kind: number, sign: number, exponent = 0, hi = 0, lo = 0, isDenormal = false): Float {
  return { kind, sign, exponent, hi: hi >>> 0, lo: lo >>> 0, isDenormal }
}

/** The NaN of invalid operations: negative, quiet, without payload. */
export const INDEFINITE = float(QUIET, 1, 0, 0xc000_0000)

/** A number whose significand need not have its highest bit set; zero when there is none. */
export function normalized(
  sign: number,
  exponent: number,
  hi: number,
  lo: number,
  isDenormal: boolean,
): Float {
  if ((hi | lo) === 0) return float(ZERO, sign)
  let [h, l, e] = hi === 0 ? [lo, 0, exponent - 32] : [hi, lo, exponent]
  const n = Math.clz32(h)
  if (n > 0) {
    h = (h << n) | (l >>> (32 - n))
    l <<= n
    e -= n
  }
  return float(NORMAL, sign, e, h, l, isDenormal)
}

function nan(sign: number, hi: number, lo: number): Float {
  return float((hi & 0x4000_0000) !== 0 ? QUIET : SIGNALLING, sign, 0, hi | HIGH_BIT, lo)
}

/** A single-precision number out of its 32 bits. */
export function unpackSingle(word: number): Float {
  const sign = word >>> 31
  const exponent = (word >>> 23) & 0xff
  const fraction = (word << 8) & 0x7fff_ff00
  if (exponent === 0xff) return fraction === 0 ? float(INFINITE, sign) : nan(sign, fraction, 0)
  if (exponent === 0) return normalized(sign, -126, fraction, 0, true)
  return float(NORMAL, sign, exponent - 127, fraction | HIGH_BIT)
}

/** A double-precision number out of its two halves. */
export function unpackDouble(lo: number, hi: number): Float {
  const sign = hi >>> 31
  const exponent = (hi >>> 20) & 0x7ff
  const high = ((hi << 11) | (lo >>> 21)) & 0x7fff_ffff
  const low = lo << 11
  if (exponent === 0x7ff) return (high | low) === 0 ? float(INFINITE, sign) : nan(sign, high, low)
  if (exponent === 0) return normalized(sign, -1022, high, low >>> 0, true)
  return float(NORMAL, sign, exponent - 1023, high | HIGH_BIT, low)
}

/** @param word sign and exponent, 16 bits */
export function unpackExtended(lo: number, hi: number, word: number): Float {
  const sign = (word >>> 15) & 1
  const exponent = word & 0x7fff
  const isWhole = hi >>> 31 === 1
  if (exponent === 0x7fff) {
    if (!isWhole) return float(UNSUPPORTED, sign)
    return ((hi & 0x7fff_ffff) | lo) === 0 ? float(INFINITE, sign) : nan(sign, hi, lo)
  }
  if (exponent === 0) return normalized(sign, -16382, hi >>> 0, lo >>> 0, true)
  return isWhole ? float(NORMAL, sign, exponent - 16383, hi, lo) : float(UNSUPPORTED, sign)
}

/** The 32 bits of a number that is rounded to single precision already. */
export function packSingle(f: Float): number {
  const sign = f.sign << 31
  if (f.kind === ZERO) return sign >>> 0
  if (f.kind === INFINITE) return (sign | 0x7f80_0000) >>> 0
  if (f.kind !== NORMAL) return (sign | 0x7fc0_0000 | ((f.hi >>> 8) & 0x3f_ffff)) >>> 0
  if (f.exponent < -126) return (sign | (f.hi >>> (8 + -126 - f.exponent))) >>> 0
  return (sign | ((f.exponent + 127) << 23) | ((f.hi >>> 8) & 0x7f_ffff)) >>> 0
}

/** The two halves of a number that is rounded to double precision already. */
export function packDouble(f: Float): readonly [lo: number, hi: number] {
  const sign = f.sign << 31
  if (f.kind === ZERO) return [0, sign >>> 0]
  if (f.kind === INFINITE) return [0, (sign | 0x7ff0_0000) >>> 0]
  const [hi, lo] =
    f.kind === NORMAL && f.exponent < -1022 ? shiftRight(f.hi, f.lo, -1022 - f.exponent) : [f.hi, f.lo]
  const low = ((hi << 21) | (lo >>> 11)) >>> 0
  const fraction = (hi >>> 11) & 0xf_ffff
  if (f.kind !== NORMAL) return [low, (sign | 0x7ff8_0000 | fraction) >>> 0]
  const exponent = f.exponent < -1022 ? 0 : f.exponent + 1023
  return [low, (sign | (exponent << 20) | fraction) >>> 0]
}

/** The ten bytes of x87's format: two halves of the significand, then sign and exponent. */
export function packExtended(f: Float): readonly [lo: number, hi: number, word: number] {
  const sign = f.sign << 15
  if (f.kind === ZERO) return [0, 0, sign]
  if (f.kind === INFINITE) return [0, HIGH_BIT, sign | 0x7fff]
  if (f.kind !== NORMAL) return [f.lo, (f.hi | 0xc000_0000) >>> 0, sign | 0x7fff]
  if (f.exponent >= -16382) return [f.lo, f.hi, sign | (f.exponent + 16383)]
  const [hi, lo] = shiftRight(f.hi, f.lo, -16382 - f.exponent)
  return [lo, hi, sign]
}

/** 64 bits to the right by less than 64; what falls out is known to be zero. */
function shiftRight(hi: number, lo: number, n: number): readonly [hi: number, lo: number] {
  if (n === 0) return [hi, lo]
  if (n >= 32) return [0, n === 32 ? hi : hi >>> (n - 32)]
  return [hi >>> n, ((lo >>> n) | (hi << (32 - n))) >>> 0]
}
