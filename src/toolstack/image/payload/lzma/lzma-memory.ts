/**
 * What a decoder of LZMA has in its memory before the output: its state between two calls, its probabilities and the
 * packed bytes. Names are those of the LZMA specification.
 */

/** Addresses of the decoder's state: 32-bit words. */
export const FIELD = {
  /** The range decoder: its range, its code, and where its next byte is. */
  range: 0,
  code: 4,
  from: 8,
  /** Where the next byte of output goes. */
  to: 12,
  /** Where the dictionary, which is the output, begins: no match reaches below. */
  dictionary: 16,
  state: 20,
  /** The last four distances, less one each. */
  rep0: 24,
  rep1: 28,
  rep2: 32,
  rep3: 36,
  /** Bytes of the last match that did not fit before the end: the next call copies them. */
  pending: 40,
  /** Bits of the byte before that literals go by, and masks of the position for literals and for all else. */
  lc: 44,
  lpMask: 48,
  pbMask: 52,
} as const
const FIELD_BYTES = 64

export const STATES = 12
/** Positions modulo 16 at most, by pb. */
export const POS_STATES = 16
/** Matches of length 2, 3, 4 and 5 or more have their distances coded differently. */
export const LEN_STATES = 4
export const POS_SLOT_BITS = 6
/** Slots below this are the distances themselves; up to the next one, a distance's lower bits have probabilities. */
export const FIRST_MODELLED_SLOT = 4
export const FIRST_DIRECT_SLOT = 14
/** The most bits of a distance that have probabilities by its slot. */
export const POS_BITS = 5
export const ALIGN_BITS = 4

/** Where the probabilities of lengths are in their table: two choices, then trees, the lower two by the position. */
export const LENGTH = {
  choice: 0,
  choice2: 1,
  low: 2,
  mid: 2 + (POS_STATES << 3),
  high: 2 + (POS_STATES << 4),
} as const
const LENGTH_PROBS = LENGTH.high + (1 << 8)

/** Log2 of a probability's bytes. */
export const PROB_SHIFT = 1
/** Probabilities of one context of literals: a tree, and two for after a match. */
const LITERAL_PROBS = 0x300
export const LITERAL_BYTES = LITERAL_PROBS << PROB_SHIFT

/** Probabilities in each table, in the order in which they lie there. */
const COUNTS = {
  isMatch: STATES * POS_STATES,
  isRep: STATES,
  isRepG0: STATES,
  isRepG1: STATES,
  isRepG2: STATES,
  isRep0Long: STATES * POS_STATES,
  posSlot: LEN_STATES << POS_SLOT_BITS,
  pos: FIRST_DIRECT_SLOT << POS_BITS,
  align: 1 << ALIGN_BITS,
  length: LENGTH_PROBS,
  repLength: LENGTH_PROBS,
} as const

export type Table = keyof typeof COUNTS | 'literal'

/** The address of each table of probabilities. That of literals is the last, as lc and lp say how large it is. */
export const PROBS: Readonly<Record<Table, number>> = addresses()

function addresses(): Record<Table, number> {
  const found: Partial<Record<Table, number>> = {}
  let at = FIELD_BYTES
  for (const [name, count] of Object.entries(COUNTS)) {
    found[name as Table] = at
    at += count << PROB_SHIFT
  }
  return { ...(found as Record<Table, number>), literal: at }
}
