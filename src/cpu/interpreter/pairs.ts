import type { Instruction } from '../../machine/vcpu/instruction.ts'
import { afterResult, afterSub } from '../semantics/conditions.ts'
import { condition, flagsOfLogic, flagsOfSub } from '../semantics/flags.ts'
import type { Handler } from './handlers.ts'
import type { InterpreterEmitter } from './interpreter-emitter.ts'

/**
 * A comparison and the conditional jump behind it, as one handler: what loops are made of. Its record stands before the two
 * plain ones, which run where the budget ends between them. The condition is that of the operands; the flags are set all the
 * same.
 */
const SIZES = [1, 4, 8] as const

function compareAndJump(code: number): (e: InterpreterEmitter) => void {
  return (e) => {
    e.countSecond()
    const b = e.let(e.second())
    const a = e.let(e.destination())
    flagsOfSub(e, a, b, e.let(a.sub(b)))
    e.if(afterSub(e.size, code, a, b) ?? condition(e, code), () => e.jumpDirect())
    e.skip(2)
  }
}

function testAndJump(code: number): (e: InterpreterEmitter) => void {
  return (e) => {
    e.countSecond()
    const b = e.let(e.second())
    const r = e.let(e.destination().and(b))
    flagsOfLogic(e, r)
    e.if(afterResult(e.size, code, r) ?? condition(e, code), () => e.jumpDirect())
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
