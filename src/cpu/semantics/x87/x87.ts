import type { Instruction } from '../../../machine/vcpu/instruction.ts'
import { DONE, FAULT, raise } from '../../assist/assist-access.ts'
import { ENVIRONMENT } from '../../assist/x87-environment.ts'
import { C2, noteDenormals, Stack, specialResult } from '../../assist/x87-state.ts'
import type { Cpu } from '../../cpu.ts'
import type { Environment, Float, Format } from '../../float/soft-float.ts'
import * as soft from '../../float/soft-float.ts'
import { AF, CF, OF, PF, SF, ZF } from '../../state.ts'
import { orderFlags } from '../vector/sse-float.ts'
import {
  BINARY,
  compare,
  examine,
  orderCodes,
  remainder,
  roundInteger,
  scale,
  squareRoot,
} from './x87-arithmetic.ts'
import { angle, powerLessOne, timesLogarithm, timesLogarithmOfOneMore } from './x87-functions.ts'
import {
  CONDITIONS,
  CONSTANTS,
  changeSign,
  conditionalMove,
  exchange,
  type Handler,
  isMemory,
  load,
  loadConstant,
  loadNumber,
  numberOf,
  registerOf,
  storeNumber,
} from './x87-moves.ts'

/**
 * x87 instructions. Exceptions are noted in the status word; one that is not masked is raised as #MF by the next x87
 * instruction that looks.
 */
const FLOATING_POINT_ERROR = 16

function arithmetic(stack: Stack, i: Instruction, cpu: Cpu): number {
  const name = i.name.replace(/^fi?/, '')
  const pops = name.endsWith('p')
  const operation = BINARY[pops ? name.slice(0, -1) : name]
  if (isMemory(i)) {
    const words = load(cpu, i)
    if (words === null) return FAULT
    const b = numberOf(i, words)
    compute(stack, 0, stack.isEmpty(0), (env, format) => operation(env, format, stack.read(0), b))
    return DONE
  }
  // The first operand named is the first of the operation, whichever of them is st(0).
  const [to, from] = [registerOf(i, 0), registerOf(i, 1)]
  const isEmpty = stack.isEmpty(to) || stack.isEmpty(from)
  const [a, b] = [stack.read(to), stack.read(from)]
  compute(stack, to, isEmpty, (env, format) => operation(env, format, a, b))
  if (pops && !stack.isStopped) stack.pop()
  return DONE
}

/** Compute into a register, or note why there is no result. */
function compute(
  stack: Stack,
  destination: number,
  isEmpty: boolean,
  operation: (env: Environment, format: Format) => Float,
): void {
  stack.setC1(false)
  if (isEmpty) {
    stack.fault(false)
    if (!stack.isStopped) stack.write(destination, soft.INDEFINITE)
  } else {
    const f = operation(stack.env, stack.format)
    if (!stack.isStopped) {
      stack.write(destination, f)
      if ((stack.env.flags & soft.PRECISION) !== 0) stack.setC1(soft.roundedUp)
    }
  }
  stack.settle()
}

function unary(operation: (env: Environment, format: Format, a: Float) => Float): Handler {
  return (stack) => {
    const a = stack.read(0)
    compute(stack, 0, stack.isEmpty(0), (env, format) => operation(env, format, a))
    return DONE
  }
}

function scaleTop(stack: Stack): number {
  const [a, b] = [stack.read(0), stack.read(1)]
  const isEmpty = stack.isEmpty(0) || stack.isEmpty(1)
  compute(stack, 0, isEmpty, (env, format) => scale(env, format, a, b))
  return DONE
}

/** A function of st(1) and st(0), in this order, whose result replaces both. */
function ofTwo(operation: (env: Environment, y: Float, x: Float) => Float): Handler {
  return (stack) => {
    const [x, y] = [stack.read(0), stack.read(1)]
    compute(stack, 1, stack.isEmpty(0) || stack.isEmpty(1), (env) => operation(env, y, x))
    if (!stack.isStopped) stack.pop()
    return DONE
  }
}

function partialRemainder(isNearest: boolean): Handler {
  return (stack) => {
    const isEmpty = stack.isEmpty(0) || stack.isEmpty(1)
    const [a, b] = [stack.read(0), stack.read(1)]
    let codes: number | null = null
    compute(stack, 0, isEmpty, (env) => {
      const r = remainder(env, a, b, isNearest)
      codes = r.codes
      return r.f
    })
    // An invalid operation leaves C0 and C3.
    if (codes === null || stack.isStopped) stack.status &= ~C2
    else stack.setCodes(codes)
    return DONE
  }
}

/** Take a number apart: the exponent stays, the significand is pushed. */
function extract(stack: Stack): number {
  stack.setC1(false)
  const isEmpty = stack.isEmpty(0)
  let parts = { exponent: soft.INDEFINITE, significand: soft.INDEFINITE }
  if (isEmpty || !stack.isEmpty(7)) stack.fault(!isEmpty)
  else parts = partsOf(stack.env, stack.read(0))
  if (!stack.isStopped) {
    stack.write(0, parts.exponent)
    stack.top--
    stack.write(0, parts.significand)
  }
  stack.settle()
  return DONE
}

