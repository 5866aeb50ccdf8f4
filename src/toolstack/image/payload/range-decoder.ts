/** Bits of a probability, and how fast one follows what it sees. */
const MODEL_BITS = 11
const MOVE_BITS = 5
/** A probability that knows nothing yet: one half. */
const EVEN = 1 << (MODEL_BITS - 1)
/** Below this the range has too few bits left to be divided. */
const TOP = 2 ** 24

/** So many probabilities, all even. */
export function evenProbabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(EVEN)
}

/** Forget what probabilities have learnt. */
export function makeEven(...tables: readonly Uint16Array[]): void {
  for (const table of tables) table.fill(EVEN)
}

/**
 * LZMA's arithmetic decoder: each bit has a probability of being 0, which adapts as bits are read. Both words are kept
 * as signed 32-bit integers, which engines calculate with fastest; they are compared as unsigned.
 */
export class RangeDecoder {
  private readonly bytes: Uint8Array
  private range = 0
  private code = 0
  /** Where the next byte is. Past the end zeros are read: whoever decodes compares this with the end. */
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Begin at `at`: five bytes, of which the first is always 0. False when it is not. */
  start(at: number): boolean {
    this.range = -1
    this.code = 0
    for (let i = 1; i < 5; i++) this.code = (this.code << 8) | this.bytes[at + i]
    this.at = at + 5
    return this.bytes[at] === 0
  }

  /** End at `end`: whether everything was read that was written, up to there. The encoder leaves a code of 0. */
  finish(end: number): boolean {
    if (this.range >>> 0 < TOP) this.normalize()
    return this.code === 0 && this.at === end
  }

  /** Read a bit by the probability `table[i]`. */
  bit(table: Uint16Array, i: number): number {
    if (this.range >>> 0 < TOP) this.normalize()
    const probability = table[i]
    const bound = Math.imul(this.range >>> MODEL_BITS, probability)
    if (this.code >>> 0 < bound >>> 0) {
      this.range = bound
      table[i] = probability + (((1 << MODEL_BITS) - probability) >>> MOVE_BITS)
      return 0
    }
    this.range = (this.range - bound) | 0
    this.code = (this.code - bound) | 0
    table[i] = probability - (probability >>> MOVE_BITS)
    return 1
  }

  /** Read `count` bits that have no probabilities, the highest first. */
  directBits(count: number): number {
    let value = 0
    for (let i = 0; i < count; i++) {
      if (this.range >>> 0 < TOP) this.normalize()
      this.range >>>= 1
      const isOne = this.code >>> 0 >= this.range
      if (isOne) this.code = (this.code - this.range) | 0
      value = (value << 1) | (isOne ? 1 : 0)
    }
    return value
  }

  /** Read a number of `bits` bits, the highest first, by a tree of probabilities from `base` on. */
  tree(table: Uint16Array, base: number, bits: number): number {
    let node = 1
    for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(table, base + node)
    return node - (1 << bits)
  }

  /** The same, the lowest bit first. */
  reverseTree(table: Uint16Array, base: number, bits: number): number {
    let node = 1
    let value = 0
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(table, base + node)
      node = (node << 1) | bit
      value |= bit << i
    }
    return value
  }

  private normalize(): void {
    this.range <<= 8
    this.code = (this.code << 8) | this.bytes[this.at++]
  }
}
