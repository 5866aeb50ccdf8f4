import { select } from '../../../../wasm/wasm-module.ts'
import { type I32, i32 } from '../../../../wasm/wasm-values.ts'
import { copyMatch } from '../copy-code.ts'
import { type DecodeFunction, STATUS } from './decode-function.ts'
import {
  ALIGN_BITS,
  FIRST_DIRECT_SLOT,
  FIRST_MODELLED_SLOT,
  LEN_STATES,
  LENGTH,
  POS_BITS,
  POS_SLOT_BITS,
  PROB_SHIFT,
  PROBS,
} from './lzma-memory.ts'
import type { Prob } from './range-code.ts'

const LEAST_MATCH = 2
/** The distance, less one, that marks the end of a stream that does not say its size. */
const END_MARKER = -1

/** Write code that decodes a match of a distance of its own: its length to `length`, its distance to `rep0`. */
export function writeSimpleMatch(d: DecodeFunction): void {
  const { f, r } = d
  writeLength(d, PROBS.length)
  d.setState(7, 10)
  f.set(r.rep3, r.rep2.value)
  f.set(r.rep2, r.rep1.value)
  f.set(r.rep1, r.rep0.value)
  writeDistance(d)
  d.leaveIf(r.rep0.value.eq(END_MARKER), STATUS.endMarker)
}

/** Write code that decodes a match at one of the last four distances, which becomes the last one. */
export function writeRepeatedMatch(d: DecodeFunction): void {
  const { f, range } = d
  const oneByte = (): void => {
    f.set(d.length, i32(1))
    d.setState(9, 11)
  }
  const long = (): void => {
    writeLength(d, PROBS.repLength)
    d.setState(8, 11)
  }
  const isRep0 = (): void => range.bit(d.byStateAndPosition('isRep0Long'), oneByte, long)
  range.bit(d.byState('isRepG0'), isRep0, () => {
    writeOlderDistance(d)
    long()
  })
}

/** rep1, rep2 or rep3 comes to the front, and those before it move back. */
function writeOlderDistance(d: DecodeFunction): void {
  const { f, r, range } = d
  const last = f.variable<I32>('i32')
  f.set(last, r.rep0.value)
  const isRep1 = (): void => f.set(r.rep0, r.rep1.value)
  const isRep2 = (): void => f.set(r.rep0, r.rep2.value)
  const isRep3 = (): void => {
    f.set(r.rep0, r.rep3.value)
    f.set(r.rep3, r.rep2.value)
  }
  range.bit(d.byState('isRepG1'), isRep1, () => {
    range.bit(d.byState('isRepG2'), isRep2, isRep3)
    f.set(r.rep2, r.rep1.value)
  })
  f.set(r.rep1, last.value)
  f.release()
}

/** Lengths: 3 bits, or 3 bits more, or 8 bits above them; the lower two kinds by the position. */
function writeLength(d: DecodeFunction, table: number): void {
  const { f, range, length, symbol } = d
  const prob = (index: number): Prob => ({ index: i32(0), table: table + (index << PROB_SHIFT) })
  const tree = (bits: number, least: number, where: Prob): void => {
    range.tree(symbol, bits, where)
    f.set(length, symbol.value.add(least - (1 << bits)))
  }
  const byPosition = (index: number): Prob => ({
    ...prob(index),
    index: d.posState.value.shl(3 + PROB_SHIFT),
  })
  const low = (): void => tree(3, LEAST_MATCH, byPosition(LENGTH.low))
  const mid = (): void => tree(3, LEAST_MATCH + 8, byPosition(LENGTH.mid))
  const high = (): void => tree(8, LEAST_MATCH + 16, prob(LENGTH.high))
  range.bit(prob(LENGTH.choice), low, () => range.bit(prob(LENGTH.choice2), mid, high))
}

/** A distance, less one: a slot says its highest two bits and how many follow. */
function writeDistance(d: DecodeFunction): void {
  const { f, range, length, symbol, count } = d
  const { rep0 } = d.r
  const isShort = length.value.ltU(LEAST_MATCH + LEN_STATES)
  const lenState = select(isShort, length.value.sub(LEAST_MATCH), i32(LEN_STATES - 1))
  const row = f.variable<I32>('i32')
  const slot = f.variable<I32>('i32')
  f.set(row, lenState.shl(POS_SLOT_BITS + PROB_SHIFT))
  range.tree(symbol, POS_SLOT_BITS, { index: row.value, table: PROBS.posSlot })
  f.set(slot, symbol.value.sub(1 << POS_SLOT_BITS))
  f.set(rep0, slot.value)
  f.if(slot.value.geU(FIRST_MODELLED_SLOT), () => {
    f.set(count, slot.value.shr(1).sub(1))
    f.set(rep0, slot.value.and(1).or(2))
    const modelled = (): void => {
      f.set(rep0, rep0.value.shl(count.value))
      f.set(row, slot.value.shl(POS_BITS + PROB_SHIFT))
      range.reverseTree(rep0, count, symbol, { index: row.value, table: PROBS.pos })
    }
    const direct = (): void => {
      f.set(count, count.value.sub(ALIGN_BITS))
      range.directBits(rep0, count)
      f.set(rep0, rep0.value.shl(ALIGN_BITS))
      f.set(count, i32(ALIGN_BITS))
      range.reverseTree(rep0, count, symbol, { index: i32(0), table: PROBS.align })
    }
    f.if(slot.value.ltU(FIRST_DIRECT_SLOT), modelled, direct)
  })
  f.release()
}

/** Write code that copies the match, as far as it goes before the end. */
export function writeCopy(d: DecodeFunction): void {
  const { f, r, length, end } = d
  const stop = f.variable<I32>('i32')
  const distance = f.variable<I32>('i32')
  f.set(stop, r.to.value.add(length.value))
  f.if(stop.value.gtU(end.value), () => f.set(stop, end.value))
  f.set(r.pending, r.to.value.add(length.value).sub(stop.value))
  f.set(distance, r.rep0.value.add(1))
  copyMatch(f, { to: r.to, stop, distance })
  f.release()
}
