import { select } from '../../wasm/wasm-module.ts'
import { type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import { CF, FIELD } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { carryFlag, flagsOfAdd, flagsOfLogic, flagsOfStep, flagsOfSub } from './flags.ts'
import {
  ARITHMETIC,
  BOTH,
  type FlagUse,
  flags,
  NO_FLAGS,
  SETS_ARITHMETIC,
  type Semantic,
  semantic,
  WRITES_ONE,
} from './semantic.ts'

/** Addition, subtraction, comparison and bitwise logic, with their flags. */
function addition(withCarry: boolean): (e: Emitter) => void {
  return (e) => {
    const b = e.let(e.source())
    const a = e.let(e.modify())
    const sum = withCarry ? a.add(b).add(carryFlag(e).extend()) : a.add(b)
    const r = e.let(sum)
    e.write(r)
    flagsOfAdd(e, a, b, r)
  }
}

function subtraction(withBorrow: boolean): (e: Emitter) => void {
  return (e) => {
    const b = e.let(e.source())
    const a = e.let(e.modify())
    const difference = withBorrow ? a.sub(b).sub(carryFlag(e).extend()) : a.sub(b)
    const r = e.let(difference)
    e.write(r)
    flagsOfSub(e, a, b, r)
  }
}

function compare(e: Emitter): void {
  const b = e.let(e.source())
  const a = e.let(e.destination())
  flagsOfSub(e, a, b, e.let(a.sub(b)))
}

function logic(combine: (a: I64, b: I64) => I64): (e: Emitter) => void {
  return (e) => {
    const b = e.let(e.source())
    const r = e.let(combine(e.modify(), b))
    e.write(r)
    flagsOfLogic(e, r)
  }
}

function test(e: Emitter): void {
  const b = e.let(e.source())
  flagsOfLogic(e, e.let(e.destination().and(b)))
}

function step(by: 1 | -1): (e: Emitter) => void {
  return (e) => {
    const a = e.let(e.modify())
    const r = e.let(a.add(by))
    e.write(r)
    flagsOfStep(e, by === 1 ? 'add' : 'sub', a, r)
  }
}

function exchangeAndAdd(e: Emitter): void {
  const b = e.let(e.second())
  const a = e.let(e.modify())
  const r = e.let(a.add(b))
  // With the same register twice the sum is what remains. A store can fault, so it comes before.
  if (e.form === 'mr') e.write(r)
  e.writeSecond(a)
  if (e.form === 'rr') e.write(r)
  flagsOfAdd(e, a, b, r)
}

/**
 * cmpxchg writes its destination in either case: what was there when the comparison fails. Whoever emulates a refused store
 * is told what memory has to hold for it to happen.
 */
function compareAndExchange(e: Emitter): void {
  const RAX = 0
  const accumulator = e.let(e.register(RAX, e.size))
  const replacement = e.let(e.second())
  const old = e.let(e.modify())
  const isEqual = e.let(old.eq(accumulator))
  const r = e.let(accumulator.sub(old))
  if (e.form === 'mr') {
    e.setField(FIELD.expects, i32(1))
    e.setField(FIELD.expected, accumulator, 8)
    e.write(select(isEqual, replacement, old))
    e.setField(FIELD.expects, i32(0))
    e.if(isEqual.eqz(), () => e.setRegister(RAX, old, e.size))
  } else {
    e.if(
      isEqual,
      () => e.write(replacement),
      () => e.setRegister(RAX, old, e.size),
    )
  }
  flagsOfSub(e, accumulator, old, r)
}

function negate(e: Emitter): void {
  const a = e.let(e.modify())
  const r = e.let(i64(0).sub(a))
  e.write(r)
  flagsOfSub(e, e.let(i64(0)), a, r)
}

const USES_CARRY = flags({ reads: CF, sets: ARITHMETIC })
const KEEPS_CARRY = flags({ sets: ARITHMETIC & ~CF })

const binary = (name: string, write: (e: Emitter) => void, use = SETS_ARITHMETIC): Semantic =>
  semantic({ name, flags: use, write })

const unary = (name: string, write: (e: Emitter) => void, use: FlagUse): Semantic =>
  semantic({ name, operands: WRITES_ONE, forms: BOTH, flags: use, write })

export const ARITHMETIC_SEMANTICS: readonly Semantic[] = [
  binary('add', addition(false)),
  binary('adc', addition(true), USES_CARRY),
  binary('sub', subtraction(false)),
  binary('sbb', subtraction(true), USES_CARRY),
  binary('cmp', compare),
  binary(
    'and',
    logic((a, b) => a.and(b)),
  ),
  binary(
    'or',
    logic((a, b) => a.or(b)),
  ),
  binary(
    'xor',
    logic((a, b) => a.xor(b)),
  ),
  semantic({ name: 'test', forms: BOTH, flags: SETS_ARITHMETIC, write: test }),
  unary('inc', step(1), KEEPS_CARRY),
  unary('dec', step(-1), KEEPS_CARRY),
  unary('not', (e) => e.write(e.modify().not()), NO_FLAGS),
  unary('neg', negate, SETS_ARITHMETIC),
  semantic({ name: 'xadd', forms: BOTH, flags: SETS_ARITHMETIC, write: exchangeAndAdd }),
  semantic({ name: 'cmpxchg', forms: BOTH, flags: SETS_ARITHMETIC, write: compareAndExchange }),
]
