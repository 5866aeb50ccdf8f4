import { BadPayload } from './bad-payload.ts'
import { evenProbabilities, makeEven, RangeDecoder } from './range-decoder.ts'

/**
 * LZMA: literals and matches, each number arithmetically coded by what came before it. The output is also the
 * dictionary: a match copies from what stands there already.
 */

/** After which of these states literals are coded plainly; after the others by what the last match would have gone on with. */
const LITERAL_STATES = 7
const STATES = 12
const POSITION_STATES = 16
/** Matches of length 2, 3, 4 and 5 or more have their distances coded differently. */
const LENGTH_STATES = 4
const LEAST_MATCH = 2
/** Slots of distances below this are the distances themselves; up to the next, their lower bits have probabilities. */
const FIRST_MODELLED_SLOT = 4
const FIRST_DIRECT_SLOT = 14
const ALIGN_BITS = 4
/** The distance that marks the end of a stream that does not say its size. */
const END_MARKER = 0xffff_ffff
const LITERAL_PROBABILITIES = 0x300

/** The state after a literal, a match, a repeated match and a single repeated byte. */
const AFTER_LITERAL = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5]
const afterMatch = (state: number): number => (state < LITERAL_STATES ? 7 : 10)
const afterRepeat = (state: number): number => (state < LITERAL_STATES ? 8 : 11)
const afterShortRepeat = (state: number): number => (state < LITERAL_STATES ? 9 : 11)

/** Lengths: 3 bits, or 3 bits more, or 8 bits above them; the lower two kinds by the position. */
class LengthDecoder {
  private readonly choice = evenProbabilities(2)
  private readonly low = evenProbabilities(POSITION_STATES << 3)
  private readonly middle = evenProbabilities(POSITION_STATES << 3)
  private readonly high = evenProbabilities(1 << 8)

  reset(): void {
    makeEven(this.choice, this.low, this.middle, this.high)
  }

  read(range: RangeDecoder, positionState: number): number {
    if (range.bit(this.choice, 0) === 0) return LEAST_MATCH + range.tree(this.low, positionState << 3, 3)
    if (range.bit(this.choice, 1) === 0) {
      return LEAST_MATCH + 8 + range.tree(this.middle, positionState << 3, 3)
    }
    return LEAST_MATCH + 16 + range.tree(this.high, 0, 8)
  }
}

/** A decoder of LZMA's symbols from `input` to `output`, for the containers that cut them into pieces. */
export class LzmaDecoder {
  readonly range: RangeDecoder
  private readonly output: Uint8Array
  /** Bytes of output so far. */
  at = 0
  /** Where the dictionary begins: no match reaches below. */
  private dictionary = 0
  private state = 0
  /** The last four distances, less one each. */
  private repeat0 = 0
  private repeat1 = 0
  private repeat2 = 0
  private repeat3 = 0
  /** A match that does not fit into the piece goes on in the next. */
  private pending = 0
  private literalContext = 0
  private literalPositionMask = 0
  private positionMask = 0

  private literals = evenProbabilities(0)
  private readonly isMatch = evenProbabilities(STATES * POSITION_STATES)
  private readonly isRepeat = evenProbabilities(STATES)
  private readonly isRepeat0 = evenProbabilities(STATES)
  private readonly isRepeat1 = evenProbabilities(STATES)
  private readonly isRepeat2 = evenProbabilities(STATES)
  private readonly isLongRepeat0 = evenProbabilities(STATES * POSITION_STATES)
  private readonly slots = evenProbabilities(LENGTH_STATES << 6)
  private readonly distances = evenProbabilities(FIRST_DIRECT_SLOT << 5)
  private readonly align = evenProbabilities(1 << ALIGN_BITS)
  private readonly matchLength = new LengthDecoder()
  private readonly repeatLength = new LengthDecoder()

  constructor(input: Uint8Array, output: Uint8Array) {
    this.range = new RangeDecoder(input)
    this.output = output
  }

