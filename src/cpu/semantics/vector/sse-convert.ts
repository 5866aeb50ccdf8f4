import type { Instruction } from '../../../machine/vcpu/instruction.ts'
import { DONE, FAULT, raise } from '../../assist/assist-access.ts'
import type { Cpu } from '../../cpu.ts'
import type { Environment } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'
import { FIELD } from '../../state.ts'
import {
  ElementFlags,
  type Elements,
  environment,
  FORMATS,
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

/** SSE's conversions between integers and numbers, and between the formats. */
type Kind = 'ps' | 'pd' | 'ss' | 'sd' | 'dq' | 'pi' | 'si'

/** cvt and cvtt: from and to, whether fractions are cut off, and how many elements. */
export function convert(cpu: Cpu, i: Instruction): number {
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
