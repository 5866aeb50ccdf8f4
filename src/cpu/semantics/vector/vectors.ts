import type { Instruction, Operand } from '../../../machine/vcpu/instruction.ts'
import { fastFloatHandlers } from '../../float/float-fast.ts'
import { load64, store } from '../../wasm/wasm-module.ts'
import { type I32, V128, v128, ZERO_VECTOR } from '../../wasm/wasm-values.ts'
import type { Emitter, Handler, OperandForm } from '../emitter.ts'
import { mmxHandlers, mmxPlan } from './mmx.ts'
import { SHIFTS, VECTOR_OPERATIONS, type VectorShift, vectorShift } from './vector-operations.ts'

/**
 * SSE and SSE2 but for floating-point arithmetic: moves, logic, packed integers, shuffles. Each operation is a function of
 * vectors; the first operand is a register, the second one a register or memory.
 */
const RR_RM: readonly OperandForm[] = ['rr', 'rm']

function handler(key: string, form: OperandForm, write: (e: Emitter) => void): Handler {
  return { key: `${key}${form}`, size: 8, form, write }
}

function forms(key: string, list: readonly OperandForm[], write: (e: Emitter) => void): Handler[] {
  return list.map((form) => handler(key, form, write))
}

/** i8x16.swizzle: bytes of a vector by the numbers in another; a number above 15 gives zero. */
const swizzle = (v: V128, lanes: V128): V128 => v.simd(14, lanes)
const splat8 = (n: I32): V128 => new V128([...n.code, 0xfd, 15])
const IOTA = v128([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c])

const immediate = (e: Emitter): I32 => e.let(e.immediate().wrap().and(0xff))

/** Shifts of a whole register by bytes; from 16 on nothing is left. */
function shiftBytes(left: boolean): (e: Emitter) => void {
  return (e) => {
    const asked = immediate(e)
    const n = splat8(e.let(e.smaller(asked, 16)))
    // Numbers below 0 are above 15 without their sign.
    e.writeVector(swizzle(e.vector(), left ? IOTA.simd(113, n) : IOTA.simd(110, n)))
  }
}

/** The bytes of double word `k` of a shuffle: four times its two bits of the immediate, and 0 to 3. */
const wordLanes = (imm: I32, k: number): I32 =>
  imm
    .shr(2 * k)
    .and(3)
    .mul(0x04040404)
    .add(0x03020100)
/** The same of two words, `k` and the next. */
function halfLanes(imm: I32, k: number, base: number): I32 {
  const one = (n: number): I32 =>
    imm
      .shr(2 * n)
      .and(3)
      .mul(0x0202)
      .add(0x0100 + base * 0x0101)
  return one(k).or(one(k + 1).shl(16))
}

function shuffleWords(e: Emitter): void {
  const imm = immediate(e)
  let lanes = ZERO_VECTOR
  for (let k = 0; k < 4; k++) lanes = lanes.withLane32(k, wordLanes(imm, k))
  e.writeVector(swizzle(e.vectorSource(16), lanes))
}

function shuffleHalves(high: boolean): (e: Emitter) => void {
  return (e) => {
    const imm = immediate(e)
    const at = high ? 2 : 0
    const base = high ? 8 : 0
    const lanes = IOTA.withLane32(at, halfLanes(imm, 0, base)).withLane32(at + 1, halfLanes(imm, 2, base))
    e.writeVector(swizzle(e.vectorSource(16), lanes))
  }
}

/** shufps: two words of the destination, then two of the source. */
function shuffleSingles(e: Emitter): void {
  const imm = immediate(e)
  const b = e.let(e.vectorSource(16))
  let lanes = ZERO_VECTOR
  for (let k = 0; k < 4; k++) lanes = lanes.withLane32(k, wordLanes(imm, k))
  const chosen = e.let(lanes)
  const low = swizzle(e.vector(), chosen)
  e.writeVector(low.withLane64(1, swizzle(b, chosen).lane64(1)))
}

function shuffleDoubles(e: Emitter): void {
  const imm = immediate(e)
  const b = e.let(e.vectorSource(16))
  const a = e.let(e.vector())
  const low = e.choose(imm.and(1), a.lane64(1), a.lane64(0))
  const high = e.choose(imm.and(2), b.lane64(1), b.lane64(0))
  e.writeVector(ZERO_VECTOR.withLane64(0, low).withLane64(1, high))
}