  /**
   * Set lc, lp and pb from their byte, `(pb * 5 + lp) * 9 + lc`, and forget everything learnt.
   *
   * @param most the largest lc + lp that the container allows
   */
  setProperties(byte: number, most: number): void {
    const [lc, rest] = [byte % 9, Math.floor(byte / 9)]
    const [lp, pb] = [rest % 5, Math.floor(rest / 5)]
    if (pb > 4 || lc + lp > most) throw new BadPayload('its LZMA properties cannot be')
    this.literalContext = lc
    this.literalPositionMask = (1 << lp) - 1
    this.positionMask = (1 << pb) - 1
    this.literals = evenProbabilities(LITERAL_PROBABILITIES << (lc + lp))
    this.resetState()
  }

  resetState(): void {
    this.state = 0
    this.repeat0 = 0
    this.repeat1 = 0
    this.repeat2 = 0
    this.repeat3 = 0
    this.pending = 0
    makeEven(this.literals, this.isMatch, this.isRepeat, this.isRepeat0, this.isRepeat1, this.isRepeat2)
    makeEven(this.isLongRepeat0, this.slots, this.distances, this.align)
    this.matchLength.reset()
    this.repeatLength.reset()
  }

  resetDictionary(): void {
    this.dictionary = this.at
  }

