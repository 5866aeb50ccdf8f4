import { load64, store } from '../../../wasm/wasm-module.ts'
import { type I32, type I64, i32, type V128, ZERO_VECTOR } from '../../../wasm/wasm-values.ts'
import { FIELD } from '../../state.ts'
import type { Emitter, OperandForm } from '../emitter.ts'
import {
  LOADING,
  NO_OPERANDS,
  ONE_SIZE,
  REGISTERS,
  type Roles,
  type Semantic,
  semantic,
  WRITES_ONE,
} from '../semantic.ts'
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

/** Names begin with `mmx`, as the same mnemonics without are of xmm registers. */
function mmx(
  name: string,
  forms: readonly OperandForm[],
  write: (e: Emitter) => void,
  operands?: Roles,
): Semantic {
  return semantic({
    name: `mmx ${name}`,
    sizes: ONE_SIZE,
    forms,
    ...(operands === undefined ? {} : { operands }),
    write: (e) => {
      begin(e)
      write(e)
    },
  })
}

function binary(name: string, operation: VectorOperation): Semantic {
  const bytes = /^punpckl/.test(name) ? 4 : 8
  return mmx(name, LOADING, (e) => {
    const b = e.let(vectorOf(source(e, bytes)))
    const r = e.let(operation(e.let(first(e)), b).lane64(0))
    writeMmx(e, e.firstPlace(), r)
  })
}

function shifts(): Semantic[] {
  return Object.entries(SHIFTS).flatMap(([name, shift]) => {
    const by = (count: (e: Emitter) => I64) => (e: Emitter) => {
      const n = e.let(count(e))
      writeMmx(e, e.firstPlace(), e.let(vectorShift(e, first(e), shift, n).lane64(0)))
    }
    return [
      mmx(
        name,
        LOADING,
        by((e) => source(e, 8)),
      ),
      mmx(
        `${name} immediate`,
        REGISTERS,
        by((e) => e.immediate().and(0xff)),
        WRITES_ONE,
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

/** movd to memory or a general register. */
function storeLow(bytes: number): (e: Emitter) => void {
  return (e) => {
    if (e.form === 'mr') e.store(e.address(), load64(e.secondPlace(), bytes), bytes)
    else e.writeAs(load64(e.secondPlace(), bytes), bytes)
    enter(e)
  }
}

const OTHERS: readonly Semantic[] = [
  mmx('pshufw', LOADING, shuffle),
  mmx('movq', LOADING, (e) => writeMmx(e, e.firstPlace(), e.let(source(e, 8)))),
  // movd by its bytes and its direction: select-vector.ts.
  mmx('movd 4 to', LOADING, (e) => {
    const value = e.form === 'rm' ? e.load(e.address(), 4) : load64(e.secondPlace(), 4)
    writeMmx(e, e.firstPlace(), e.let(value))
  }),
  mmx('movd 8 to', LOADING, (e) => writeMmx(e, e.firstPlace(), e.let(source(e, 8)))),
  mmx('movd 4 from', ['rr', 'mr'], storeLow(4)),
  mmx('movd 8 from', ['rr', 'mr'], storeLow(8)),
  mmx('pmovmskb', REGISTERS, (e) => {
    e.writeAs(vectorOf(load64(e.secondPlace(), 8)).bits(100).extend(), 4)
    enter(e)
  }),
  mmx('pinsrw', LOADING, (e) => {
    const value = e.let(e.form === 'rm' ? e.load(e.address(), 2) : load64(e.secondPlace(), 2))
    e.emit(store(wordOf(e, e.firstPlace()), value, 2))
    writeMmx(e, e.firstPlace(), load64(e.firstPlace(), 8))
  }),
  mmx('pextrw', REGISTERS, (e) => {
    e.writeAs(load64(wordOf(e, e.secondPlace()), 2), 4)
    enter(e)
  }),
  mmx('movdq2q', REGISTERS, (e) => writeMmx(e, e.firstPlace(), load64(e.secondPlace(), 8))),
  mmx('movq2dq', REGISTERS, (e) => {
    e.writeVector(vectorOf(load64(e.secondPlace(), 8)))
    enter(e)
  }),
  {
    ...mmx('emms', REGISTERS, (e) => {
      enter(e)
      e.setField(FIELD.tagWord, i32(0))
    }),
    mnemonics: ['emms'],
    operands: NO_OPERANDS,
  },
]

export const MMX_SEMANTICS: readonly Semantic[] = [
  ...Object.entries(VECTOR_OPERATIONS)
    .filter(([name]) => !SSE2_ONLY.has(name))
    .map(([name, operation]) => binary(name, OWN[name] ?? operation)),
  ...shifts(),
  ...OTHERS,
]