function partsOf(env: Environment, a: Float): { exponent: Float; significand: Float } {
  const special = specialResult(env, a, a)
  if (special !== null) return { exponent: special, significand: special }
  if (a.kind === soft.ZERO) {
    env.flags |= soft.DIVIDE
    return { exponent: soft.float(soft.INFINITE, 1), significand: a }
  }
  if (a.kind === soft.INFINITE) return { exponent: soft.float(soft.INFINITE, 0), significand: a }
  noteDenormals(env, a)
  const e = a.exponent
  return {
    exponent: soft.fromInteger(e >>> 0, (e >> 31) >>> 0),
    significand: soft.float(soft.NORMAL, a.sign, 0, a.hi, a.lo),
  }
}

/** The operand that st(0) is compared with, or null where one of them is empty. */
function comparand(stack: Stack, i: Instruction, words: readonly number[] | null): Float | null {
  if (stack.isEmpty(0)) return null
  if (words !== null) return numberOf(i, words)
  if (i.name === 'ftst') return soft.float(soft.ZERO, 0)
  const other = i.operands.length === 0 ? 1 : registerOf(i, i.operands.length - 1)
  return stack.isEmpty(other) ? null : stack.read(other)
}

function comparison(stack: Stack, i: Instruction, cpu: Cpu): number {
  const words = isMemory(i) ? load(cpu, i) : null
  if (isMemory(i) && words === null) return FAULT
  const intoFlags = i.name.includes('comi')
  const b = comparand(stack, i, words)
  // Of the comparisons into rflags only a stack fault touches C1.
  if (!intoFlags) stack.setC1(false)
  let order = soft.UNORDERED
  if (b === null) stack.fault(false)
  else order = compare(stack.env, stack.read(0), b, i.name.startsWith('fucom'))
  // The outcome is told even where an exception is not masked; only then nothing is popped.
  if (intoFlags) cpu.setFlags((cpu.getFlags() & ~(OF | SF | ZF | AF | PF | CF)) | orderFlags(order))
  else stack.setCodes(orderCodes(order))
  if (!stack.isStopped) stack.pop(/pp$/.test(i.name) ? 2 : /p$/.test(i.name) ? 1 : 0)
  stack.settle()
  return DONE
}

function rotate(by: 1 | -1): Handler {
  return (stack) => {
    stack.top += by
    stack.setC1(false)
    return DONE
  }
}

const nothing: Handler = () => DONE

/** Instructions that do not look whether an exception waits. */
const NO_WAIT = new Set('fnstcw fnstsw fnstenv fnsave fnclex fninit'.split(' '))

const COMPARISONS =
  'fcom fcomp fcompp ficom ficomp fucom fucomp fucompp fcomi fcomip fucomi fucomip ftst'.split(' ')

const all = (names: readonly string[], handler: Handler): Record<string, Handler> =>
  Object.fromEntries(names.map((name) => [name, handler]))

const HANDLERS: Readonly<Record<string, Handler>> = {
  ...all(
    Object.keys(BINARY).flatMap((name) => [`f${name}`, `fi${name}`, `f${name}p`]),
    arithmetic,
  ),
  ...all(COMPARISONS, comparison),
  ...all(Object.keys(CONSTANTS), loadConstant),
  ...all(
    Object.keys(CONDITIONS).flatMap((c) => [`fcmov${c}`, `fcmovn${c}`]),
    conditionalMove,
  ),
  ...all(['fld', 'fild'], loadNumber),
  ...all(['fst', 'fstp', 'fist', 'fistp'], storeNumber),
  fxch: exchange,
  fchs: changeSign((byte) => byte ^ 0x80),
  fabs: changeSign((byte) => byte & 0x7f),
  fsqrt: unary(squareRoot),
  frndint: unary(roundInteger),
  fscale: scaleTop,
  f2xm1: unary((env, _format, a) => powerLessOne(env, a)),
  fyl2x: ofTwo(timesLogarithm),
  fyl2xp1: ofTwo(timesLogarithmOfOneMore),
  fpatan: ofTwo(angle),
  fprem: partialRemainder(false),
  fprem1: partialRemainder(true),
  fxtract: extract,
  fxam: (stack) => {
    examine(stack)
    return DONE
  },
  ffree: (stack, i) => {
    stack.free(registerOf(i, 0))
    return DONE
  },
  fincstp: rotate(1),
  fdecstp: rotate(-1),
  fnop: nothing,
  fwait: nothing,
  ...ENVIRONMENT,
}

export const X87_INSTRUCTIONS: Readonly<Record<string, (cpu: Cpu, i: Instruction) => number>> =
  Object.fromEntries(
    Object.entries(HANDLERS).map(([name, handler]) => [
      name,
      (cpu: Cpu, i: Instruction): number => {
        const stack = new Stack(cpu)
        if (stack.waits && !NO_WAIT.has(name)) return raise(cpu, FLOATING_POINT_ERROR)
        return handler(stack, i, cpu)
      },
    ]),
  )
