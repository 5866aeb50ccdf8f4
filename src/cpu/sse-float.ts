import { at, DONE, FAULT, operandAddress, raise, read } from './assist-access.ts'
import type { Cpu } from './cpu.ts'
import type { Instruction, Operand } from './instruction.ts'
import { READ } from './interpreter-emitter.ts'
import type { Environment, Float, Format } from './soft-float.ts'
import * as soft from './soft-float.ts'
import { AF, CF, FIELD, OF, PF, SF, ZF } from './state.ts'

/**
 * SSE's floating-point arithmetic, with MXCSR's rounding, exceptions, flush to zero and denormals as zeros.
 *
 *     mxcsr   15 FZ | 14..13 rounding | 12..7 masks PM UM OM ZM DM IM | 6 DAZ | 5..0 flags PE UE OE ZE DE IE
 */
const SIMD_EXCEPTION = 19

type Width = 4 | 8

const FORMATS: Readonly<Record<Width, Format>> = { 4: soft.SINGLE, 8: soft.DOUBLE }

function environment(cpu: Cpu): Environment {
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
type Elements = Uint32Array

function unpack(env: Environment, words: Elements, n: number, width: Width): Float {
  const f = width === 4 ? soft.unpackSingle(words[n]) : soft.unpackDouble(words[n * 2], words[n * 2 + 1])
  return f.isDenormal && env.denormalsAreZero ? soft.float(soft.ZERO, f.sign) : f
}

function pack(words: Elements, n: number, width: Width, f: Float): void {
  if (width === 4) words[n] = soft.packSingle(f)
  else words.set(soft.packDouble(f), n * 2)
}

/** The second operand's words: a register, or memory, which of 16 bytes has to be aligned. Null after a fault. */
function source(cpu: Cpu, operand: Operand): Elements | null {
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

function mmx(cpu: Cpu, n: number): Elements {
  const bytes = cpu.x87(n)
  const words = new Uint32Array(4)
  for (let i = 0; i < 8; i++) words[i >> 2] |= bytes[i] << (8 * (i & 3))
  return words
}

/** Take over the flags; when one is not masked, nothing is written and #XM follows. */
function settle(cpu: Cpu, env: Environment): boolean {
  cpu.mxcsr |= env.flags
  return (env.flags & ~env.masks) === 0
}

/** An operation on one element: its exceptions go into the environment. */
type Operation = (env: Environment, format: Format, a: Float, b: Float) => Float

const isNan = (f: Float): boolean => f.kind >= soft.QUIET

function noteDenormals(env: Environment, ...operands: Float[]): void {
  if (operands.some((f) => f.isDenormal)) env.flags |= soft.DENORMAL
}

/** The result when an operand is a NaN: the first of them, made quiet; or null. */
function nanOf(env: Environment, a: Float, b: Float): Float | null {
  if (!isNan(a) && !isNan(b)) return null
  if (a.kind === soft.SIGNALLING || b.kind === soft.SIGNALLING) env.flags |= soft.INVALID
  return soft.quiet(isNan(a) ? a : b)
}

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

/** Whether an exception found in the operands is unmasked, so that there is no result. */
function stops(env: Environment): boolean {
  return (env.flags & ~env.masks & (soft.INVALID | soft.DENORMAL | soft.DIVIDE)) !== 0
}

/**
 * The exceptions of several elements. One of any element's operands that is not masked comes before those of results, which
 * are then not looked at.
 */
class ElementFlags {
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

/** min and max give the second operand when either is a NaN, or both are zeros. */
function extreme(wanted: number): Operation {
  return (env, _format, a, b) => {
    if (isNan(a) || isNan(b)) {
      env.flags |= soft.INVALID
      return { ...b, isRaw: true } as Float
    }
    noteDenormals(env, a, b)
    return soft.compare(a, b) === wanted ? a : b
  }
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  add,
  sub: (env, format, a, b) => add(env, format, a, negate(b)),
  mul: multiply,
  div: divide,
  sqrt: squareRoot,
  min: extreme(soft.LESS),
  max: extreme(soft.GREATER),
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
    writeElement(
      result,
      n,
      width,
      f,
      f === a || f === b ? (f === a ? to : words) : null,
      operation,
      b,
      words,
      env,
    )
  }
  flags.end()
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  to.set(result)
  return DONE
}

/** min and max copy the bits of what they choose, signalling NaNs among them. */
function writeElement(
  result: Elements,
  n: number,
  width: Width,
  f: Float,
  from: Elements | null,
  operation: string,
  _b: Float,
  words: Elements,
  env: Environment,
): void {
  const copies = operation === 'min' || operation === 'max'
  const origin = copies ? (from ?? words) : null
  if (origin === null || (f.kind === soft.ZERO && env.denormalsAreZero)) {
    pack(result, n, width, f)
    return
  }
  for (let w = 0; w < width / 4; w++) result[n * (width / 4) + w] = origin[n * (width / 4) + w]
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

export function orderFlags(order: number): number {
  if (order === soft.UNORDERED) return ZF | PF | CF
  return order === soft.LESS ? CF : order === soft.EQUAL ? ZF : 0
}

// ---- conversion ----

type Kind = 'ps' | 'pd' | 'ss' | 'sd' | 'dq' | 'pi' | 'si'

/** cvt and cvtt: from and to, whether fractions are cut off, and how many elements. */
function convert(cpu: Cpu, i: Instruction): number {
  const match = /^cvt(t?)(..)2(..)$/.exec(i.name)
  if (match === null) return raise(cpu, 6)
  const from = match[2] as Kind
  const to = match[3] as Kind
  const target = i.operands[0] as { class: string; number: number; size: number }
  const usesMmx = from === 'pi' || to === 'pi'
  const pending =
    usesMmx && (i.operands[1].kind === 'register' || to === 'pi') && (cpu.word(FIELD.statusWord) & 0x80) !== 0
  if (pending) return raise(cpu, 16)
  const words = from === 'si' ? integerSource(cpu, i) : source(cpu, i.operands[1])
  if (words === null) return FAULT
  const env = environment(cpu)
  if (match[1] === 't') env.mode = soft.TRUNCATE
  const result = elements(env, i, from, to, words)
  // That MMX registers are in use holds even when the conversion then raises #XM.
  if (usesMmx && (to === 'pi' || i.operands[1].kind === 'register')) enterMmx(cpu)
  if (!settle(cpu, env)) return raise(cpu, SIMD_EXCEPTION)
  writeConverted(cpu, target, to, from, result)
  return DONE
}

function enterMmx(cpu: Cpu): void {
  cpu.setWord(FIELD.statusWord, cpu.word(FIELD.statusWord) & ~0x3800)
  cpu.setWord(FIELD.tagWord, 0xff)
}

function integerSource(cpu: Cpu, i: Instruction): Elements | null {
  const operand = i.operands[1]
  if (operand.kind === 'memory') return source(cpu, operand)
  const n = (operand as { number: number }).number
  return new Uint32Array([cpu.register(n), cpu.registerHigh(n), 0, 0])
}

function elements(env: Environment, i: Instruction, from: Kind, to: Kind, words: Elements): Elements {
  const result = new Uint32Array(4)
  const isScalar = from === 'ss' || from === 'sd' || from === 'si'
  const width: Width = from === 'ps' || from === 'ss' ? 4 : 8
  const toWidth: Width = to === 'ps' || to === 'ss' ? 4 : 8
  const isWide = from === 'pd' || to === 'pd' || from === 'pi' || to === 'pi'
  const count = isScalar ? 1 : isWide ? 2 : 4
  const flags = new ElementFlags(env)
  for (let n = 0; n < count; n++) {
    flags.take()
    if (from === 'dq' || from === 'pi' || from === 'si') {
      const operand = i.operands[1] as { size: number }
      const isLong = from === 'si' && operand.size === 8
      const hi = isLong ? words[1] : (words[n] | 0) >> 31
      pack(result, n, toWidth, soft.convert(env, FORMATS[toWidth], soft.fromInteger(words[n], hi >>> 0)))
      continue
    }
    const f = unpack(env, words, n, width)
    if (to === 'dq' || to === 'pi' || to === 'si') {
      const bits = to === 'si' && (i.operands[0] as { size: number }).size === 8 ? 64 : 32
      const value = soft.toInteger(env, f, bits)
      if (value === null) env.flags |= soft.INVALID
      const stored = value ?? (bits === 64 ? [0, 0x8000_0000] : [0x8000_0000, 0])
      if (bits === 64) result.set(stored)
      else result[n] = stored[0]
      continue
    }
    const nan = nanOf(env, f, f)
    if (nan === null) noteDenormals(env, f)
    pack(result, n, toWidth, nan ?? (stops(env) ? f : soft.convert(env, FORMATS[toWidth], f)))
  }
  flags.end()
  return result
}

function writeConverted(
  cpu: Cpu,
  target: { number: number; size: number },
  to: Kind,
  from: Kind,
  result: Elements,
): void {
  if (to === 'si') {
    cpu.setRegister(target.number, result[0], target.size === 8 ? result[1] : 0)
  } else if (to === 'pi') {
    const bytes = cpu.x87(target.number)
    for (let n = 0; n < 8; n++) bytes[n] = result[n >> 2] >>> (8 * (n & 3))
    bytes[8] = 0xff
    bytes[9] = 0xff
  } else {
    const words = cpu.xmm(target.number)
    // Scalars, and two singles of integers, leave the rest of the register.
    const count = to === 'ss' ? 1 : to === 'sd' || (from === 'pi' && to === 'ps') ? 2 : 4
    for (let n = 0; n < count; n++) words[n] = result[n]
  }
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
  ...['ps', 'pd', 'ss', 'sd'].map((s) => [`cmp${s}`, comparePacked]),
  ...['comiss', 'comisd', 'ucomiss', 'ucomisd'].map((name) => [name, compareFlags]),
  ...'ps2pd pd2ps ss2sd sd2ss dq2ps ps2dq dq2pd pd2dq si2ss si2sd ss2si sd2si pi2ps pi2pd ps2pi pd2pi'
    .split(' ')
    .map((name) => [`cvt${name}`, convert]),
  ...'ps2dq pd2dq ss2si sd2si ps2pi pd2pi'.split(' ').map((name) => [`cvtt${name}`, convert]),
  ...['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss'].map((name) => [name, approximate]),
])
