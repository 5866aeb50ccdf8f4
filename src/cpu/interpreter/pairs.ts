import type { Instruction } from '../../machine/vcpu/instruction.ts'
import type { I32, I64 } from '../../wasm/wasm-values.ts'
import type { Emitter } from '../semantics/emitter.ts'
import { condition, flagsOfLogic, flagsOfSub } from '../semantics/flags.ts'
import type { Handler } from './handlers.ts'
import type { InterpreterEmitter } from './interpreter-emitter.ts'

/**
 * A comparison and the conditional jump behind it, as one handler: what loops are made of. Its record stands before the two
 * plain ones, which run where the budget ends between them. The condition is that of the operands; the flags are set all the
 * same.
 */
const SIZES = [1, 4, 8] as const

/** The condition after `cmp a, b`, or null where it takes the flags. */
function afterCompare(e: Emitter, code: number, a: I64, b: I64): I32 | null {
  const [x, y] = [a.signExtend(e.size), b.signExtend(e.size)]
  switch (code) {
    case 2:
      return a.ltU(b)
    case 3:
      return a.geU(b)
    case 4:
      return a.eq(b)
    case 5:
      return a.ne(b)
    case 6:
      return a.leU(b)
    case 7:
      return a.gtU(b)
    case 12:
      return x.ltS(y)
    case 13:
      return x.ltS(y).eqz()
    case 14:
      return y.ltS(x).eqz()
    case 15:
      return y.ltS(x)
    default:
      return null
  }
}

/** The same after `test`, whose result this is. */
function afterTest(e: Emitter, code: number, r: I64): I32 | null {
  switch (code) {
    case 4:
      return r.eqz()
    case 5:
      return r.ne(0)
    case 8:
      return r.signExtend(e.size).ltS(0)
    case 9:
      return r.signExtend(e.size).ltS(0).eqz()
    default:
      return null
  }
}

function compareAndJump(code: number): (e: InterpreterEmitter) => void {
  return (e) => {
    e.countSecond()
    const b = e.let(e.second())
    const a = e.let(e.destination())
    flagsOfSub(e, a, b, e.let(a.sub(b)))
    e.if(afterCompare(e, code, a, b) ?? condition(e, code), () => e.jumpDirect())
    e.skip(2)
  }
}

function testAndJump(code: number): (e: InterpreterEmitter) => void {
  return (e) => {
    e.countSecond()
    const b = e.let(e.second())
    const r = e.let(e.destination().and(b))
    flagsOfLogic(e, r)
    e.if(afterTest(e, code, r) ?? condition(e, code), () => e.jumpDirect())
    e.skip(2)
  }
}

/** A handler for each comparison, size and condition. */
export function pairHandlers(): Handler[] {
  const handlers: Handler[] = []
  for (const size of SIZES) {
    for (let code = 0; code < 16; code++) {
      const pair = { size, form: 'rr', isSimple: false, isNear: true, isKept: false } as const
      handlers.push(
        { ...pair, key: `cmp${size}+j${code}`, write: compareAndJump(code) },
        { ...pair, key: `test${size}+j${code}`, write: testAndJump(code) },
      )
    }
  }
  return handlers
}

/** The handler for two instructions, or null when they are no such pair. */
export function pairKey(first: Instruction, second: Instruction): string | null {
  if ((first.name !== 'cmp' && first.name !== 'test') || second.name !== 'jcc' || first.size === 2)
    return null
  if (first.operands.some(({ kind }) => kind === 'memory')) return null
  return `${first.name}${first.size}+j${second.condition}`
}
