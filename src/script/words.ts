/** What is wrong with one line of a script: one sentence, without the line's number. */
export class ScriptError extends Error {
  override name = 'ScriptError'
}

/** What is wrong with a line, to be thrown. */
export function scriptError(message: string): ScriptError {
  return new ScriptError(message)
}

/** A 64-bit value in two u32 halves. */
export type Word64 = { readonly lo: number; readonly hi: number }

/** No number is longer, whatever it counts in. */
const MOST_DIGITS = 100

/** A number as scripts write it: decimal or 0x, with underscores, and a sign for two's complement. */
export function parseNumber(word: string, expected: string): Word64 {
  const digits = word.replaceAll('_', '')
  if (digits.length > MOST_DIGITS || !/^-?(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(digits)) {
    throw scriptError(`'${word}' is not ${expected}`)
  }
  const negative = digits.startsWith('-')
  const short = Number(negative ? digits.slice(1) : digits)
  if (!negative && short < 2 ** 53) return { lo: short >>> 0, hi: Math.floor(short / 2 ** 32) }
  const magnitude = BigInt(negative ? digits.slice(1) : digits)
  const bits = BigInt.asUintN(64, negative ? -magnitude : magnitude)
  return { lo: Number(bits & 0xffff_ffffn), hi: Number(bits >> 32n) }
}

/** Whether a word begins as a number does. */
export function isNumber(word: string): boolean {
  return /^-?[0-9]/.test(word)
}
