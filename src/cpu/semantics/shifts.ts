import { select } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import { CF, OF } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { carryFlag, flagsOfResult, setCarryAndOverflow } from './flags.ts'
import { ARITHMETIC, BOTH, flags, type Semantic, semantic, WIDE } from './semantic.ts'

/** Shifts, rotates and double shifts. A count of 0 leaves every flag alone. */

const bitsOf = (e: Emitter): number => e.size * 8

/** The count, of which the processor uses five bits, or six for 64-bit operands. */
function countOf(e: Emitter, count: I64): I64 {
  return e.let(count.and(e.size === 8 ? 63 : 31))
}

const bit = (value: I64, n: I64 | number): I32 => value.shr(n).wrap().and(1)

/** The highest bit of an operand, and the one below. */
const sign = (e: Emitter, value: I64): I32 => bit(value, bitsOf(e) - 1)
const belowSign = (e: Emitter, value: I64): I32 => bit(value, bitsOf(e) - 2)

type Shifted = { r: I64; carry: I32; overflow: (r: I64, carry: I32) => I32 }

function shift(compute: (e: Emitter, a: I64, count: I64) => Shifted): (e: Emitter) => void {
  return (e) => {
    const count = countOf(e, e.second())
    const a = e.let(e.modify())
    const { r, carry, overflow } = compute(e, a, count)
    const result = e.let(r)
    e.write(result)
    e.if(count.ne(0), () => {
      const c = e.let(carry)
      flagsOfResult(e, result, c, overflow(result, c))
    })
  }
}

function rotate(compute: (e: Emitter, a: I64, count: I64) => Shifted): (e: Emitter) => void {
  return (e) => {
    const count = countOf(e, e.second())
    const a = e.let(e.modify())
    const { r, carry, overflow } = compute(e, a, count)
    const result = e.let(r)
    e.write(result)
    e.if(count.ne(0), () => {
      const c = e.let(carry)
      setCarryAndOverflow(e, c, overflow(result, c))
    })
  }
}

const shl = shift((e, a, count) => ({
  r: a.shl(count),
  carry: bit(a.shl(count.sub(1)), bitsOf(e) - 1),
  overflow: (r, c) => sign(e, r).xor(c),
}))

const shr = shift((e, a, count) => ({
  r: a.shr(count),
  carry: bit(a.shr(count.sub(1)), 0),
  overflow: (r) => belowSign(e, r).xor(sign(e, r)),
}))

const sar = shift((e, a, count) => {
  const wide = e.let(a.signExtend(e.size))
  return { r: wide.sar(count), carry: bit(wide.sar(count.sub(1)), 0), overflow: () => i32(0) }
})

/** An operand turned left by a count; narrow ones are repeated across 64 bits first. */
function turnLeft(e: Emitter, a: I64, count: I64): I64 {
  if (e.size === 8) return a.rotl(count)
  const n = e.let(count.and(bitsOf(e) - 1))
  return a
    .shl(n)
    .or(a.shr(i64(bitsOf(e)).sub(n)))
    .zeroExtend(e.size)
}

const rol = rotate((e, a, count) => ({
  r: turnLeft(e, a, count),
  carry: bit(turnLeft(e, a, count), 0),
  overflow: (r, c) => sign(e, r).xor(c),
}))

const ror = rotate((e, a, count) => {
  const r = e.let(turnLeft(e, a, e.let(i64(64).sub(count))))
  return { r, carry: sign(e, r), overflow: () => sign(e, r).xor(belowSign(e, r)) }
})

