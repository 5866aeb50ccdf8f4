import type { Instruction } from '../../../machine/vcpu/instruction.ts'
import { FIELD } from '../../state.ts'
import { load64, store } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32, type V128, ZERO_VECTOR } from '../../wasm/wasm-values.ts'
import type { Emitter, Handler, OperandForm } from '../emitter.ts'
import { SHIFTS, VECTOR_OPERATIONS, type VectorOperation, vectorShift } from './vector-operations.ts'

/**
 * MMX: the operations of SSE2 on the 64-bit significands of the x87 registers. Using one makes all of them valid, with the
 * top of the stack at 0; writing one fills its exponent with ones.
 */
const FLOATING_POINT_ERROR = 16
const EXCEPTION_SUMMARY = 0x80
const TOP = 0x3800

function begin(e: Emitter): void {
  e.if(e.field(FIELD.statusWord).and(EXCEPTION_SUMMARY), () => e.raise(FLOATING_POINT_ERROR))
}

function enter(e: Emitter): void {
  e.setField(FIELD.statusWord, e.field(FIELD.statusWord).and(~TOP))
  e.setField(FIELD.tagWord, i32(0xff))
}

const vectorOf = (value: I64): V128 => ZERO_VECTOR.withLane64(0, value)

function writeMmx(e: Emitter, place: I32, value: I64): void {
  e.emit(store(place, value, 8))
  e.emit(store(place, i32(0xffff), 2, 8))
  enter(e)
}

function first(e: Emitter): V128 {
  return vectorOf(load64(e.firstPlace(), 8))
}

/** The second operand: a register, or `bytes` bytes of memory. */
function source(e: Emitter, bytes: number): I64 {
  return e.form === 'rm' ? e.load(e.address(), bytes) : load64(e.secondPlace(), 8)
}

/** The lower halves of both vectors, side by side. */
const sideBySide = (a: V128, b: V128): V128 => a.withLane64(1, b.lane64(0))

/** What differs from the lower half of the operation on whole vectors. */
const OWN: Readonly<Record<string, VectorOperation>> = {
  packsswb: (a, b) => sideBySide(a, b).simd(101, ZERO_VECTOR),
  packuswb: (a, b) => sideBySide(a, b).simd(102, ZERO_VECTOR),
  packssdw: (a, b) => sideBySide(a, b).simd(133, ZERO_VECTOR),
  punpckhbw: (a, b) => vectorOf(VECTOR_OPERATIONS.punpcklbw(a, b).lane64(1)),
  punpckhwd: (a, b) => vectorOf(VECTOR_OPERATIONS.punpcklwd(a, b).lane64(1)),
  punpckhdq: (a, b) => vectorOf(VECTOR_OPERATIONS.punpckldq(a, b).lane64(1)),
}

const SSE2_ONLY = new Set(['punpcklqdq', 'punpckhqdq'])

function handler(name: string, form: OperandForm, write: (e: Emitter) => void): Handler {
  return {
    key: `mmx ${name}${form}`,
    size: 8,
    form,
    write: (e) => {
      begin(e)
      write(e)
    },
  }
}

function binary(name: string, operation: VectorOperation): Handler[] {
  const bytes = /^punpckl/.test(name) ? 4 : 8
  return (['rr', 'rm'] as const).map((form) =>
    handler(name, form, (e) => {
      const b = e.let(vectorOf(source(e, bytes)))
      const r = e.let(operation(e.let(first(e)), b).lane64(0))
      writeMmx(e, e.firstPlace(), r)
    }),
  )
}

function shifts(): Handler[] {
  return Object.entries(SHIFTS).flatMap(([name, shift]) => {
    const by = (count: (e: Emitter) => I64) => (e: Emitter) => {
      const n = e.let(count(e))
      writeMmx(e, e.firstPlace(), e.let(vectorShift(e, first(e), shift, n).lane64(0)))
    }
    return [
      handler(
        name,
        'rr',
        by((e) => source(e, 8)),
      ),
      handler(
        name,
        'rm',
        by((e) => source(e, 8)),
      ),
      handler(
        `${name}imm`,
        'rr',
        by((e) => e.immediate().and(0xff)),
      ),
    ]
  })
}