const MOVES: readonly Handler[] = [
  // Whole registers; the aligned forms raise #GP where the others do not care.
  ...forms('movups', RR_RM, (e) => e.writeVector(e.vectorSource(16, false))),
  ...forms('movaps', RR_RM, (e) => e.writeVector(e.vectorSource(16))),
  handler('movups', 'mr', (e) => e.storeVector(e.secondVector(), false)),
  handler('movaps', 'mr', (e) => e.storeVector(e.secondVector(), true)),
  // Scalars: from memory they clear the rest, from a register they leave it.
  handler('movss', 'rr', (e) => e.writeVector(e.vector().withLane32(0, e.secondVector().lane32(0)))),
  handler('movss', 'rm', (e) => e.writeVector(e.vectorSource(4))),
  handler('movss', 'mr', (e) => e.store(e.address(), e.secondVector().lane32(0), 4)),
  handler('movsd', 'rr', (e) => e.writeVector(e.vector().withLane64(0, e.secondVector().lane64(0)))),
  handler('movsd', 'rm', (e) => e.writeVector(e.vectorSource(8))),
  handler('movlow', 'rm', (e) => {
    const value = e.let(e.load(e.address(), 8))
    e.writeVector(e.vector().withLane64(0, value))
  }),
  handler('movlow', 'mr', (e) => e.store(e.address(), e.secondVector().lane64(0), 8)),
  handler('movhigh', 'rm', (e) => {
    const value = e.let(e.load(e.address(), 8))
    e.writeVector(e.vector().withLane64(1, value))
  }),
  handler('movhigh', 'mr', (e) => e.store(e.address(), e.secondVector().lane64(1), 8)),
  handler('movhlps', 'rr', (e) => e.writeVector(e.vector().withLane64(0, e.secondVector().lane64(1)))),
  handler('movlhps', 'rr', (e) => e.writeVector(e.vector().withLane64(1, e.secondVector().lane64(0)))),
  handler('movq', 'rr', (e) => e.writeVector(ZERO_VECTOR.withLane64(0, e.secondVector().lane64(0)))),
  handler('movq', 'rm', (e) => e.writeVector(e.vectorSource(8))),
  ...[4, 8].flatMap((bytes) => [
    handler(`movd${bytes}to`, 'rr', (e) => e.writeVector(e.vectorFromSecond(bytes))),
    handler(`movd${bytes}to`, 'rm', (e) => e.writeVector(e.vectorSource(bytes))),
    handler(`movd${bytes}from`, 'rr', (e) => e.writeAs(e.secondVector().lane64(0), bytes)),
    handler(`movd${bytes}from`, 'mr', (e) => e.store(e.address(), e.secondVector().lane64(0), bytes)),
  ]),
]

const OTHERS: readonly Handler[] = [
  ...forms('pshufd', RR_RM, shuffleWords),
  ...forms('pshuflw', RR_RM, shuffleHalves(false)),
  ...forms('pshufhw', RR_RM, shuffleHalves(true)),
  ...forms('shufps', RR_RM, shuffleSingles),
  ...forms('shufpd', RR_RM, shuffleDoubles),
  handler('pslldq', 'rr', shiftBytes(true)),
  handler('psrldq', 'rr', shiftBytes(false)),
  handler('movmskps', 'rr', (e) => e.writeAs(e.secondVector().bits(164).extend(), 4)),
  handler('movmskpd', 'rr', (e) => e.writeAs(e.secondVector().bits(196).extend(), 4)),
  handler('pmovmskb', 'rr', (e) => e.writeAs(e.secondVector().bits(100).extend(), 4)),
  // A word of a register is a place in memory.
  handler('pinsrw', 'rr', (e) => e.emit(store(wordOf(e, e.firstPlace()), e.second(), 2))),
  handler('pinsrw', 'rm', (e) => {
    const value = e.let(e.load(e.address(), 2))
    e.emit(store(wordOf(e, e.firstPlace()), value, 2))
  }),
  handler('pextrw', 'rr', (e) => e.writeAs(load64(wordOf(e, e.secondPlace()), 2), 4)),
]

