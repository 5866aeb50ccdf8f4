import { select } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i64 } from '../../wasm/wasm-values.ts'
import { AF, CF, OF, PF, SF, ZF } from '../state.ts'
import type { Build, Emitter } from './emitter.ts'

/**
 * The arithmetic flags are kept as what they are computed from, so that an instruction sets them with few operations and
 * only a reader pays for those it looks at:
 *
 *     result    64 bits: the result, sign extended. ZF: it is zero. SF: its sign. PF: the parity of its low byte.
 *     carries   32 bits:
 *                31  CF           the carry out of the highest bit
 *                30  PO           the carry into it, so that OF is CF xor PO
 *             15..8  parity byte  PF is the parity of the result's low byte xor this
 *                 3  AF           the carry out of bit 3
 *                 0  sign         SF is the result's sign xor this
 *
 * Bits 0 and 8..15 are for flags that no one result has together, as popf may load.
 */
const CARRY = 0x8000_0000 | 0
const CARRY_IN = 0x4000_0000
const AUXILIARY = 8

/** The two words. */
export type FlagWords = { readonly result: I64; readonly carries: I32 }

/** The two operations whose flags follow from their operands. */
export type Arithmetic = 'add' | 'sub'

/** The words after a + b (+ carry) = r, or a - b (- borrow) = r, of `size` bytes. */
export function wordsOf(size: number, operation: Arithmetic, a: I64, b: I64, r: I64): FlagWords {
  // a - b = r borrows where r + b = a carries.
  const out =
    operation === 'add' ? a.and(b).or(a.or(b).and(r.not())) : a.not().and(b).or(a.xor(b).not().and(r))
  return { result: r.signExtend(size), carries: place(size, out) }
}

/** The same where operation and size are numbers of run time: `up` is 64 minus the bits of the operation. */
export function wordsAtRunTime(
  e: Pick<Build, 'let' | 'choose'>,
  { isSub, up, a, b, r }: { isSub: I32; up: I64; a: I64; b: I64; r: I64 },
): FlagWords {
  const x = e.let(e.choose(isSub, r, a))
  const sum = e.let(e.choose(isSub, a, r))
  const out = e.let(x.and(b).or(x.or(b).and(sum.not())))
  const high = out
    .shl(up)
    .shr(32)
    .wrap()
    .and(CARRY | CARRY_IN)
  return { result: r.shl(up).sar(up), carries: high.or(out.wrap().and(AUXILIARY)) }
}

/** The carries out of each bit, at the places where `carries` has them. */
function place(size: number, out: I64): I32 {
  const low = size === 8 ? out.shr(32).wrap() : out.wrap()
  const high = size === 1 ? low.shl(24) : size === 2 ? low.shl(16) : low
  return high.and(CARRY | CARRY_IN).or(out.wrap().and(AUXILIARY))
}

/** Flags of a + b (+ carry) = r. */
export function flagsOfAdd(e: Emitter, a: I64, b: I64, r: I64): void {
  e.setArithmetic('add', a, b, r)
}

/** Flags of a - b (- borrow) = r. */
export function flagsOfSub(e: Emitter, a: I64, b: I64, r: I64): void {
  e.setArithmetic('sub', a, b, r)
}

/** Flags of a bitwise operation, which are those of 0 + r: CF, OF and AF are clear. */
export function flagsOfLogic(e: Emitter, r: I64): void {
  e.setLogic(r)
}

/** Flags of a + 1 = r or a - 1 = r that leave CF what it was: inc and dec. */
export function flagsOfStep(e: Emitter, operation: Arithmetic, a: I64, r: I64): void {
  if (!e.areFlagsUsed) return
  const old = e.let(carryFlag(e).shl(31))
  const { result, carries } = wordsOf(e.size, operation, a, i64(1), r)
  const now = e.let(carries)
  const into = now.xor(now.shl(1)).xor(old).shr(1).and(CARRY_IN)
  e.setFlagWords({ result, carries: old.or(into).or(now.and(AUXILIARY)) })
}

/** Result flags of `r`, with CF and OF given as 0 or 1; AF is clear. */
export function flagsOfResult(e: Emitter, r: I64, carry: I32, overflow: I32): void {
  if (!e.areFlagsUsed) return
  const c = e.let(carry)
  e.setFlagWords({ result: r.signExtend(e.size), carries: carryBits(c, overflow) })
}

function carryBits(carry: I32, overflow: I32): I32 {
  return carry.shl(31).or(carry.xor(overflow).shl(30))
}

/** CF and OF alone, given as 0 or 1: rotates. */
export function setCarryAndOverflow(e: Emitter, carry: I32, overflow: I32): void {
  if (!e.areFlagsUsed) return
  const c = e.let(carry)
  const { result, carries } = e.flagWords()
  e.setFlagWords({ result, carries: carries.and(~(CARRY | CARRY_IN)).or(carryBits(c, overflow)) })
}

