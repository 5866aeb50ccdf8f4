import type { Local } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import type { CoreEmitter } from '../emit/core-emitter.ts'
import { afterResult, afterSub } from '../semantics/conditions.ts'
import { type Arithmetic, type FlagWords, wordsAtRunTime, wordsOf } from '../semantics/flags.ts'

/**
 * Flags of a region, which nobody computes before somebody looks: what they follow from stays in variables, and in another one
 * what it is.
 *
 *     kind    0           the words of flags.ts are up to date
 *             bits 1..0   1: b was added to a, which gave r; 2: b was subtracted
 *             bits 31..2  64 minus the bits of the operation
 *
 * Bitwise operations are additions of zeros. Inside a block, and from one to the next where only one leads to it, what the
 * variables hold is known, so that a condition is a comparison of operands.
 */
export type FlagState = 'words' | 'unknown' | { readonly what: What; readonly size: number }

/** With `carried`, a carry went in, so that operands alone say little. */
type What = Arithmetic | 'logic' | 'carried add' | 'carried sub'

const ADDED = 1
const SUBTRACTED = 2

export class RegionFlags {
  private readonly e: CoreEmitter
  private readonly result: Local<I64>
  private readonly carries: Local<I32>
  private readonly kind: Local<I32>
  private readonly a: Local<I64>
  private readonly b: Local<I64>
  private readonly r: Local<I64>
  /** What is known where code is being written. */
  state: FlagState = 'words'

  constructor(e: CoreEmitter) {
    this.e = e
    this.result = e.local('i64')
    this.carries = e.local('i32')
    this.kind = e.local('i32')
    this.a = e.local('i64')
    this.b = e.local('i64')
    this.r = e.local('i64')
  }

  /** Take the words from where the interpreter keeps them. */
  load(words: FlagWords): void {
    this.e.set(this.result, words.result)
    this.e.set(this.carries, words.carries)
  }

  /** @param carried whether a carry went in */
  setArithmetic(operation: Arithmetic, operands: { a: I64; b: I64; r: I64 }, carried: boolean): void {
    const what = carried ? (`carried ${operation}` as const) : operation
    this.keep(what, operands)
  }

  setLogic(r: I64): void {
    this.keep('logic', { a: i64(0), b: i64(0), r })
  }

  private keep(what: What, { a, b, r }: { a: I64; b: I64; r: I64 }): void {
    const { e } = this
    e.set(this.a, a)
    e.set(this.b, b)
    e.set(this.r, r)
    e.set(this.kind, i32(((64 - e.size * 8) << 2) | (what.endsWith('sub') ? SUBTRACTED : ADDED)))
    this.state = { what, size: e.size }
  }

  setWords({ result, carries }: FlagWords): void {
    const { e } = this
    e.set(this.carries, carries)
    e.set(this.result, result)
    if (this.state !== 'words') e.set(this.kind, i32(0))
    this.state = 'words'
  }

  words(): FlagWords {
    this.settle()
    return { result: this.result.value, carries: this.carries.value }
  }

  /** Bring the words up to date. */
  settle(): void {
    const { state, e } = this
    if (state === 'words') return
    this.state = 'words'
    if (state === 'unknown') {
      e.if(this.kind.value.ne(0), () => this.computeUnknown())
    } else {
      const operation = state.what.endsWith('sub') ? 'sub' : 'add'
      const { result, carries } = wordsOf(state.size, operation, this.a.value, this.b.value, this.r.value)
      e.set(this.carries, state.what === 'logic' ? i32(0) : carries)
      e.set(this.result, result)
    }
    e.set(this.kind, i32(0))
  }

  private computeUnknown(): void {
    const { e } = this
    const isSub = e.let(this.kind.value.and(3).eq(SUBTRACTED))
    const up = e.let(this.kind.value.shr(2).extend())
    const [a, b, r] = [this.a.value, this.b.value, this.r.value]
    const { result, carries } = wordsAtRunTime(e, { isSub, up, a, b, r })
    e.set(this.carries, carries)
    e.set(this.result, result)
  }

  /** A condition of jcc from operands, or null. */
  known(code: number): I32 | null {
    const { state } = this
    if (state === 'words' || state === 'unknown') return null
    const { what, size } = state
    const [a, b, r] = [this.a.value, this.b.value, this.r.value]
    if (what === 'sub') {
      const found = afterSub(size, code, a, b)
      if (found !== null) return found
    }
    if (what === 'logic') return afterLogic(size, code, r)
    if (what === 'add' && code === 2) return r.zeroExtend(size).ltU(a)
    if (what === 'add' && code === 3) return r.zeroExtend(size).geU(a)
    return afterResult(size, code, r.zeroExtend(size))
  }
}

/** After a bitwise operation CF and OF are clear. */
function afterLogic(size: number, code: number, r: I64): I32 | null {
  const signed = r.signExtend(size)
  switch (code) {
    case 0:
    case 2:
      return i32(0)
    case 1:
    case 3:
      return i32(1)
    case 6:
    case 7:
      return afterResult(size, code - 2, r.zeroExtend(size))
    case 12:
    case 13:
      return afterResult(size, code - 4, r)
    case 14:
      return signed.ltS(1)
    case 15:
      return signed.ltS(1).eqz()
    default:
      return afterResult(size, code, r.zeroExtend(size))
  }
}