function wordOf(e: Emitter, place: I32): I32 {
  return place.add(e.immediate().wrap().and(7).shl(1))
}

function shiftHandlers(name: string, shift: VectorShift): Handler[] {
  return [
    ...forms(name, RR_RM, (e) => {
      const count = e.let(e.vectorSource(16).lane64(0))
      e.writeVector(vectorShift(e, e.vector(), shift, count))
    }),
    handler(`${name}imm`, 'rr', (e) => {
      const count = e.let(e.immediate().and(0xff))
      e.writeVector(vectorShift(e, e.vector(), shift, count))
    }),
  ]
}

export function vectorHandlers(): Handler[] {
  return [
    ...MOVES,
    ...OTHERS,
    ...Object.entries(VECTOR_OPERATIONS).flatMap(([name, operation]) =>
      forms(name, RR_RM, (e) => {
        const b = e.let(e.vectorSource(16))
        e.writeVector(operation(e.let(e.vector()), b))
      }),
    ),
    ...Object.entries(SHIFTS).flatMap(([name, shift]) => shiftHandlers(name, shift)),
    ...fastFloatHandlers(),
    ...mmxHandlers(),
  ]
}

/** Names that share a handler: what they move is only bits. */
const SAME: Readonly<Record<string, string>> = {
  movupd: 'movups',
  movdqu: 'movups',
  movapd: 'movaps',
  movdqa: 'movaps',
  movntps: 'movaps',
  movntpd: 'movaps',
  movntdq: 'movaps',
  movlpd: 'movlow',
  movlps: 'movlow',
  movhpd: 'movhigh',
  movhps: 'movhigh',
  andpd: 'pand',
  andps: 'pand',
  andnpd: 'pandn',
  andnps: 'pandn',
  orpd: 'por',
  orps: 'por',
  xorpd: 'pxor',
  xorps: 'pxor',
  unpcklpd: 'punpcklqdq',
  unpckhpd: 'punpckhqdq',
  unpcklps: 'punpckldq',
  unpckhps: 'punpckhdq',
}

export type VectorPlan = { key: string; a: number; b: number; memory: number }

const KEYS = new Set(vectorHandlers().map((h) => h.key))

/** The handler of a vector instruction, or null when it has none here. */
export function vectorKey(i: Instruction): VectorPlan | null {
  const { operands } = i
  const mmx = operands.find((o) => o.kind === 'register' && o.class === 'mmx')
  if (mmx !== undefined || i.name === 'emms') return mmxPlan(i)
  const [to, from] = operands
  if (to === undefined) return null
  const name = nameOf(i)
  if (from?.kind === 'immediate') return known({ key: `${name}immrr`, a: 0, b: -1, memory: -1 }, name)
  if (to.kind === 'memory') return known({ key: `${name}mr`, a: -1, b: 1, memory: 0 }, name)
  if (from?.kind === 'memory') return known({ key: `${name}rm`, a: 0, b: -1, memory: 1 }, name)
  return known({ key: `${name}rr`, a: 0, b: 1, memory: -1 }, name)
}

const sizeOf = (operand: Operand): number => (operand.kind === 'target' ? 0 : operand.size)

function nameOf(i: Instruction): string {
  const conversion = /^cvtsi2(s[sd])$|^cvtt(s[sd])2si$/.exec(i.name)
  if (conversion?.[1] !== undefined) return `cvtsi${sizeOf(i.operands[1])}2${conversion[1]}`
  if (conversion?.[2] !== undefined) return `cvtt${conversion[2]}2si${sizeOf(i.operands[0])}`
  const to = i.operands[0]
  if (i.name === 'movd') {
    const isTo = to.kind === 'register' && to.class === 'xmm'
    return `movd${i.size === 8 ? 8 : 4}${isTo ? 'to' : 'from'}`
  }
  if ((i.name === 'movsd' || i.name === 'movq') && to.kind === 'memory') return 'movlow'
  return SAME[i.name] ?? i.name
}

function known(plan: VectorPlan, name: string): VectorPlan | null {
  if (KEYS.has(plan.key)) return plan
  // pslldq and psrldq have only the immediate form.
  const plain = { ...plan, key: `${name}rr` }
  return plan.key.endsWith('immrr') && KEYS.has(plain.key) ? plain : null
}
