import type { Cpu } from '../cpu.ts'
import type { Environment, Float, Format } from '../float/soft-float.ts'
import * as soft from '../float/soft-float.ts'
import { FIELD } from '../state.ts'

/**
 * The x87 stack: eight registers of 80 bits, the number of the top one in the status word, and a bit for each that says
 * whether it is in use.
 *
 *     control   11..10 rounding | 9..8 precision | 5..0 masks
 *     status    15 B | 14 C3 | 13..11 top | 10 C2 | 9 C1 | 8 C0 | 7 ES | 6 SF | 5..0 PE UE OE ZE DE IE
 */
export const C0 = 0x100
export const C1 = 0x200
export const C2 = 0x400
export const C3 = 0x4000
export const STACK_FAULT = 0x40
const SUMMARY = 0x8080
/** Exceptions that are found in the operands: unmasked, they leave everything as it was. */
export const EARLY = soft.INVALID | soft.DENORMAL | soft.DIVIDE

/** By how much an unmasked overflow or underflow scales a result in a register. */
const SCALE = 24576

export class Stack {
  readonly cpu: Cpu
  readonly env: Environment

  constructor(cpu: Cpu) {
    this.cpu = cpu
    const control = cpu.word(FIELD.controlWord)
    this.env = {
      mode: (control >>> 10) & 3,
      flags: 0,
      masks: control & 0x3f,
      flushToZero: false,
      denormalsAreZero: false,
      scale: SCALE,
    }
  }

  get status(): number {
    return this.cpu.word(FIELD.statusWord)
  }

  set status(value: number) {
    this.cpu.setWord(FIELD.statusWord, value)
  }

  get tags(): number {
    return this.cpu.word(FIELD.tagWord)
  }

  set tags(value: number) {
    this.cpu.setWord(FIELD.tagWord, value)
  }

  /** What results are rounded to: the exponent's range is always the whole one. */
  get format(): Format {
    const control = (this.cpu.word(FIELD.controlWord) >>> 8) & 3
    return { ...soft.EXTENDED, precision: control === 0 ? 24 : control === 2 ? 53 : 64 }
  }

  get top(): number {
    return (this.status >>> 11) & 7
  }

  set top(value: number) {
    this.status = (this.status & ~0x3800) | ((value & 7) << 11)
  }

  physical(i: number): number {
    return (this.top + i) & 7
  }

  isEmpty(i: number): boolean {
    return (this.tags & (1 << this.physical(i))) === 0
  }

  read(i: number): Float {
    const b = this.cpu.x87(this.physical(i))
    const word = (at: number): number =>
      (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0
    return soft.unpackExtended(word(0), word(4), b[8] | (b[9] << 8))
  }

  /** Write st(i), which is then in use. */
  write(i: number, f: Float): void {
    this.writeBits(i, ...soft.packExtended(f))
  }

  writeBits(i: number, lo: number, hi: number, word: number): void {
    const n = this.physical(i)
    const b = this.cpu.x87(n)
    for (let k = 0; k < 4; k++) {
      b[k] = lo >>> (8 * k)
      b[4 + k] = hi >>> (8 * k)
    }
    b[8] = word
    b[9] = word >>> 8
    this.tags |= 1 << n
  }

  free(i: number): void {
    this.tags &= ~(1 << this.physical(i))
  }

  pop(count = 1): void {
    for (let n = 0; n < count; n++) {
      this.free(0)
      this.top++
    }
  }

  /** Conditions C0 to C3, all at once. */
  setCodes(codes: number): void {
    this.status = (this.status & ~(C0 | C1 | C2 | C3)) | codes
  }

  setC1(value: boolean): void {
    this.status = value ? this.status | C1 : this.status & ~C1
  }

  /** Whether an exception so far is unmasked and leaves no result. */
  get isStopped(): boolean {
    return (this.env.flags & ~this.env.masks & EARLY) !== 0
  }

  /** A stack fault: C1 tells overflow from underflow. */
  fault(isOverflow: boolean): void {
    this.env.flags |= soft.INVALID
    this.status |= STACK_FAULT
    this.setC1(isOverflow)
  }

  /** Take the exceptions over into the status word, with the summary for those that are not masked. */
  settle(): void {
    const { flags, masks } = this.env
    this.status |= flags
    if ((flags & ~masks) !== 0) this.status |= SUMMARY
  }

  /** Whether an exception waits that is to be raised before the next instruction that looks. */
  get waits(): boolean {
    return (this.status & 0x80) !== 0
  }
}

/** Which of two NaNs is the result: a quiet one before a signalling one, the larger significand, the positive one. */
export function chooseNan(a: Float, b: Float): Float {
  const isA = a.kind >= soft.QUIET
  const isB = b.kind >= soft.QUIET
  if (isA !== isB) return soft.quiet(isA ? a : b)
  if (a.kind !== b.kind) return soft.quiet(a.kind === soft.QUIET ? a : b)
  const order = a.hi - b.hi || a.lo - b.lo || b.sign - a.sign
  return soft.quiet(order >= 0 ? a : b)
}

/** The result where an operand is a NaN or no number at all, with the exception that this raises; else null. */
export function specialResult(env: Environment, a: Float, b: Float): Float | null {
  if (a.kind === soft.UNSUPPORTED || b.kind === soft.UNSUPPORTED) {
    env.flags |= soft.INVALID
    return soft.INDEFINITE
  }
  if (a.kind < soft.QUIET && b.kind < soft.QUIET) return null
  if (a.kind === soft.SIGNALLING || b.kind === soft.SIGNALLING) env.flags |= soft.INVALID
  return chooseNan(a, b)
}

/** An invalid operation: its flag, and the indefinite number that it results in. */
export function invalid(env: Environment): Float {
  env.flags |= soft.INVALID
  return soft.INDEFINITE
}

/** Set the denormal flag where an operand is one. */
export function noteDenormals(env: Environment, ...operands: Float[]): void {
  if (operands.some((f) => f.isDenormal)) env.flags |= soft.DENORMAL
}
