import type { Instruction, MemoryOperand, RegisterOperand } from '../../../machine/vcpu/instruction.ts'
import { at, DONE, FAULT, finish, operandAddress, read, write } from '../../assist/assist-access.ts'
import { noteDenormals, type Stack, specialResult } from '../../assist/x87-state.ts'
import type { Cpu } from '../../cpu.ts'
import type { Float } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'
import { READ, WRITE } from '../../memory/access.ts'
import { CF, PF, ZF } from '../../state.ts'

/** Loads, stores and moves of x87 registers. */
export type Handler = (stack: Stack, i: Instruction, cpu: Cpu) => number

/** Number of the register, counted from the top of the stack, that operand `n` names. */
export const registerOf = (i: Instruction, n: number): number => (i.operands[n] as RegisterOperand).number

/** Whether the instruction's operand is in memory. */
export const isMemory = (i: Instruction): boolean => i.operands[0]?.kind === 'memory'
const sizeOf = (i: Instruction): number => (i.operands[0] as MemoryOperand).size

/** The words of the memory operand; null after a fault. */
export function load(cpu: Cpu, i: Instruction): readonly number[] | null {
  const size = sizeOf(i)
  const [lo, hi] = operandAddress(cpu)
  const host = at(cpu, lo, hi, 0, size, READ)
  if (host === 0) return null
  const words: number[] = []
  for (let n = 0; n < size; n += 4) words.push(read(cpu, host + n, Math.min(4, size - n))[0])
  return words
}

function storeWords(cpu: Cpu, i: Instruction, words: readonly number[]): boolean {
  const size = sizeOf(i)
  const [lo, hi] = operandAddress(cpu)
  const host = at(cpu, lo, hi, 0, size, WRITE)
  if (host === 0) return false
  for (let n = 0; n < size; n += 4) write(cpu, host + n, Math.min(4, size - n), [words[n >> 2], 0])
  return finish(cpu, host)
}

/** The memory operand as a number: an integer or one of the two shorter formats. */
export function numberOf(i: Instruction, words: readonly number[]): Float {
  const size = sizeOf(i)
  if (i.name.startsWith('fi')) {
    if (size === 8) return soft.fromInteger(words[0], words[1])
    const value = size === 2 ? (words[0] << 16) >> 16 : words[0] | 0
    return soft.fromInteger(value >>> 0, (value >> 31) >>> 0)
  }
  return size === 4 ? soft.unpackSingle(words[0]) : soft.unpackDouble(words[0], words[1])
}

/** Push a number, or the indefinite NaN when there is no room; false when there was none. */
function push(stack: Stack, f: Float): boolean {
  const hasRoom = stack.isEmpty(7)
  if (hasRoom) stack.setC1(false)
  else stack.fault(true)
  if (!stack.isStopped) {
    stack.top--
    stack.write(0, hasRoom ? f : soft.INDEFINITE)
  }
  stack.settle()
  return hasRoom && !stack.isStopped
}

/** fld and fild: push a number, from memory or a register. */
export function loadNumber(stack: Stack, i: Instruction, cpu: Cpu): number {
  if (!isMemory(i)) return loadRegister(stack, i, cpu)
  const words = load(cpu, i)
  if (words === null) return FAULT
  if (sizeOf(i) === 10) {
    if (push(stack, soft.float(soft.ZERO, 0))) stack.writeBits(0, words[0], words[1], words[2])
    return DONE
  }
  let f = numberOf(i, words)
  // A full stack is found first, and then nothing else is looked at.
  if (stack.isEmpty(7) && i.name === 'fld') {
    if (f.kind === soft.SIGNALLING) {
      stack.env.flags |= soft.INVALID
      f = soft.quiet(f)
    }
  }
  const isLoaded = push(stack, f)
  // A denormal is loaded whether its exception is masked or not.
  if (isLoaded && i.name === 'fld') {
    noteDenormals(stack.env, f)
    stack.settle()
  }
  return DONE
}

/** fld st(i): its bits, whatever they are. */
function loadRegister(stack: Stack, i: Instruction, cpu: Cpu): number {
  const from = registerOf(i, 0)
  if (stack.isEmpty(from)) {
    stack.fault(false)
    if (!stack.isStopped) {
      stack.top--
      stack.write(0, soft.INDEFINITE)
    }
    stack.settle()
    return DONE
  }
  const bits = cpu.x87(stack.physical(from)).slice()
  if (push(stack, stack.read(from))) cpu.x87(stack.physical(0)).set(bits)
  return DONE
}

const isPopping = (i: Instruction): boolean => i.name.endsWith('p')

/** fst and fstp to a register: its bits. */
function storeRegister(stack: Stack, i: Instruction, cpu: Cpu): number {
  const to = registerOf(i, 0)
  stack.setC1(false)
  if (stack.isEmpty(0)) {
    stack.fault(false)
    if (!stack.isStopped) stack.write(to, soft.INDEFINITE)
  } else {
    cpu.x87(stack.physical(to)).set(cpu.x87(stack.physical(0)).slice())
    stack.tags |= 1 << stack.physical(to)
  }
  if (!stack.isStopped && isPopping(i)) stack.pop()
  stack.settle()
  return DONE
}