/** Rotates through CF are those of a number one bit longer. */
function rotateThroughCarry(left: boolean): (e: Emitter) => void {
  return (e) => {
    const masked = countOf(e, e.second())
    const count = e.size <= 2 ? e.let(masked.remU(bitsOf(e) + 1)) : masked
    const a = e.let(e.modify())
    const before = e.let(carryFlag(e).extend())
    const bits = bitsOf(e)
    let r: I64
    let carry: I32
    if (e.size === 8) {
      // The far part is shifted by 65 - count, which for a count of 1 is all of it: hence in two steps.
      const rest = e.let(i64(64).sub(count))
      const near = left ? a.shl(count) : a.shr(count)
      const far = left ? a.shr(1).shr(rest) : a.shl(1).shl(rest)
      const middle = left ? before.shl(count.sub(1)) : before.shl(rest)
      const turned = near.or(far).or(middle)
      r = e.let(select(count.eqz(), a, turned))
      carry = left ? bit(a, rest) : bit(a, count.sub(1))
    } else {
      const long = e.let(a.or(before.shl(bits)))
      const other = i64(bits + 1).sub(count)
      const turned = left ? long.shl(count).or(long.shr(other)) : long.shr(count).or(long.shl(other))
      r = e.let(turned)
      carry = bit(r, bits)
    }
    e.write(r)
    e.if(count.ne(0), () => {
      const c = e.let(carry)
      setCarryAndOverflow(e, c, left ? sign(e, r).xor(c) : sign(e, r).xor(belowSign(e, r)))
    })
  }
}

/** shld and shrd: bits come in from a register. The count is an immediate or cl. */
function doubleShift(left: boolean, fromCl: boolean): (e: Emitter) => void {
  return (e) => {
    const RCX = 1
    const count = countOf(e, fromCl ? e.register(RCX, 1) : e.immediate())
    const b = e.let(e.second())
    const a = e.let(e.modify())
    const bits = bitsOf(e)
    let r: I64
    let carry: I32
    if (e.size === 2) {
      // A count above 16 goes on with the destination itself, as processors do.
      const long = e.let(a.shl(32).or(b.shl(16)).or(a))
      r = e.let(left ? long.shl(count).shr(32) : long.shr(count))
      carry = left ? bit(long.shl(count), 48) : bit(long.shr(count.sub(1)), 0)
    } else {
      const rest = e.let(i64(bits).sub(count))
      const isZero = count.eqz()
      const turned = left ? a.shl(count).or(b.shr(rest)) : a.shr(count).or(b.shl(rest))
      r = e.let(select(isZero, a, turned))
      carry = left ? bit(a, rest) : bit(a, count.sub(1))
    }
    e.write(r)
    e.if(count.ne(0), () => flagsOfResult(e, r, carry, sign(e, r).xor(sign(e, a))))
  }
}

const SHIFTS = flags({ maySet: ARITHMETIC })
const ROTATES = flags({ maySet: CF | OF })
const ROTATES_CARRY = flags({ reads: CF, maySet: CF | OF })

/** `shld` and `shrd` by where their count is: select.ts. */
export const SHIFT_SEMANTICS: readonly Semantic[] = [
  semantic({ name: 'shl', forms: BOTH, flags: SHIFTS, write: shl }),
  semantic({ name: 'shr', forms: BOTH, flags: SHIFTS, write: shr }),
  semantic({ name: 'sar', forms: BOTH, flags: SHIFTS, write: sar }),
  semantic({ name: 'rol', forms: BOTH, flags: ROTATES, write: rol }),
  semantic({ name: 'ror', forms: BOTH, flags: ROTATES, write: ror }),
  semantic({ name: 'rcl', forms: BOTH, flags: ROTATES_CARRY, write: rotateThroughCarry(true) }),
  semantic({ name: 'rcr', forms: BOTH, flags: ROTATES_CARRY, write: rotateThroughCarry(false) }),
  ...['shld', 'shrd'].flatMap((name) =>
    [false, true].map((fromCl) =>
      semantic({
        name: fromCl ? `${name} cl` : `${name} immediate`,
        mnemonics: [],
        sizes: WIDE,
        forms: BOTH,
        flags: SHIFTS,
        write: doubleShift(name === 'shld', fromCl),
      }),
    ),
  ),
]