/** CF alone; OF stays what it was. */
export function setCarry(e: Emitter, carry: I32): void {
  if (!e.areFlagsUsed) return
  const c = e.let(carry)
  const overflow = e.let(overflowFlag(e))
  setCarryAndOverflow(e, c, overflow)
}

/** ZF alone; the flags that were computed from the result stay what they were. */
export function setZero(e: Emitter, zero: I32): void {
  if (!e.areFlagsUsed) return
  const keep = e.let(flagBits(e).and(~ZF))
  setFlagBits(e, keep.or(zero.shl(6)))
}

/** CF, as 0 or 1. */
export function carryFlag(e: Emitter): I32 {
  return condition(e, 2)
}

/** OF, as 0 or 1. */
export function overflowFlag(e: Emitter): I32 {
  return condition(e, 0)
}

const carryOf = ({ carries }: FlagWords): I32 => carries.shr(31)
const overflowOf = ({ carries }: FlagWords): I32 => carries.xor(carries.shl(1)).shr(31)
const zeroOf = ({ result }: FlagWords): I32 => result.eqz()
const signOf = ({ result, carries }: FlagWords): I32 => result.shr(63).wrap().xor(carries.and(1))

function parityOf({ result, carries }: FlagWords): I32 {
  return result.wrap().xor(carries.shr(8)).and(0xff).popcnt().and(1).xor(1)
}

/** Each pair of conditions of jcc, setcc and cmovcc, the second of which is the opposite. */
const CONDITIONS: readonly ((words: FlagWords) => I32)[] = [
  overflowOf,
  carryOf,
  zeroOf,
  (w) => carryOf(w).or(zeroOf(w)),
  signOf,
  parityOf,
  (w) => signOf(w).xor(overflowOf(w)),
  (w) => zeroOf(w).or(signOf(w).xor(overflowOf(w))),
]

/** One of the sixteen conditions of jcc, setcc and cmovcc, as 0 or 1. */
export function condition(e: Emitter, code: number): I32 {
  const known = e.knownCondition(code)
  if (known !== null) return known
  const plain = CONDITIONS[code >> 1](e.flagWords())
  return (code & 1) === 0 ? plain : plain.eqz()
}

/** The flags that each of the sixteen conditions reads, as bits of rflags. */
export const CONDITION_FLAGS: readonly number[] = [
  OF,
  CF,
  ZF,
  CF | ZF,
  SF,
  PF,
  SF | OF,
  ZF | SF | OF,
].flatMap((bits) => [bits, bits])

/** CF, PF, AF, ZF, SF and OF where rflags has them. */
export function flagBits(e: Emitter): I32 {
  const w = e.flagWords()
  return carryOf(w)
    .or(parityOf(w).shl(2))
    .or(w.carries.and(AUXILIARY).shl(1))
    .or(zeroOf(w).shl(6))
    .or(signOf(w).shl(7))
    .or(overflowOf(w).shl(11))
}

/** Set all six from where rflags has them. */
export function setFlagBits(e: Emitter, bits: I32): void {
  if (!e.areFlagsUsed) return
  const b = e.let(bits)
  const bit = (flag: number): I32 => b.and(flag).ne(0)
  const c = e.let(bit(CF))
  // The result is 0 or 1; its sign is 0, and its low byte has an odd number of bits when it is 1.
  const parity = bit(PF).eqz().xor(bit(ZF).eqz())
  const carries = carryBits(c, bit(OF)).or(b.and(AF).shr(1)).or(parity.shl(8)).or(bit(SF))
  e.setFlagWords({ result: select(bit(ZF), i64(0), i64(1)), carries })
}

// ---- the same outside the interpreter ----

/** CF, PF, AF, ZF, SF and OF from the kept words. */
export function flagsFromWords(resultLo: number, resultHi: number, carries: number): number {
  let low = (resultLo ^ (carries >>> 8)) & 0xff
  low ^= low >> 4
  low ^= low >> 2
  low ^= low >> 1
  const sign = (resultHi >>> 31) ^ (carries & 1)
  return (
    (carries >>> 31 ? CF : 0) |
    (low & 1 ? 0 : PF) |
    (carries & AUXILIARY ? AF : 0) |
    ((resultLo | resultHi) === 0 ? ZF : 0) |
    (sign ? SF : 0) |
    ((carries ^ (carries << 1)) < 0 ? OF : 0)
  )
}

/** The kept words of flags: the result, which is 0 or 1, and the carries. */
export function wordsFromFlags(flags: number): { result: number; carries: number } {
  const is = (flag: number): number => ((flags & flag) !== 0 ? 1 : 0)
  const result = 1 - is(ZF)
  const parity = 1 - is(PF) === result ? 0 : 1
  const carries = (is(CF) << 31) | ((is(CF) ^ is(OF)) << 30) | (parity << 8) | (is(AF) << 3) | is(SF)
  return { result, carries }
}
