import type { Draft } from './draft.ts'

/**
 * What the manuals leave undefined. Each entry says which flags, and when; the words are those of Intel's and AMD's
 * instruction references. Where the host does something definite all the same, another processor does something else.
 */

export const CF = 0x1
export const PF = 0x4
export const AF = 0x10
export const ZF = 0x40
export const SF = 0x80
export const OF = 0x800
const ALL_STATUS = CF | PF | AF | ZF | SF | OF

/** Flags that an instruction leaves undefined whatever its operands are. */
const ALWAYS: Readonly<Record<string, number>> = {
  // "The AF flag is undefined."
  and: AF,
  or: AF,
  xor: AF,
  test: AF,
  // "The SF, ZF, AF, and PF flags are undefined."
  mul: SF | ZF | AF | PF,
  imul: SF | ZF | AF | PF,
  // "The CF, OF, SF, ZF, AF, and PF flags are undefined."
  div: ALL_STATUS,
  idiv: ALL_STATUS,
  // "CF contains the value of the selected bit [...]. ZF is unaffected. OF, SF, AF, and PF are undefined."
  bt: OF | SF | AF | PF,
  bts: OF | SF | AF | PF,
  btr: OF | SF | AF | PF,
  btc: OF | SF | AF | PF,
  // "ZF is set if all source bits are zero [...]. CF, OF, SF, AF, and PF are undefined."
  bsf: CF | OF | SF | AF | PF,
  bsr: CF | OF | SF | AF | PF,
}

export function loosenFlags(draft: Draft): void {
  draft.loose.rflags |= ALWAYS[draft.form.mnemonic] ?? 0
}

/** Shifts and rotates, by what their count is. `bits` is the size of the operand. */
export function loosenShift(draft: Draft, bits: number, count: number): void {
  const { mnemonic } = draft.form
  const masked = count & (bits === 64 ? 63 : 31)
  // "If the count is 0, the flags are not affected."
  if (masked === 0) return
  // "The OF flag is defined only for the 1-bit [forms]; it is undefined in all other cases."
  if (masked !== 1) draft.loose.rflags |= OF
  if (mnemonic === 'rol' || mnemonic === 'ror' || mnemonic === 'rcl' || mnemonic === 'rcr') return
  // "For a non-zero count, the AF flag is undefined."
  draft.loose.rflags |= AF
  // SHL and SHR: "The CF flag [...] is undefined [...] where the count is greater than or equal to the size (in bits)."
  if ((mnemonic === 'shl' || mnemonic === 'shr') && masked >= bits) draft.loose.rflags |= CF
  if ((mnemonic === 'shld' || mnemonic === 'shrd') && masked > bits) {
    // "If the count is greater than the operand size, the result is undefined", and the flags with it.
    draft.loose.rflags |= ALL_STATUS
    if (draft.memory) draft.loosenMemory(0, bits >> 3)
    else draft.loose.gpr |= 1 << draft.rm
  }
}

/** BSF and BSR: "If the content of the source operand is 0, the content of the destination operand is undefined." */
export function loosenScan(draft: Draft, sourceIsZero: boolean): void {
  if (sourceIsZero) draft.loose.gpr |= 1 << draft.reg
}

const C0 = 0x100
const C1 = 0x200
const C2 = 0x400
const C3 = 0x4000

/** x87 instructions that define every condition code, or touch none. */
const DEFINES_CODES =
  /^(fi?comp?|fcompp|fucomp?|fucompp|ftst|fxam|fprem1?|fcomip?|fucomip?|fldcw|fnst.*|fldenv|frstor|fnsave|fninit|fx(save|rstor).*|fwait)$/
/** "C0, C1, C2, C3: undefined." */
const DEFINES_NO_CODE = /^(ffree|fnop|fnclex|fnstcw|fldcw)$/

/** Most of x87: "C1 [...]. C0, C2, C3: undefined." */
export function loosenConditionCodes(draft: Draft): void {
  const { mnemonic } = draft.form
  if (DEFINES_NO_CODE.test(mnemonic)) draft.loose.fsw |= C0 | C1 | C2 | C3
  else if (!DEFINES_CODES.test(mnemonic)) draft.loose.fsw |= C0 | C2 | C3
}

/** What is computed to some accuracy only; whether x87 rounded up is open then, too. */
export function loosenApproximation(draft: Draft): void {
  const { mnemonic } = draft.form
  if (/^(rcp|rsqrt)/.test(mnemonic)) {
    draft.loose.near = { xmm: draft.reg, words: mnemonic.endsWith('ps') ? 4 : 1 }
  } else if (APPROXIMATE.test(mnemonic)) {
    draft.loose.near = 'st(0)'
    draft.loose.fsw |= C1
  }
}

/**
 * FPREM and FPREM1: where the exponents are 64 or more apart they reduce in part only, by "an implementation-dependent number
 * between 32 and 63" of bits.
 */
export function loosenPartialRemainder(draft: Draft): void {
  const { st } = draft.state
  const exponent = (i: number) => st[16 * i + 8] | ((st[16 * i + 9] & 0x7f) << 8)
  if (exponent(0) - exponent(1) >= 64) draft.loose.near = 'any st(0)'
}

const APPROXIMATE = /^(f2xm1|fyl2x|fyl2xp1|fpatan)$/
