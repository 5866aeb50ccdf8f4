import { code } from '../../../wasm/bytes.ts'
import { load64, store } from '../../../wasm/wasm-module.ts'
import { type I32, V128, v128, ZERO_VECTOR } from '../../../wasm/wasm-values.ts'
import type { Emitter, OperandForm } from '../emitter.ts'
import { byForm, LOADING, ONE_SIZE, REGISTERS, type Semantic, semantic, WRITES_ONE } from '../semantic.ts'
import { SHIFTS, VECTOR_OPERATIONS, type VectorShift, vectorShift } from './vector-operations.ts'

/**
 * SSE and SSE2 but for floating-point arithmetic: moves, logic, packed integers, shuffles. Each operation is a function of
 * vectors; the first operand is a register, the second one a register or memory.
 */
const vector = (name: string, forms: readonly OperandForm[], write: (e: Emitter) => void): Semantic =>
  semantic({ name, sizes: ONE_SIZE, forms, write })

/** i8x16.swizzle: bytes of a vector by the numbers in another; a number above 15 gives zero. */
const swizzle = (v: V128, lanes: V128): V128 => v.simd(14, lanes)
const splat8 = (n: I32): V128 => new V128(n.code + code(0xfd, 15))
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

/** Half of a register, and memory. */
function half(name: string, mnemonics: readonly string[], lane: 0 | 1): Semantic {
  return semantic({
    name,
    mnemonics,
    sizes: ONE_SIZE,
    ...byForm({
      rm: (e) => {
        const value = e.let(e.load(e.address(), 8))
        e.writeVector(e.vector().withLane64(lane, value))
      },
      mr: (e) => e.store(e.address(), e.secondVector().lane64(lane), 8),
    }),
  })
}

/** A whole register; the aligned forms raise #GP where the others do not care. */
function whole(name: string, mnemonics: readonly string[], aligned: boolean): Semantic {
  const load = (e: Emitter): void => e.writeVector(e.vectorSource(16, aligned))
  const store = (e: Emitter): void => e.storeVector(e.secondVector(), aligned)
  return semantic({ name, mnemonics, sizes: ONE_SIZE, ...byForm({ rr: load, rm: load, mr: store }) })
}

const MOVES: readonly Semantic[] = [
  whole('movups', ['movups', 'movupd', 'movdqu'], false),
  whole('movaps', ['movaps', 'movapd', 'movdqa', 'movntps', 'movntpd', 'movntdq'], true),
  // Scalars: from memory they clear the rest, from a register they leave it.
  semantic({
    name: 'movss',
    sizes: ONE_SIZE,
    ...byForm({
      rr: (e) => e.writeVector(e.vector().withLane32(0, e.secondVector().lane32(0))),
      rm: (e) => e.writeVector(e.vectorSource(4)),
      mr: (e) => e.store(e.address(), e.secondVector().lane32(0), 4),
    }),
  }),
  semantic({
    name: 'movsd',
    sizes: ONE_SIZE,
    ...byForm({
      rr: (e) => e.writeVector(e.vector().withLane64(0, e.secondVector().lane64(0))),
      rm: (e) => e.writeVector(e.vectorSource(8)),
    }),
  }),
  half('movlps', ['movlps', 'movlpd'], 0),
  half('movhps', ['movhps', 'movhpd'], 1),
  vector('movhlps', REGISTERS, (e) => e.writeVector(e.vector().withLane64(0, e.secondVector().lane64(1)))),
  vector('movlhps', REGISTERS, (e) => e.writeVector(e.vector().withLane64(1, e.secondVector().lane64(0)))),
  semantic({
    name: 'movq',
    sizes: ONE_SIZE,
    ...byForm({
      rr: (e) => e.writeVector(ZERO_VECTOR.withLane64(0, e.secondVector().lane64(0))),
      rm: (e) => e.writeVector(e.vectorSource(8)),
    }),
  }),
  // movd by its bytes and its direction: select-vector.ts.
  ...[4, 8].flatMap((bytes) => [
    semantic({
      name: `movd ${bytes} to`,
      sizes: ONE_SIZE,
      ...byForm({
        rr: (e) => e.writeVector(e.vectorFromSecond(bytes)),
        rm: (e) => e.writeVector(e.vectorSource(bytes)),
      }),
    }),
    semantic({
      name: `movd ${bytes} from`,
      sizes: ONE_SIZE,
      ...byForm({
        rr: (e) => e.writeAs(e.secondVector().lane64(0), bytes),
        mr: (e) => e.store(e.address(), e.secondVector().lane64(0), bytes),
      }),
    }),
  ]),
]