  /** Bytes that are stored as they are. */
  store(bytes: Uint8Array): void {
    if (this.at + bytes.length > this.output.length) throw new BadPayload('it is longer than it says')
    this.output.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Decode until the output has `end` bytes, or up to the end marker: true when that was there. */
  decode(end: number): boolean {
    const { range } = this
    if (end > this.output.length) throw new BadPayload('it is longer than it says')
    if (this.pending > 0) this.copy(this.pending, end)
    while (this.at < end) {
      const positionState = (this.at - this.dictionary) & this.positionMask
      if (range.bit(this.isMatch, this.state * POSITION_STATES + positionState) === 0) {
        this.literal()
        continue
      }
      const length =
        range.bit(this.isRepeat, this.state) === 0 ? this.match(positionState) : this.repeat(positionState)
      if (this.repeat0 === END_MARKER) return true
      if (this.repeat0 >= this.at - this.dictionary) {
        throw new BadPayload('it copies from before its beginning')
      }
      this.copy(length, end)
    }
    return false
  }

  /** Whether the end marker comes next. */
  endsHere(): boolean {
    const positionState = (this.at - this.dictionary) & this.positionMask
    const isMatch = this.range.bit(this.isMatch, this.state * POSITION_STATES + positionState) === 1
    if (!isMatch || this.range.bit(this.isRepeat, this.state) === 1) return false
    this.match(positionState)
    return this.repeat0 === END_MARKER
  }

  /** A literal. After a match it is coded by the byte that the match would have gone on with, as far as it is like it. */
  private literal(): void {
    const { range, output, literals, at } = this
    const previous = at === this.dictionary ? 0 : output[at - 1]
    const position = (at - this.dictionary) & this.literalPositionMask
    const context = (position << this.literalContext) + (previous >> (8 - this.literalContext))
    const base = LITERAL_PROBABILITIES * context
    let symbol = 1
    if (this.state >= LITERAL_STATES) {
      if (this.repeat0 >= at - this.dictionary) throw new BadPayload('it copies from before its beginning')
      let matched = output[at - this.repeat0 - 1]
      let bit: number
      let alike: number
      do {
        alike = (matched >> 7) & 1
        matched <<= 1
        bit = range.bit(literals, base + ((1 + alike) << 8) + symbol)
        symbol = (symbol << 1) | bit
      } while (alike === bit && symbol < 0x100)
    }
    while (symbol < 0x100) symbol = (symbol << 1) | range.bit(literals, base + symbol)
    output[at] = symbol
    this.at = at + 1
    this.state = AFTER_LITERAL[this.state]
  }

  /** A match of a distance of its own. Returns its length. */
  private match(positionState: number): number {
    const length = this.matchLength.read(this.range, positionState)
    this.state = afterMatch(this.state)
    this.repeat3 = this.repeat2
    this.repeat2 = this.repeat1
    this.repeat1 = this.repeat0
    this.repeat0 = this.distance(Math.min(length - LEAST_MATCH, LENGTH_STATES - 1))
    return length
  }

  /** A match at one of the last four distances, which becomes the last one. Returns its length. */
  private repeat(positionState: number): number {
    const { range, state } = this
    if (range.bit(this.isRepeat0, state) === 0) {
      if (range.bit(this.isLongRepeat0, state * POSITION_STATES + positionState) === 0) {
        this.state = afterShortRepeat(state)
        return 1
      }
    } else {
      const last = this.repeat0
      if (range.bit(this.isRepeat1, state) === 0) {
        this.repeat0 = this.repeat1
      } else {
        if (range.bit(this.isRepeat2, state) === 0) {
          this.repeat0 = this.repeat2
        } else {
          this.repeat0 = this.repeat3
          this.repeat3 = this.repeat2
        }
        this.repeat2 = this.repeat1
      }
      this.repeat1 = last
    }
    this.state = afterRepeat(state)
    return this.repeatLength.read(range, positionState)
  }

  /** A distance, less one: a slot says its highest two bits and how many follow. */
  private distance(lengthState: number): number {
    const { range } = this
    const slot = range.tree(this.slots, lengthState << 6, 6)
    if (slot < FIRST_MODELLED_SLOT) return slot
    const bits = (slot >> 1) - 1
    const top = (2 | (slot & 1)) << bits
    if (slot < FIRST_DIRECT_SLOT) return top + range.reverseTree(this.distances, slot << 5, bits)
    const middle = range.directBits(bits - ALIGN_BITS) << ALIGN_BITS
    return (top + middle + range.reverseTree(this.align, 0, ALIGN_BITS)) >>> 0
  }

  private copy(length: number, end: number): void {
    const { output } = this
    const stop = Math.min(this.at + length, end)
    this.pending = this.at + length - stop
    let to = this.at
    for (let from = to - this.repeat0 - 1; to < stop; from++, to++) output[to] = output[from]
    this.at = to
  }
}

const ALONE_HEADER_BYTES = 13
const UNKNOWN_SIZE = 0xffff_ffff
/** Bytes of output between two looks at how much of the input is used up. */
const STEP_BYTES = 2 ** 20

/** Whether a payload is in LZMA's first file format, which has no magic: sensible properties, a dictionary of 2^n. */
export function isLzmaAlone(bytes: Uint8Array): boolean {
  return bytes.length > ALONE_HEADER_BYTES && bytes[0] === 0x5d && bytes[1] === 0 && bytes[2] === 0
}

/** Unpack LZMA's first file format: properties, size of the dictionary and of the output, symbols. */
export function unpackLzmaAlone(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const says = view.getUint32(5, true)
  const isUnknown = says === UNKNOWN_SIZE && view.getUint32(9, true) === UNKNOWN_SIZE
  if (!isUnknown && says !== size) throw new BadPayload('it says another size than the image')
  const output = new Uint8Array(size)
  const decoder = new LzmaDecoder(bytes, output)
  decoder.setProperties(bytes[0], 12)
  if (!decoder.range.start(ALONE_HEADER_BYTES)) throw new BadPayload('it does not begin as LZMA does')
  // Past the end zeros are read: what is cut off is not decoded to its end.
  for (let end = 0; end < size && decoder.range.at <= bytes.length; ) {
    end = Math.min(size, end + STEP_BYTES)
    if (decoder.decode(end)) break
  }
  if (decoder.range.at > bytes.length) throw new BadPayload('it is cut off')
  if (decoder.at !== size) throw new BadPayload('it is shorter than it says')
  if (isUnknown && !decoder.endsHere()) throw new BadPayload('it is longer than it says')
  if (decoder.range.at > bytes.length) throw new BadPayload('it is cut off')
  return output
}
