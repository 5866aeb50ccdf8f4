import { FIELD } from '../state.ts'
import { select } from '../wasm/wasm-module.ts'
import { type I64, i32, i64 } from '../wasm/wasm-values.ts'
import { ALL_FORMS, BOTH, type Emitter, type Handler, operation, SIZES, withSimple } from './emitter.ts'
import { carryFlag, flagsOfAdd, flagsOfLogic, flagsOfSub, keepCarry } from './flags.ts'

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
    const before = e.let(e.carries.value)
    const a = e.let(e.modify())
    const r = e.let(a.add(by))
    e.write(r)
    if (by === 1) flagsOfAdd(e, a, i64(1), r)
    else flagsOfSub(e, a, i64(1), r)
    keepCarry(e, before)
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

export function arithmeticHandlers(): Handler[] {
  return [
    ...withSimple(operation('add', SIZES, ALL_FORMS, addition(false))),
    ...operation('adc', SIZES, ALL_FORMS, addition(true)),
    ...operation('sub', SIZES, ALL_FORMS, subtraction(false)),
    ...operation('sbb', SIZES, ALL_FORMS, subtraction(true)),
    ...withSimple(operation('cmp', SIZES, ALL_FORMS, compare)),
    ...operation(
      'and',
      SIZES,
      ALL_FORMS,
      logic((a, b) => a.and(b)),
    ),
    ...operation(
      'or',
      SIZES,
      ALL_FORMS,
      logic((a, b) => a.or(b)),
    ),
    ...operation(
      'xor',
      SIZES,
      ALL_FORMS,
      logic((a, b) => a.xor(b)),
    ),
    ...operation('test', SIZES, BOTH, test),
    ...operation('inc', SIZES, BOTH, step(1)),
    ...operation('dec', SIZES, BOTH, step(-1)),
    ...operation('not', SIZES, BOTH, (e) => e.write(e.modify().not())),
    ...operation('neg', SIZES, BOTH, (e) => {
      const a = e.let(e.modify())
      const r = e.let(i64(0).sub(a))
      e.write(r)
      flagsOfSub(e, e.let(i64(0)), a, r)
    }),
    ...operation('xadd', SIZES, BOTH, exchangeAndAdd),
    ...operation('cmpxchg', SIZES, BOTH, compareAndExchange),
  ]
}
