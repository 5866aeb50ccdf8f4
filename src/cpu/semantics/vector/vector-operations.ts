import { select } from '../../../wasm/wasm-module.ts'
import { type I64, i64, type V128, v128, ZERO_VECTOR } from '../../../wasm/wasm-values.ts'
import type { Emitter } from '../emitter.ts'

/**
 * Packed integer operations of SSE2, as functions of two vectors; MMX has the same on the lower halves. Numbers are
 * WebAssembly's SIMD opcodes.
 */
export type VectorOperation = (a: V128, b: V128) => V128

const simd =
  (opcode: number): VectorOperation =>
  (a, b) =>
    a.simd(opcode, b)

/** Bytes 0..15 are the first vector's, 16..31 the second's. */
const shuffle =
  (...lanes: number[]): VectorOperation =>
  (a, b) =>
    a.shuffle(b, lanes)

/** The elements of both vectors in turn, from byte `from` on. */
function interleave(bytes: number, from: number): VectorOperation {
  const lanes: number[] = []
  for (let at = from; lanes.length < 16; at += bytes) {
    for (let i = 0; i < bytes; i++) lanes.push(at + i)
    for (let i = 0; i < bytes; i++) lanes.push(16 + at + i)
  }
  return shuffle(...lanes)
}

/** The upper halves of eight products of 16 bits. */
function highProducts(low: number, high: number): VectorOperation {
  const odd = [2, 3, 6, 7, 10, 11, 14, 15]
  return (a, b) => a.simd(low, b).shuffle(a.simd(high, b), [...odd, ...odd.map((n) => n + 16)])
}

const LOW_WORDS = v128([0xffff_ffff, 0, 0xffff_ffff, 0])

/** Sums of the eight absolute differences in each half. */
function sumOfDifferences(a: V128, b: V128): V128 {
  const difference = a.simd(115, b).simd(80, b.simd(115, a))
  const words = difference.simd(125).simd(127)
  return words.shift(205, i64(32).wrap()).simd(206, words.simd(78, LOW_WORDS))
}

export const VECTOR_OPERATIONS: Readonly<Record<string, VectorOperation>> = {
  paddb: simd(110),
  paddw: simd(142),
  paddd: simd(174),
  paddq: simd(206),
  psubb: simd(113),
  psubw: simd(145),
  psubd: simd(177),
  psubq: simd(209),
  paddsb: simd(111),
  paddsw: simd(143),
  paddusb: simd(112),
  paddusw: simd(144),
  psubsb: simd(114),
  psubsw: simd(146),
  psubusb: simd(115),
  psubusw: simd(147),
  pmullw: simd(149),
  pmulhw: highProducts(188, 189),
  pmulhuw: highProducts(190, 191),
  pmuludq: (a, b) => a.simd(78, LOW_WORDS).simd(213, b.simd(78, LOW_WORDS)),
  pmaddwd: simd(186),
  psadbw: sumOfDifferences,
  pavgb: simd(123),
  pavgw: simd(155),
  pminub: simd(119),
  pmaxub: simd(121),
  pminsw: simd(150),
  pmaxsw: simd(152),
  pcmpeqb: simd(35),
  pcmpeqw: simd(45),
  pcmpeqd: simd(55),
  pcmpgtb: simd(39),
  pcmpgtw: simd(49),
  pcmpgtd: simd(59),
  pand: simd(78),
  // The complement is of the first operand; WebAssembly's is of the second.
  pandn: (a, b) => b.simd(79, a),
  por: simd(80),
  pxor: simd(81),
  packsswb: simd(101),
  packuswb: simd(102),
  packssdw: simd(133),
  punpcklbw: interleave(1, 0),
  punpcklwd: interleave(2, 0),
  punpckldq: interleave(4, 0),
  punpcklqdq: interleave(8, 0),
  punpckhbw: interleave(1, 8),
  punpckhwd: interleave(2, 8),
  punpckhdq: interleave(4, 8),
  punpckhqdq: interleave(8, 8),
}

/** A shift of all elements: WebAssembly's opcode, their width in bits, and whether it fills with signs. */
export type VectorShift = { readonly opcode: number; readonly bits: number; readonly arithmetic: boolean }

export const SHIFTS: Readonly<Record<string, VectorShift>> = {
  psllw: { opcode: 139, bits: 16, arithmetic: false },
  pslld: { opcode: 171, bits: 32, arithmetic: false },
  psllq: { opcode: 203, bits: 64, arithmetic: false },
  psrlw: { opcode: 141, bits: 16, arithmetic: false },
  psrld: { opcode: 173, bits: 32, arithmetic: false },
  psrlq: { opcode: 205, bits: 64, arithmetic: false },
  psraw: { opcode: 140, bits: 16, arithmetic: true },
  psrad: { opcode: 172, bits: 32, arithmetic: true },
}

/** A count that is too large leaves nothing, or signs. WebAssembly would take it modulo the width. */
export function vectorShift(e: Emitter, value: V128, shift: VectorShift, count: I64): V128 {
  const isLarge = count.gtU(shift.bits - 1)
  if (shift.arithmetic) {
    return value.shift(shift.opcode, select(isLarge, i64(shift.bits - 1), count).wrap())
  }
  return select(isLarge, ZERO_VECTOR, e.let(value.shift(shift.opcode, count.wrap())))
}
