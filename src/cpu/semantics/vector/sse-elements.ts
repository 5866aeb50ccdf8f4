import type { Operand } from '../../../machine/vcpu/instruction.ts'
import { at, operandAddress, raise, read } from '../../assist/assist-access.ts'
import type { Cpu } from '../../cpu.ts'
import type { Environment, Float, Format } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'
import { READ } from '../../memory/access.ts'

/** The elements of SSE's vectors as numbers, where they come from, and what becomes of their exceptions. */
export const SIMD_EXCEPTION = 19

export type Width = 4 | 8

export const FORMATS: Readonly<Record<Width, Format>> = { 4: soft.SINGLE, 8: soft.DOUBLE }

/** How SSE computes now: mxcsr's rounding, masks, flush to zero and denormals as zeros; no exception yet. */
export function environment(cpu: Cpu): Environment {
  const { mxcsr } = cpu
  const masks = (mxcsr >>> 7) & 0x3f
  return {
    mode: (mxcsr >>> 13) & 3,
    flags: 0,
    masks,
    flushToZero: (mxcsr & 0x8000) !== 0,
    denormalsAreZero: (mxcsr & 0x40) !== 0,
    scale: 0,
  }
}

/** Elements as their words, and back. */
export type Elements = Uint32Array

/** Element `n` of a vector; a denormal is zero where mxcsr says so. */
export function unpack(env: Environment, words: Elements, n: number, width: Width): Float {
  const f = width === 4 ? soft.unpackSingle(words[n]) : soft.unpackDouble(words[n * 2], words[n * 2 + 1])
  return f.isDenormal && env.denormalsAreZero ? soft.float(soft.ZERO, f.sign) : f
}

/** Put a number, rounded already, into element `n` of a vector. */
export function pack(words: Elements, n: number, width: Width, f: Float): void {
  if (width === 4) words[n] = soft.packSingle(f)
  else words.set(soft.packDouble(f), n * 2)
}

/** The second operand's words: a register, or memory, which of 16 bytes has to be aligned. Null after a fault. */
export function source(cpu: Cpu, operand: Operand): Elements | null {
  if (operand.kind === 'register')
    return operand.class === 'xmm' ? cpu.xmm(operand.number).slice() : mmx(cpu, operand.number)
  if (operand.kind !== 'memory') return null
  const [lo, hi] = operandAddress(cpu)
  if (operand.size === 16 && (lo & 15) !== 0) {
    raise(cpu, 13)
    return null
  }
  const host = at(cpu, lo, hi, 0, operand.size, READ)
  if (host === 0) return null
  const words = new Uint32Array(4)
  for (let i = 0; i < operand.size / 4; i++) words[i] = read(cpu, host + i * 4, 4)[0]
  return words
}

/** The 64 bits of an MMX register, with zeros above. */
export function mmx(cpu: Cpu, n: number): Elements {
  const bytes = cpu.x87(n)
  const words = new Uint32Array(4)
  for (let i = 0; i < 8; i++) words[i >> 2] |= bytes[i] << (8 * (i & 3))
  return words
}

/** Take over the flags; when one is not masked, nothing is written and #XM follows. */
export function settle(cpu: Cpu, env: Environment): boolean {
  cpu.mxcsr |= env.flags
  return (env.flags & ~env.masks) === 0
}

/** Whether a number is a NaN, quiet or signalling. */
export const isNan = (f: Float): boolean => f.kind >= soft.QUIET

/** Set the denormal flag where an operand is one. */
export function noteDenormals(env: Environment, ...operands: Float[]): void {
  if (operands.some((f) => f.isDenormal)) env.flags |= soft.DENORMAL
}

/** The result when an operand is a NaN: the first of them, made quiet; or null. */
export function nanOf(env: Environment, a: Float, b: Float): Float | null {
  if (!isNan(a) && !isNan(b)) return null
  if (a.kind === soft.SIGNALLING || b.kind === soft.SIGNALLING) env.flags |= soft.INVALID
  return soft.quiet(isNan(a) ? a : b)
}

/** Whether an exception found in the operands is unmasked, so that there is no result. */
export function stops(env: Environment): boolean {
  return (env.flags & ~env.masks & (soft.INVALID | soft.DENORMAL | soft.DIVIDE)) !== 0
}

/**
 * The exceptions of several elements. One of any element's operands that is not masked comes before those of results, which
 * are then not looked at.
 */
export class ElementFlags {
  private all = 0
  private isStopped = false
  private readonly env: Environment

  constructor(env: Environment) {
    this.env = env
  }

  /** Before each element: collect those of the one before. */
  take(): void {
    this.isStopped ||= stops(this.env)
    this.all |= this.env.flags
    this.env.flags = 0
  }

  end(): void {
    this.take()
    this.env.flags = this.isStopped ? this.all & (soft.INVALID | soft.DENORMAL | soft.DIVIDE) : this.all
  }
}
