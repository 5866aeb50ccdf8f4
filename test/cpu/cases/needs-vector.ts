import { SPACE } from '../case.ts'
import { type Draft, RDI } from './draft.ts'
import { segmentBase } from './encode.ts'
import { loosenApproximation, loosenConditionCodes, loosenPartialRemainder } from './loose.ts'
import { ordinaryOperands } from './needs-integer.ts'
import type { Form } from './notation.ts'

/** What the operands of an SSE instruction hold. */
type Content = 'single' | 'double' | 'integer'

/** MXCSR: every exception masked. */
const MASKS = 0x1f80

/** MXCSR in all its states: flags, rounding, flush to zero, denormals are zero; one in sixteen with exceptions unmasked. */
function pickMxcsr(draft: Draft): void {
  const choice = draft.random.bits()
  const flags = choice & 0x100 ? 0 : choice & 0x3f
  const flush = (choice & 0x600) === 0 ? 0x8000 : 0
  const zeros = (choice & 0x1800) === 0 ? 0x40 : 0
  const masks = (choice & 0x1e000) === 0 ? (choice >>> 18) & MASKS : MASKS
  draft.state.mxcsr = flags | flush | zeros | masks | (((choice >>> 17) & 3) << 13)
}

function contentOf({ mnemonic }: Form): Content {
  const source = /^cvtt?(.*)2/.exec(mnemonic)?.[1] ?? mnemonic.slice(-2)
  if (source === 'ps' || source === 'ss') return 'single'
  return source === 'pd' || source === 'sd' ? 'double' : 'integer'
}

function pickWord(draft: Draft, content: Content, word: number): number {
  const { values } = draft
  if (content === 'single') return values.single().low
  if (content === 'integer') return values.integer(32).low
  // The words of a double come in pairs.
  return (word & 1) === 0 ? values.double().low : values.high
}

/** Arithmetic: both operands hold numbers of the kind. */
export function sseFloat(draft: Draft): void {
  pickMxcsr(draft)
  const content = contentOf(draft.form)
  ordinaryOperands(draft)
  for (const { kind, bits } of draft.form.operands) {
    const words = kind === 'xm' && draft.memory ? bits >> 5 : 4
    if (kind === 'x')
      for (let i = 0; i < 4; i++) draft.state.xmm[4 * draft.reg + i] = pickWord(draft, content, i)
    if (kind === 'xm')
      for (let i = 0; i < words; i++) draft.setXmmRm(i, pickWord(draft, content, i), 4 * words)
  }
  if (draft.random.once(8)) copyOperand(draft)
  loosenApproximation(draft)
}

/** Comparisons are more interesting when some elements are equal. */
function copyOperand(draft: Draft): void {
  const operand = draft.form.operands.find(({ kind }) => kind === 'xm')
  if (operand === undefined) return
  const words = operand.bits >> 5
  for (let i = 0; i < words; i++) draft.setXmmRm(i, draft.state.xmm[4 * draft.reg + i], 4 * words)
}

/** Bytes where saturation and sign begin and end. */
const EDGE_WORDS = [
  0, 0xffff_ffff, 0x7fff_8000, 0x8000_7fff, 0x7f80_ff00, 0x0001_ffff, 0x8000_0000, 0x7fff_ffff, 0x00ff_0100,
]

/** Packed integers: noise, edges, equal elements; counts for the shifts. */
export function sseInteger(draft: Draft): void {
  const { random, form } = draft
  const shifts = /^ps[lr][lra][wdq]/.test(form.mnemonic)
  const operand = form.operands.find(({ kind }) => kind === 'xm')
  if (operand !== undefined) {
    const words = operand.bits >> 5
    const choice = random.bits()
    if (shifts) {
      if ((choice & 7) !== 0) {
        draft.setXmmRm(0, (choice >>> 8) % 70, 16)
        draft.setXmmRm(1, choice & 8 ? 0 : random.bits() & 1, 16)
      }
    } else {
      if ((choice & 3) === 0) copyOperand(draft)
      for (let i = 0; i < words; i++) {
        if ((choice >>> (4 + i)) & 1) draft.setXmmRm(i, random.pick(EDGE_WORDS), operand.bits >> 3)
        if ((choice >>> (8 + i)) & 1) draft.state.xmm[4 * draft.reg + i] = random.pick(EDGE_WORDS)
      }
    }
  }
  draft.immediates[0] = random.once(2) ? random.bits() & 0xff : random.between(0, 70)
}

/** Moves and shuffles: noise will do, but for MXCSR's own. */
export function sseMove(draft: Draft): void {
  const { random, form, window } = draft
  pickMxcsr(draft)
  ordinaryOperands(draft)
  if (form.mnemonic === 'ldmxcsr') {
    // A bit that is reserved raises #GP.
    const value = random.bits() & (random.once(8) ? 0x1ffff : 0xffff)
    draft.setRm(0, value, 4)
  }
  if (form.mnemonic === 'maskmovdqu' || form.mnemonic === 'maskmovq') {
    // Whether bytes that the mask leaves out can fault is the processor's choice: all of them are in the data.
    const address = SPACE.data + window.at + random.between(0, window.bytes - 16) - segmentBase(draft.segment)
    draft.pin(RDI, address, draft.short ? random.bits() : 0)
  }
}

/** x87 control word: precision and rounding in all states, one in eight with exceptions unmasked. */
function pickControl(choice: number): number {
  const masks = (choice & 0x700) === 0 ? choice & 0x3f : 0x3f
  return 0x40 | masks | (choice & 0x0c00) | [0, 0x200, 0x300, 0x300][(choice >>> 12) & 3]
}