const OTHERS: readonly Semantic[] = [
  vector('pshufd', LOADING, shuffleWords),
  vector('pshuflw', LOADING, shuffleHalves(false)),
  vector('pshufhw', LOADING, shuffleHalves(true)),
  vector('shufps', LOADING, shuffleSingles),
  vector('shufpd', LOADING, shuffleDoubles),
  semantic({
    name: 'pslldq',
    operands: WRITES_ONE,
    sizes: ONE_SIZE,
    forms: REGISTERS,
    write: shiftBytes(true),
  }),
  semantic({
    name: 'psrldq',
    operands: WRITES_ONE,
    sizes: ONE_SIZE,
    forms: REGISTERS,
    write: shiftBytes(false),
  }),
  vector('movmskps', REGISTERS, (e) => e.writeAs(e.secondVector().bits(164).extend(), 4)),
  vector('movmskpd', REGISTERS, (e) => e.writeAs(e.secondVector().bits(196).extend(), 4)),
  vector('pmovmskb', REGISTERS, (e) => e.writeAs(e.secondVector().bits(100).extend(), 4)),
  // A word of a register is a place in memory.
  semantic({
    name: 'pinsrw',
    sizes: ONE_SIZE,
    ...byForm({
      rr: (e) => e.emit(store(wordOf(e, e.firstPlace()), e.second(), 2)),
      rm: (e) => {
        const value = e.let(e.load(e.address(), 2))
        e.emit(store(wordOf(e, e.firstPlace()), value, 2))
      },
    }),
  }),
  vector('pextrw', REGISTERS, (e) => e.writeAs(load64(wordOf(e, e.secondPlace()), 2), 4)),
]

function wordOf(e: Emitter, place: I32): I32 {
  return place.add(e.immediate().wrap().and(7).shl(1))
}

/** By another register or memory, and by an immediate: select-vector.ts. */
function shifts(name: string, shift: VectorShift): Semantic[] {
  return [
    vector(name, LOADING, (e) => {
      const count = e.let(e.vectorSource(16).lane64(0))
      e.writeVector(vectorShift(e, e.vector(), shift, count))
    }),
    semantic({
      name: `${name} immediate`,
      operands: WRITES_ONE,
      sizes: ONE_SIZE,
      forms: REGISTERS,
      write: (e) => {
        const count = e.let(e.immediate().and(0xff))
        e.writeVector(vectorShift(e, e.vector(), shift, count))
      },
    }),
  ]
}

/** What else does the same to bits, whatever they are meant as. */
const SAME: Readonly<Record<string, readonly string[]>> = {
  pand: ['andps', 'andpd'],
  pandn: ['andnps', 'andnpd'],
  por: ['orps', 'orpd'],
  pxor: ['xorps', 'xorpd'],
  punpcklqdq: ['unpcklpd'],
  punpckhqdq: ['unpckhpd'],
  punpckldq: ['unpcklps'],
  punpckhdq: ['unpckhps'],
}

export const VECTOR_SEMANTICS: readonly Semantic[] = [
  ...MOVES,
  ...OTHERS,
  ...Object.entries(VECTOR_OPERATIONS).map(([name, operation]) =>
    semantic({
      name,
      mnemonics: [name, ...(SAME[name] ?? [])],
      sizes: ONE_SIZE,
      forms: LOADING,
      write: (e) => {
        const b = e.let(e.vectorSource(16))
        e.writeVector(operation(e.let(e.vector()), b))
      },
    }),
  ),
  ...Object.entries(SHIFTS).flatMap(([name, shift]) => shifts(name, shift)),
]
