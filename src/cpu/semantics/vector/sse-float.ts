import type { Instruction } from '../../../machine/vcpu/instruction.ts'
import { DONE, FAULT, raise } from '../../assist/assist-access.ts'
import type { Cpu } from '../../cpu.ts'
import type { Environment, Float, Format } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'
import { AF, CF, OF, PF, SF, ZF } from '../../state.ts'
import { convert } from './sse-convert.ts'
import {
  ElementFlags,
  environment,
  FORMATS,
  isNan,
  nanOf,
  noteDenormals,
  pack,
  SIMD_EXCEPTION,
  settle,
  source,
  stops,
  unpack,
  type Width,
} from './sse-elements.ts'

/**
 * SSE's floating-point arithmetic, with MXCSR's rounding, exceptions, flush to zero and denormals as zeros.
 *
 *     mxcsr   15 FZ | 14..13 rounding | 12..7 masks PM UM OM ZM DM IM | 6 DAZ | 5..0 flags PE UE OE ZE DE IE
 */
/** An operation on one element: its exceptions go into the environment. */
type Operation = (env: Environment, format: Format, a: Float, b: Float) => Float

function invalid(env: Environment): Float {
  env.flags |= soft.INVALID
  return soft.INDEFINITE
}

function add(env: Environment, format: Format, a: Float, b: Float): Float {
  const nan = nanOf(env, a, b)
  if (nan !== null) return nan
  if (a.kind === soft.INFINITE && b.kind === soft.INFINITE && a.sign !== b.sign) return invalid(env)
  noteDenormals(env, a, b)
  if (stops(env)) return a
  if (a.kind === soft.INFINITE) return a
  return b.kind === soft.INFINITE ? b : soft.add(env, format, a, b)
}

const negate = (f: Float): Float => (isNan(f) ? f : { ...f, sign: f.sign ^ 1 })

function multiply(env: Environment, format: Format, a: Float, b: Float): Float {
  const nan = nanOf(env, a, b)
  if (nan !== null) return nan
  const infinite = a.kind === soft.INFINITE || b.kind === soft.INFINITE
  if (infinite && (a.kind === soft.ZERO || b.kind === soft.ZERO)) return invalid(env)
  noteDenormals(env, a, b)
  if (stops(env)) return a
  return infinite ? soft.float(soft.INFINITE, a.sign ^ b.sign) : soft.multiply(env, format, a, b)
}

function divide(env: Environment, format: Format, a: Float, b: Float): Float {
  const nan = nanOf(env, a, b)
  if (nan !== null) return nan
  if (a.kind === b.kind && (a.kind === soft.ZERO || a.kind === soft.INFINITE)) return invalid(env)
  const sign = a.sign ^ b.sign
  if (b.kind === soft.ZERO && a.kind !== soft.INFINITE) {
    env.flags |= soft.DIVIDE
    return soft.float(soft.INFINITE, sign)
  }
  noteDenormals(env, a, b)
  if (stops(env)) return a
  if (a.kind === soft.INFINITE) return soft.float(soft.INFINITE, sign)
  return b.kind === soft.INFINITE ? soft.float(soft.ZERO, sign) : soft.divide(env, format, a, b)
}

function squareRoot(env: Environment, format: Format, _a: Float, b: Float): Float {
  const nan = nanOf(env, b, b)
  if (nan !== null) return nan
  if (b.sign === 1 && b.kind !== soft.ZERO) return invalid(env)
  noteDenormals(env, b)
  if (stops(env) || b.kind === soft.INFINITE) return b
  return soft.squareRoot(env, format, b)
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  add,
  sub: (env, format, a, b) => add(env, format, a, negate(b)),
  mul: multiply,
  div: divide,
  sqrt: squareRoot,
}

/** The name's two last letters: packed or scalar, single or double. */
function shape(name: string): { width: Width; count: number } {
  const width = name.endsWith('s') ? 4 : 8
  return { width, count: name.at(-2) === 's' ? 1 : 16 / width }
}

function arithmetic(cpu: Cpu, i: Instruction): number {
  const { width, count } = shape(i.name)
  const operation = i.name.slice(0, -2)
  const words = source(cpu, i.operands[1])
  if (words === null) return FAULT
  const to = cpu.xmm((i.operands[0] as { number: number }).number)
  const result = to.slice()
  const env = environment(cpu)
  const flags = new ElementFlags(env)
  for (let n = 0; n < count; n++) {
    flags.take()
    const a = unpack(env, to, n, width)
    const b = unpack(env, words, n, width)
    const f = OPERATIONS[operation](env, FORMATS[width], a, b)
    pack(result, n, width, f)
  }
  flags.end()
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  to.set(result)
  return DONE
}

/**
 * min and max copy one of the elements, signalling NaNs among them: the first if it is less, or greater, and else the second,
 * which so is the result for NaNs and for two zeros.
 */
function extreme(cpu: Cpu, i: Instruction): number {
  const { width, count } = shape(i.name)
  const wanted = i.name.startsWith('min') ? soft.LESS : soft.GREATER
  const words = source(cpu, i.operands[1])
  if (words === null) return FAULT
  const to = cpu.xmm((i.operands[0] as { number: number }).number)
  const result = to.slice()
  const env = environment(cpu)
  for (let n = 0; n < count; n++) {
    const a = unpack(env, to, n, width)
    const b = unpack(env, words, n, width)
    const isFirst = compareWith(env, a, b, true) === wanted
    const [chosen, from] = isFirst ? [a, to] : [b, words]
    // A denormal that counts as zero is one in the result, too.
    if (chosen.kind === soft.ZERO) pack(result, n, width, chosen)
    else for (let w = n * (width / 4); w < (n + 1) * (width / 4); w++) result[w] = from[w]
  }
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  to.set(result)
  return DONE
}

