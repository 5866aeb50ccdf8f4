import { type FunctionBody, type Local, load32, store } from '../../../../wasm/wasm-module.ts'
import { type I32, i32 } from '../../../../wasm/wasm-values.ts'
import { PROB_SHIFT } from './lzma-memory.ts'

/** Bits of a probability, and how fast one follows what it sees. */
const MODEL_BITS = 11
const MOVE_BITS = 5
const ONE = 1 << MODEL_BITS
const PROB_BYTES = 1 << PROB_SHIFT
/** A probability that knows nothing yet: one half. */
export const EVEN = ONE >> 1
/** Below this the range has too few bits left to be divided. */
export const TOP = 2 ** 24

/** A probability: an address in code, and a constant that is added to it. */
export type Prob = { readonly index: I32; readonly table: number }

/**
 * Writes LZMA's arithmetic decoder into a function, wherever a bit is read, so that the range and the code stay in
 * registers. Each bit has a probability of being 0, which adapts as bits are read.
 */
export class RangeCode {
  private readonly f: FunctionBody
  readonly range: Local<I32>
  readonly code: Local<I32>
  /** Address of the next byte. */
  readonly from: Local<I32>
  private readonly prob: Local<I32>
  private readonly bound: Local<I32>

  constructor(f: FunctionBody) {
    this.f = f
    this.range = f.local('i32')
    this.code = f.local('i32')
    this.from = f.local('i32')
    this.prob = f.local('i32')
    this.bound = f.local('i32')
  }

  private normalize(): void {
    const { f, range, code, from } = this
    f.if(range.value.ltU(TOP), () => {
      f.set(range, range.value.shl(8))
      f.set(code, code.value.shl(8).or(load32(from.value, 1)))
      f.set(from, from.value.add(1))
    })
  }

  /** Read a bit by a probability, which is named again and again, and go on by what it is. */
  bit({ index, table }: Prob, zero: () => void, one: () => void): void {
    const { f, range, code, prob, bound } = this
    const follow = (value: I32): void => f.emit(store(index, value, PROB_BYTES, table))
    this.normalize()
    f.set(prob, load32(index, PROB_BYTES, table))
    f.set(bound, range.value.shr(MODEL_BITS).mul(prob.value))
    f.if(
      code.value.ltU(bound.value),
      () => {
        f.set(range, bound.value)
        const toOne = i32(ONE).sub(prob.value)
        follow(prob.value.add(toOne.shr(MOVE_BITS)))
        zero()
      },
      () => {
        f.set(range, range.value.sub(bound.value))
        f.set(code, code.value.sub(bound.value))
        follow(prob.value.sub(prob.value.shr(MOVE_BITS)))
        one()
      },
    )
  }

  /** Append `bits` bits to `symbol`, the highest first, each by the tree's probability of the symbol so far. */
  tree(symbol: Local<I32>, bits: number, { index, table }: Prob): void {
    const { f } = this
    f.set(symbol, i32(1))
    for (let i = 0; i < bits; i++) {
      this.bit(
        { index: index.add(symbol.value.shl(PROB_SHIFT)), table },
        () => f.set(symbol, symbol.value.shl(1)),
        () => f.set(symbol, symbol.value.shl(1).add(1)),
      )
    }
  }

  /** Add `count` bits to `number`, the lowest first, by a tree. `count` and `symbol` are changed. */
  reverseTree(number: Local<I32>, count: Local<I32>, symbol: Local<I32>, { index, table }: Prob): void {
    const { f } = this
    const weight = f.variable<I32>('i32')
    f.set(symbol, i32(1))
    f.set(weight, i32(1))
    f.loop((again) => {
      this.bit(
        { index: index.add(symbol.value.shl(PROB_SHIFT)), table },
        () => f.set(symbol, symbol.value.shl(1)),
        () => {
          f.set(symbol, symbol.value.shl(1).add(1))
          f.set(number, number.value.add(weight.value))
        },
      )
      f.set(weight, weight.value.shl(1))
      this.countDown(count, again)
    })
  }

  /** Append `count` bits that have no probabilities to `number`, the highest first. `count` is changed. */
  directBits(number: Local<I32>, count: Local<I32>): void {
    const { f, range, code, bound } = this
    f.loop((again) => {
      this.normalize()
      f.set(range, range.value.shr(1))
      f.set(code, code.value.sub(range.value))
      // All ones where the code was in the lower half: the bit is 0, and the code as it was.
      const isZero = bound
      f.set(isZero, code.value.sar(31))
      f.set(code, code.value.add(range.value.and(isZero.value)))
      f.set(number, number.value.shl(1).add(isZero.value.add(1)))
      this.countDown(count, again)
    })
  }

  private countDown(count: Local<I32>, again: { readonly depth: number }): void {
    this.f.set(count, count.value.sub(1))
    this.f.brIf(again, count.value.ne(0))
  }
}