/** fst, fist and those that pop, to memory: rounded to its format. */
export function storeNumber(stack: Stack, i: Instruction, cpu: Cpu): number {
  if (!isMemory(i)) return storeRegister(stack, i, cpu)
  const { env } = stack
  const size = sizeOf(i)
  const before = stack.status
  const isEmpty = stack.isEmpty(0)
  stack.setC1(false)
  // An unmasked overflow or underflow leaves memory alone: there is no scaled result.
  env.scale = 0
  if (isEmpty) stack.fault(false)
  const f = isEmpty ? soft.INDEFINITE : stack.read(0)
  const words = i.name.startsWith('fi') ? integerWords(stack, f, size) : formatWords(stack, f, size)
  const isStopped = (env.flags & ~env.masks & ~soft.PRECISION) !== 0
  if (isStopped) {
    // The access is made all the same, as far as faults go.
    const [lo, hi] = operandAddress(cpu)
    if (at(cpu, lo, hi, 0, size, WRITE) === 0) return restore(stack, before)
    env.flags &= ~soft.PRECISION
  } else if (!storeWords(cpu, i, words)) {
    return restore(stack, before)
  } else if ((env.flags & soft.PRECISION) !== 0) {
    stack.setC1(soft.roundedUp)
  }
  stack.settle()
  if (!isStopped && isPopping(i)) stack.pop()
  return DONE
}

function restore(stack: Stack, status: number): number {
  stack.status = status
  return FAULT
}

function integerWords(stack: Stack, f: Float, size: number): readonly number[] {
  const value = soft.toInteger(stack.env, f, size * 8)
  if (value !== null) return value
  stack.env.flags |= soft.INVALID
  return size === 8 ? [0, 0x8000_0000] : [size === 2 ? 0x8000 : 0x8000_0000]
}

function formatWords(stack: Stack, f: Float, size: number): readonly number[] {
  const { env } = stack
  if (size === 10) {
    if (stack.isEmpty(0)) return soft.packExtended(f)
    const b = stack.cpu.x87(stack.physical(0))
    const word = (n: number): number => (b[n] | (b[n + 1] << 8) | (b[n + 2] << 16) | (b[n + 3] << 24)) >>> 0
    return [word(0), word(4), b[8] | (b[9] << 8)]
  }
  const rounded = specialResult(env, f, f) ?? soft.convert(env, size === 4 ? soft.SINGLE : soft.DOUBLE, f)
  return size === 4 ? [soft.packSingle(rounded)] : soft.packDouble(rounded)
}

/** fxch: two registers change places, bit for bit; an empty one is the indefinite number by then. */
export function exchange(stack: Stack, i: Instruction, cpu: Cpu): number {
  const other = registerOf(i, 1)
  stack.setC1(false)
  const empty = [0, other].filter((n) => stack.isEmpty(n))
  if (empty.length > 0) stack.fault(false)
  if (!stack.isStopped) {
    for (const n of empty) stack.write(n, soft.INDEFINITE)
    const a = cpu.x87(stack.physical(0))
    const b = cpu.x87(stack.physical(other))
    const kept = a.slice()
    a.set(b)
    b.set(kept)
  }
  stack.settle()
  return DONE
}

/** fchs and fabs look at no more than the sign. */
export function changeSign(change: (byte: number) => number): Handler {
  return (stack, _i, cpu) => {
    stack.setC1(false)
    if (stack.isEmpty(0)) {
      stack.fault(false)
      if (!stack.isStopped) stack.write(0, soft.INDEFINITE)
    } else {
      const b = cpu.x87(stack.physical(0))
      b[9] = change(b[9])
    }
    stack.settle()
    return DONE
  }
}

/** The conditions of fcmovcc, by the integer flags. */
export const CONDITIONS: Readonly<Record<string, (flags: number) => boolean>> = {
  b: (f) => (f & CF) !== 0,
  e: (f) => (f & ZF) !== 0,
  be: (f) => (f & (CF | ZF)) !== 0,
  u: (f) => (f & PF) !== 0,
}

/** fcmovcc: to st(0), where the condition of the integer flags holds. */
export function conditionalMove(stack: Stack, i: Instruction, cpu: Cpu): number {
  const name = i.name.slice('fcmov'.length)
  const flags = cpu.getFlags()
  const holds = name.startsWith('n') ? !CONDITIONS[name.slice(1)](flags) : CONDITIONS[name](flags)
  const from = registerOf(i, 1)
  if (stack.isEmpty(0) || stack.isEmpty(from)) {
    stack.fault(false)
    if (!stack.isStopped) stack.write(0, soft.INDEFINITE)
  } else if (holds) {
    cpu.x87(stack.physical(0)).set(cpu.x87(stack.physical(from)).slice())
  }
  stack.settle()
  return DONE
}

/** Exponent and significand of the constants, cut off, and whether the nearest is one more. */
export const CONSTANTS: Readonly<
  Record<string, readonly [exponent: number, hi: number, lo: number, up: boolean]>
> = {
  fld1: [0x3fff, 0x8000_0000, 0, false],
  fldz: [0, 0, 0, false],
  fldl2t: [0x4000, 0xd49a_784b, 0xcd1b_8afe, false],
  fldl2e: [0x3fff, 0xb8aa_3b29, 0x5c17_f0bb, true],
  fldpi: [0x4000, 0xc90f_daa2, 0x2168_c234, true],
  fldlg2: [0x3ffd, 0x9a20_9a84, 0xfbcf_f798, true],
  fldln2: [0x3ffe, 0xb172_17f7, 0xd1cf_79ab, true],
}

/** fld1, fldz, fldpi and the like: the constant, rounded as the control word says. */
export function loadConstant(stack: Stack, i: Instruction): number {
  const [exponent, hi, lo, up] = CONSTANTS[i.name]
  const isExact = i.name === 'fld1' || i.name === 'fldz'
  const { mode } = stack.env
  const more = !isExact && (mode === soft.UP || (mode === soft.NEAREST && up)) ? 1 : 0
  if (push(stack, soft.float(soft.ZERO, 0))) stack.writeBits(0, lo + more, hi, exponent)
  return DONE
}
