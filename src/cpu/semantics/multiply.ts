import { select } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i64 } from '../../wasm/wasm-values.ts'
import { CF, OF } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { setCarryAndOverflow } from './flags.ts'
import { flags, LOADING, READS_ONE, type Semantic, semantic, WIDE } from './semantic.ts'

/** Multiplication and division. */
const RAX = 0
const RDX = 2
const DIVIDE_ERROR = 0

/** The high half of the 128-bit product, from four products of 32-bit halves. */
function highUnsigned(e: Emitter, a: I64, b: I64): I64 {
  const low = (v: I64): I64 => v.and(i64(-1, 0))
  const aLow = e.let(low(a))
  const aHigh = e.let(a.shr(32))
  const bLow = e.let(low(b))
  const bHigh = e.let(b.shr(32))
  const first = e.let(aHigh.mul(bLow).add(aLow.mul(bLow).shr(32)))
  const second = e.let(aLow.mul(bHigh).add(low(first)))
  return e.let(aHigh.mul(bHigh).add(first.shr(32)).add(second.shr(32)))
}

function highSigned(e: Emitter, a: I64, b: I64): I64 {
  const high = highUnsigned(e, a, b)
  return e.let(high.sub(a.sar(63).and(b)).sub(b.sar(63).and(a)))
}

function writeProduct(e: Emitter, low: I64, high: I64, overflow: I32): void {
  const o = e.let(overflow)
  if (e.size === 1) {
    e.setRegister(RAX, low, 2)
  } else {
    e.setRegister(RAX, low, e.size)
    e.setRegister(RDX, high, e.size)
  }
  setCarryAndOverflow(e, o, o)
}

/** The accumulator times the operand, into twice the width. CF and OF say that the upper half counts. */
function multiply(signed: boolean): (e: Emitter) => void {
  return (e) => {
    const raw = e.let(e.source())
    const accumulator = e.register(RAX, e.size)
    const a = e.let(signed ? accumulator.signExtend(e.size) : accumulator)
    const b = e.let(signed ? raw.signExtend(e.size) : raw)
    const low = e.let(a.mul(b))
    if (e.size === 8) {
      const high = signed ? highSigned(e, a, b) : highUnsigned(e, a, b)
      writeProduct(e, low, high, signed ? high.ne(low.sar(63)) : high.ne(0))
    } else {
      const high = e.let(low.shr(e.size * 8))
      writeProduct(e, low, high, signed ? low.ne(low.signExtend(e.size)) : high.ne(0))
    }
  }
}

/** imul with two operands, or with three of which the last is an immediate. */
function multiplyInto(threeOperands: boolean): (e: Emitter) => void {
  return (e) => {
    const b = e.let(e.source().signExtend(e.size))
    const a = e.let(threeOperands ? e.immediate() : e.destination().signExtend(e.size))
    const low = e.let(a.mul(b))
    const overflow = e.size === 8 ? highSigned(e, a, b).ne(low.sar(63)) : low.ne(low.signExtend(e.size))
    const o = e.let(overflow)
    e.write(low)
    setCarryAndOverflow(e, o, o)
  }
}

function divideError(e: Emitter, condition: I32): void {
  e.if(condition, () => e.raise(DIVIDE_ERROR))
}

/** Quotient and remainder of `high`:`low` by `divisor`, where the quotient is known to fit 64 bits. */
function divide128(e: Emitter, high: I64, low: I64, divisor: I64): { quotient: I64; remainder: I64 } {
  const quotient = e.variable<I64>('i64')
  const remainder = e.variable<I64>('i64')
  e.if(
    high.eqz(),
    () => {
      e.set(quotient, low.divU(divisor))
      e.set(remainder, low.remU(divisor))
    },
    () => {
      // Long division, a bit at a time; the bit that leaves the remainder's top says that it is larger than any divisor.
      const n = e.variable<I64>('i64')
      e.set(n, i64(64))
      e.set(remainder, high)
      e.set(quotient, low)
      e.loop((again) => {
        const out = e.let(remainder.value.shr(63).wrap())
        e.set(remainder, remainder.value.shl(1).or(quotient.value.shr(63)))
        e.set(quotient, quotient.value.shl(1))
        e.if(out.or(remainder.value.geU(divisor)), () => {
          e.set(remainder, remainder.value.sub(divisor))
          e.set(quotient, quotient.value.or(1))
        })
        e.set(n, n.value.sub(1))
        e.brIf(again, n.value.ne(0))
      })
    },
  )
  return { quotient: quotient.value, remainder: remainder.value }
}

