import { FunctionBody, type Label, type Local, load32, select, store } from '../../../../wasm/wasm-module.ts'
import { type I32, i32 } from '../../../../wasm/wasm-values.ts'
import { FIELD, POS_STATES, PROB_SHIFT, PROBS, type Table } from './lzma-memory.ts'
import { type Prob, RangeCode } from './range-code.ts'

/** Why decoding has ended. */
export const STATUS = { done: 0, endMarker: 1, beforeBeginning: 2, inputUsedUp: 3 } as const

/** After which of these states literals are coded plainly; after the others by what the last match would have gone on with. */
export const LITERAL_STATES = 7

type Field = keyof typeof FIELD

/** The function that decodes, while it is written: its variables, and the code that all of its parts share. */
export class DecodeFunction {
  readonly f = new FunctionBody(['i32', 'i32'])
  /** The parameters: addresses of the end of the output, and of the input's. */
  readonly end = this.f.parameter<I32>(0)
  readonly inputEnd = this.f.parameter<I32>(1)
  readonly range = new RangeCode(this.f)
  /** The fields, as long as the function runs. */
  readonly r: Readonly<Record<Field, Local<I32>>>
  readonly posState = this.f.local<I32>('i32')
  readonly symbol = this.f.local<I32>('i32')
  readonly length = this.f.local<I32>('i32')
  readonly count = this.f.local<I32>('i32')
  private readonly status = this.f.local<I32>('i32')
  private out: Label = { depth: 0 }

  constructor() {
    const { range, code, from } = this.range
    const others = Object.keys(FIELD).map((name) => [name, this.f.local<I32>('i32')])
    this.r = { ...(Object.fromEntries(others) as Record<Field, Local<I32>>), range, code, from }
  }

  /** The whole of it, around what decodes. */
  around(body: () => void): FunctionBody {
    const { f, r } = this
    const fields = Object.entries(FIELD) as [Field, number][]
    for (const [name, at] of fields) f.set(r[name], load32(i32(0), 4, at))
    f.block((out) => {
      this.out = out
      body()
    })
    for (const [name, at] of fields) f.emit(store(i32(0), r[name].value, 4, at))
    f.return(this.status.value)
    return f
  }

  /** Leave the function when a condition holds. */
  leaveIf(condition: I32, status: number): void {
    this.f.if(condition, () => {
      this.f.set(this.status, i32(status))
      this.f.br(this.out)
    })
  }

  /** A match that reaches below the dictionary is none. */
  leaveIfBeforeBeginning(): void {
    this.leaveIf(this.r.rep0.value.geU(this.position()), STATUS.beforeBeginning)
  }

  /** Bytes since the dictionary began. */
  position(): I32 {
    return this.r.to.value.sub(this.r.dictionary.value)
  }

  byState(table: Table): Prob {
    return { index: this.r.state.value.shl(PROB_SHIFT), table: PROBS[table] }
  }

  byStateAndPosition(table: Table): Prob {
    const row = this.r.state.value.mul(POS_STATES)
    return { index: row.add(this.posState.value).shl(PROB_SHIFT), table: PROBS[table] }
  }

  /** Go on to the state that follows one of a literal, or one of a match. */
  setState(afterLiteral: number, afterMatch: number): void {
    const { state } = this.r
    this.f.set(state, select(state.value.ltU(LITERAL_STATES), i32(afterLiteral), i32(afterMatch)))
  }
}