/** pshufw: each word of the result by two bits of the immediate. */
function shuffle(e: Emitter): void {
  const value = e.let(source(e, 8))
  const imm = e.let(e.immediate())
  let r: I64 | null = null
  for (let k = 0; k < 4; k++) {
    const from = imm
      .shr(2 * k)
      .and(3)
      .shl(4)
    const word = value
      .shr(from)
      .and(0xffff)
      .shl(16 * k)
    r = r === null ? word : r.or(word)
  }
  writeMmx(e, e.firstPlace(), e.let(r as I64))
}

const wordOf = (e: Emitter, place: I32): I32 => place.add(e.immediate().wrap().and(3).shl(1))

const OTHERS: readonly Handler[] = [
  ...(['rr', 'rm'] as const).flatMap((form) => [
    handler('pshufw', form, shuffle),
    handler('movq', form, (e) => writeMmx(e, e.firstPlace(), e.let(source(e, 8)))),
    handler('movd4to', form, (e) => {
      const value = form === 'rm' ? e.load(e.address(), 4) : load64(e.secondPlace(), 4)
      writeMmx(e, e.firstPlace(), e.let(value))
    }),
    handler('movd8to', form, (e) => writeMmx(e, e.firstPlace(), e.let(source(e, 8)))),
  ]),
  ...[4, 8].flatMap((bytes) => [
    handler(`movd${bytes}from`, 'rr', (e) => {
      e.writeAs(load64(e.secondPlace(), bytes), bytes)
      enter(e)
    }),
    handler(`movd${bytes}from`, 'mr', (e) => {
      e.store(e.address(), load64(e.secondPlace(), bytes), bytes)
      enter(e)
    }),
  ]),
  handler('pmovmskb', 'rr', (e) => {
    e.writeAs(vectorOf(load64(e.secondPlace(), 8)).bits(100).extend(), 4)
    enter(e)
  }),
  ...(['rr', 'rm'] as const).map((form) =>
    handler('pinsrw', form, (e) => {
      const value = e.let(form === 'rm' ? e.load(e.address(), 2) : load64(e.secondPlace(), 2))
      e.emit(store(wordOf(e, e.firstPlace()), value, 2))
      writeMmx(e, e.firstPlace(), load64(e.firstPlace(), 8))
    }),
  ),
  handler('pextrw', 'rr', (e) => {
    e.writeAs(load64(wordOf(e, e.secondPlace()), 2), 4)
    enter(e)
  }),
  handler('movdq2q', 'rr', (e) => writeMmx(e, e.firstPlace(), load64(e.secondPlace(), 8))),
  handler('movq2dq', 'rr', (e) => {
    e.writeVector(vectorOf(load64(e.secondPlace(), 8)))
    enter(e)
  }),
  handler('emms', 'rr', (e) => {
    enter(e)
    e.setField(FIELD.tagWord, i32(0))
  }),
]

export function mmxHandlers(): Handler[] {
  return [
    ...Object.entries(VECTOR_OPERATIONS)
      .filter(([name]) => !SSE2_ONLY.has(name))
      .flatMap(([name, operation]) => binary(name, OWN[name] ?? operation)),
    ...shifts(),
    ...OTHERS,
  ]
}

const KEYS = new Set(mmxHandlers().map((h) => h.key))

/** The handler of an MMX instruction, or null. */
export function mmxPlan(i: Instruction): { key: string; a: number; b: number; memory: number } | null {
  const [to, from] = i.operands
  let { name } = i
  if (name === 'emms') return { key: 'mmx emmsrr', a: -1, b: -1, memory: -1 }
  if (name === 'movd') {
    const isTo = to.kind === 'register' && to.class === 'mmx'
    name = `movd${i.size === 8 ? 8 : 4}${isTo ? 'to' : 'from'}`
  } else if ((name === 'movq' || name === 'movntq') && to.kind === 'memory') {
    name = 'movd8from'
  }
  const plan =
    to.kind === 'memory'
      ? { key: `mmx ${name}mr`, a: -1, b: 1, memory: 0 }
      : from.kind === 'memory'
        ? { key: `mmx ${name}rm`, a: 0, b: -1, memory: 1 }
        : from.kind === 'immediate'
          ? { key: `mmx ${name}immrr`, a: 0, b: -1, memory: -1 }
          : { key: `mmx ${name}rr`, a: 0, b: 1, memory: -1 }
  return KEYS.has(plan.key) ? plan : null
}