function divide(e: Emitter): void {
  const divisor = e.let(e.source())
  divideError(e, divisor.eqz())
  if (e.size === 1) {
    const dividend = e.let(e.register(RAX, 2))
    const quotient = e.let(dividend.divU(divisor))
    divideError(e, quotient.gtU(0xff))
    e.setRegister(RAX, quotient.or(dividend.remU(divisor).shl(8)), 2)
    return
  }
  const low = e.let(e.register(RAX, e.size))
  const high = e.let(e.register(RDX, e.size))
  divideError(e, high.geU(divisor))
  if (e.size === 8) {
    const { quotient, remainder } = divide128(e, high, low, divisor)
    e.setRegister(RAX, quotient)
    e.setRegister(RDX, remainder)
  } else {
    const dividend = e.let(high.shl(e.size * 8).or(low))
    e.setRegister(RAX, dividend.divU(divisor), e.size)
    e.setRegister(RDX, dividend.remU(divisor), e.size)
  }
}

function divideSigned(e: Emitter): void {
  const divisor = e.let(e.source().signExtend(e.size))
  divideError(e, divisor.eqz())
  if (e.size === 8) {
    divideSigned128(e, divisor)
    return
  }
  const bits = e.size * 8
  const dividend = e.let(
    e.size === 1
      ? e.register(RAX, 2).signExtend(2)
      : e.size === 2
        ? e.register(RDX, 2).shl(16).or(e.register(RAX, 2)).signExtend(4)
        : e.register(RDX, 4).shl(32).or(e.register(RAX, 4)),
  )
  // The one quotient that does not fit 64 bits.
  divideError(e, dividend.eq(i64(0, 0x80000000)).and(divisor.eq(-1)))
  const quotient = e.let(dividend.divS(divisor))
  divideError(e, quotient.ne(quotient.signExtend(e.size)))
  const remainder = e.let(dividend.remS(divisor))
  if (e.size === 1) {
    e.setRegister(RAX, quotient.and(0xff).or(remainder.shl(bits)), 2)
  } else {
    e.setRegister(RAX, quotient, e.size)
    e.setRegister(RDX, remainder, e.size)
  }
}

/** The 128-bit dividend and the divisor without their signs, which come back at the end. */
function divideSigned128(e: Emitter, divisor: I64): void {
  const low = e.let(e.register(RAX))
  const high = e.let(e.register(RDX))
  const sign = e.let(high.sar(63))
  const absLow = e.let(low.xor(sign).sub(sign))
  const absHigh = e.let(high.xor(sign).add(select(low.eqz(), sign.and(1), i64(0))))
  const divisorSign = e.let(divisor.sar(63))
  const absDivisor = e.let(divisor.xor(divisorSign).sub(divisorSign))
  divideError(e, absHigh.geU(absDivisor))
  const { quotient, remainder } = divide128(e, absHigh, absLow, absDivisor)
  const quotientSign = e.let(sign.xor(divisorSign))
  const signed = e.let(quotient.xor(quotientSign).sub(quotientSign))
  // A magnitude of 2^63 fits only as a negative number.
  divideError(e, signed.xor(quotientSign).ltS(0).and(quotient.ne(0)))
  e.setRegister(RAX, signed)
  e.setRegister(RDX, remainder.xor(sign).sub(sign))
}

const SETS_CARRIES = flags({ sets: CF | OF })

/** `imul` by its number of operands: select.ts. The flags of divisions stay what they were. */
export const MULTIPLY_SEMANTICS: readonly Semantic[] = [
  semantic({ name: 'mul', operands: READS_ONE, forms: LOADING, flags: SETS_CARRIES, write: multiply(false) }),
  semantic({
    name: 'imul 1',
    mnemonics: [],
    operands: READS_ONE,
    forms: LOADING,
    flags: SETS_CARRIES,
    write: multiply(true),
  }),
  ...[2, 3].map((count) =>
    semantic({
      name: `imul ${count}`,
      mnemonics: [],
      sizes: WIDE,
      forms: LOADING,
      flags: SETS_CARRIES,
      write: multiplyInto(count === 3),
    }),
  ),
  semantic({ name: 'div', operands: READS_ONE, forms: LOADING, write: divide }),
  semantic({ name: 'idiv', operands: READS_ONE, forms: LOADING, write: divideSigned }),
]
