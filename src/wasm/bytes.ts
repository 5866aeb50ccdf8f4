/**
 * Bytes of a module as a string: each character is one, 0 to 255. Engines join strings without copying them, so that an
 * expression is made of others at no cost, and what it is part of is copied once, by `bytesOf`.
 */
export type Code = string

/** Each byte as a string. */
const BYTES: readonly Code[] = Array.from({ length: 256 }, (_, n) => String.fromCharCode(n))

/** One byte. */
export function byte(n: number): Code {
  return BYTES[n]
}

/** Some bytes. */
export function code(...bytes: number[]): Code {
  return String.fromCharCode(...bytes)
}

/** What has been written, as bytes. */
export function bytesOf(code: Code): Uint8Array<ArrayBuffer> {
  const { length } = code
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = code.charCodeAt(i)
  return bytes
}

/** An unsigned number of at most 32 bits in LEB128. */
export function unsigned(n: number): Code {
  return n >= 0 && n < SMALL ? SMALL_UNSIGNED[n] : writtenUnsigned(n)
}

function writtenUnsigned(n: number): Code {
  let written = ''
  let rest = n >>> 0
  while (rest > 0x7f) {
    written += BYTES[(rest & 0x7f) | 0x80]
    rest >>>= 7
  }
  return written + BYTES[rest]
}

/** Small numbers, made once. */
const SMALL = 4096
const SMALL_UNSIGNED: readonly Code[] = Array.from({ length: SMALL }, (_, n) => writtenUnsigned(n))

/** A signed 64-bit number in two halves in LEB128. */
export function signed(lo: number, hi: number): Code {
  let written = ''
  let low = lo | 0
  let high = hi | 0
  for (;;) {
    const bits = low & 0x7f
    low = (low >>> 7) | (high << 25)
    high >>= 7
    const sign = (bits & 0x40) !== 0 ? -1 : 0
    if (low === sign && high === sign) return written + BYTES[bits]
    written += BYTES[bits | 0x80]
  }
}