function pickX87State(draft: Draft): void {
  const { random, state, values } = draft
  const choice = random.bits()
  state.fcw = pickControl(choice)
  const codes = (choice >>> 16) & 0x4700
  const top = (choice >>> 3) & 0x3800
  // Flags of exceptions that are masked stay where they are; a flag of an unmasked one is an exception that waits.
  const flags = (choice & 0x8000) !== 0 ? 0 : (choice >>> 24) & 0x7f & (state.fcw | 0x40)
  state.fsw = codes | top | flags
  if (random.once(64) && (state.fcw & 0x3f) !== 0x3f) state.fsw |= 0x8080 | (~state.fcw & 0x3f)
  // Mostly some registers from the top on are in use; now and then any.
  const used = (1 << random.between(1, 9)) - 1
  const from = top >> 11
  state.ftw = random.once(8) ? random.bits() & 0xff : ((used << from) | (used >> (8 - from))) & 0xff
  for (let i = 0; i < 8; i++) values.extended(state.st, 16 * i)
}

/** An environment or an image in memory must hold words that a processor could have written. */
function pickEnvironment(draft: Draft, legacy: boolean, bytes: number): void {
  const { random } = draft
  const control = pickControl(random.bits()) | (random.once(4) ? 0 : 0x3f)
  const status = random.bits() & 0x7f7f & (control | 0xffc0)
  const tags = random.bits()
  if (legacy) {
    draft.setRm(0, (0xffff_0000 | control) >>> 0, bytes)
    draft.setRm(1, (0xffff_0000 | status) >>> 0, bytes)
    draft.setRm(2, (0xffff_0000 | (tags & 0xffff)) >>> 0, bytes)
  } else {
    draft.setRm(0, (control | (status << 16)) >>> 0, bytes)
    draft.setRm(1, tags & 0xff, bytes)
    draft.setRm(6, random.bits() & (random.once(16) ? 0x1ffff : 0xffff), bytes)
  }
}

export function x87(draft: Draft): void {
  const { form, random, values } = draft
  const operand = draft.memoryOperand()
  const bytes = (operand?.bits ?? 0) >> 3
  const integer = /^fi/.test(form.mnemonic)
  pickX87State(draft)
  if (form.mnemonic.startsWith('fx')) pickMxcsr(draft)
  const { mnemonic } = form
  if (mnemonic === 'fldcw') draft.setRm(0, pickControl(random.bits()), bytes)
  else if (mnemonic === 'fldenv' || mnemonic === 'frstor') pickEnvironment(draft, true, bytes)
  else if (mnemonic.startsWith('fxrstor')) pickEnvironment(draft, false, bytes)
  else if (bytes === 10) pickExtended(draft)
  else if (bytes > 0 && bytes <= 8) {
    if (integer) values.integer(bytes * 8)
    else if (bytes === 4) values.single()
    else values.double()
    draft.setRm(0, values.low, bytes)
    if (bytes === 8) draft.setRm(1, values.high, bytes)
  }
  // The two operands of a comparison or subtraction are equal now and then.
  if (random.once(8)) draft.state.st.copyWithin(16, 0, 16)
  if (/^(f2xm1|fyl2xp1)$/.test(mnemonic)) pickSmall(draft)
  if (mnemonic.startsWith('fprem')) loosenPartialRemainder(draft)
  loosenConditionCodes(draft)
  loosenApproximation(draft)
  loosenPointers(draft)
}

/** These functions are defined for arguments near to zero only. */
function pickSmall(draft: Draft): void {
  const { st } = draft.state
  // The exponent of a magnitude below a quarter; zeros stay.
  if ((st[9] & 0x7f) !== 0 || st[8] !== 0) {
    st[9] = (st[9] & 0x80) | 0x3f
    st[8] = 0xfc - (st[8] & 0x3f)
    st[7] |= 0x80
  }
}

function pickExtended(draft: Draft): void {
  const bytes = new Uint8Array(16)
  draft.values.extended(bytes, 0)
  const words = new Uint32Array(bytes.buffer)
  for (let i = 0; i < 3; i++) draft.setRm(i, words[i], 10)
}

/**
 * Where the last instruction and its operand were: AMD's processors store them only while an exception waits, and newer
 * ones of Intel no selectors. MXCSR's mask says which bits the processor has.
 */
function loosenPointers(draft: Draft): void {
  const { mnemonic } = draft.form
  if (mnemonic === 'fnstenv' || mnemonic === 'fnsave') draft.loosenMemory(12, 28)
  if (mnemonic.startsWith('fxsave')) {
    draft.loosenMemory(6, 24)
    draft.loosenMemory(28, 32)
  }
}

/** MMX registers are the significands of x87's. */
export function mmx(draft: Draft): void {
  const { state, random, form } = draft
  sseMove(draft)
  // One in 64 finds an exception that waits.
  state.fsw = (random.bits() & 0x3800) | (random.once(64) ? 0x8081 : 0)
  if (state.fsw & 0x80) state.fcw = 0x37e
  state.ftw = random.once(2) ? 0xff : random.bits() & 0xff
  for (let i = 0; i < 128; i++) state.st[i] = (i & 15) < 10 ? random.bits() : 0
  const content = contentOf(form)
  if (form.mnemonic.startsWith('cvt')) {
    const words = 4
    for (let i = 0; i < words; i++) {
      if (form.operands[0].kind === 'mm')
        draft.setXmmRm(i, pickWord(draft, content, i), (draft.memoryOperand()?.bits ?? 0) >> 3)
    }
  }
  if (random.once(2)) draft.immediates[0] = random.between(0, 70)
}