// ---- comparison ----

/** The eight predicates: the outcomes for which they are true. The signalling ones raise #I for any NaN. */
const PREDICATES = ['eq', 'lt', 'le', 'unord', 'neq', 'nlt', 'nle', 'ord']

function holds(predicate: number, order: number): boolean {
  const base = [
    order === soft.EQUAL,
    order === soft.LESS,
    order === soft.LESS || order === soft.EQUAL,
    order === soft.UNORDERED,
  ][predicate & 3]
  return predicate >= 4 ? !base : base
}

function compareWith(env: Environment, a: Float, b: Float, isSignalling: boolean): number {
  const signals = a.kind === soft.SIGNALLING || b.kind === soft.SIGNALLING
  if (signals || (isSignalling && (isNan(a) || isNan(b)))) env.flags |= soft.INVALID
  if (!isNan(a) && !isNan(b)) noteDenormals(env, a, b)
  return soft.compare(a, b)
}

function comparePacked(cpu: Cpu, i: Instruction): number {
  const { width, count } = shape(i.name)
  const words = source(cpu, i.operands[1])
  if (words === null) return FAULT
  const immediate = i.operands[2]
  const predicate = immediate.kind === 'immediate' ? immediate.lo & 7 : 0
  const isSignalling = /lt|le/.test(PREDICATES[predicate])
  const to = cpu.xmm((i.operands[0] as { number: number }).number)
  const result = to.slice()
  const env = environment(cpu)
  for (let n = 0; n < count; n++) {
    const order = compareWith(env, unpack(env, to, n, width), unpack(env, words, n, width), isSignalling)
    const mask = holds(predicate, order) ? 0xffff_ffff : 0
    for (let w = 0; w < width / 4; w++) result[n * (width / 4) + w] = mask
  }
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  to.set(result)
  return DONE
}

/** comis and ucomis: ZF, PF and CF say less, equal, greater or unordered. */
function compareFlags(cpu: Cpu, i: Instruction): number {
  const width = i.name.endsWith('ss') ? 4 : 8
  const words = source(cpu, i.operands[1])
  if (words === null) return FAULT
  const env = environment(cpu)
  const a = unpack(env, cpu.xmm((i.operands[0] as { number: number }).number), 0, width)
  const order = compareWith(env, a, unpack(env, words, 0, width), i.name.startsWith('comi'))
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  cpu.setFlags((cpu.getFlags() & ~(OF | SF | ZF | AF | PF | CF)) | orderFlags(order))
  return DONE
}

/** ZF, PF and CF as a comparison's outcome sets them; the other flags are clear. */
export function orderFlags(order: number): number {
  if (order === soft.UNORDERED) return ZF | PF | CF
  return order === soft.LESS ? CF : order === soft.EQUAL ? ZF : 0
}

/** rcp and rsqrt approximate; this gives the nearest value with their twelve bits. */
function approximate(cpu: Cpu, i: Instruction): number {
  const { count } = shape(i.name)
  const words = source(cpu, i.operands[1])
  if (words === null) return FAULT
  const to = cpu.xmm((i.operands[0] as { number: number }).number)
  const floats = new Float32Array(words.buffer)
  const result = new Float32Array(1)
  const bits = new Uint32Array(result.buffer)
  for (let n = 0; n < count; n++) {
    const f = soft.unpackSingle(words[n])
    const value = f.isDenormal ? (f.sign === 1 ? -0 : 0) : floats[n]
    result[0] = i.name.startsWith('rcp') ? 1 / value : 1 / Math.sqrt(value)
    if (f.kind === soft.QUIET || f.kind === soft.SIGNALLING) bits[0] = words[n] | 0x40_0000
    else if (Number.isNaN(result[0])) bits[0] = 0xffc0_0000
    else if (Number.isFinite(result[0]))
      bits[0] = isTiny(bits[0]) ? bits[0] & 0x8000_0000 : (bits[0] + 0x400) & ~0x7ff
    to[n] = bits[0]
  }
  return DONE
}

const isTiny = (word: number): boolean => (word & 0x7f80_0000) === 0

export const SSE_FLOAT: Readonly<Record<string, (cpu: Cpu, i: Instruction) => number>> = Object.fromEntries([
  ...Object.keys(OPERATIONS).flatMap((name) => ['ps', 'pd', 'ss', 'sd'].map((s) => [name + s, arithmetic])),
  ...['ps', 'pd', 'ss', 'sd'].flatMap((s) => [
    [`cmp${s}`, comparePacked],
    [`min${s}`, extreme],
    [`max${s}`, extreme],
  ]),
  ...['comiss', 'comisd', 'ucomiss', 'ucomisd'].map((name) => [name, compareFlags]),
  ...'ps2pd pd2ps ss2sd sd2ss dq2ps ps2dq dq2pd pd2dq si2ss si2sd ss2si sd2si pi2ps pi2pd ps2pi pd2pi'
    .split(' ')
    .map((name) => [`cvt${name}`, convert]),
  ...'ps2dq pd2dq ss2si sd2si ps2pi pd2pi'.split(' ').map((name) => [`cvtt${name}`, convert]),
  ...['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss'].map((name) => [name, approximate]),
])
