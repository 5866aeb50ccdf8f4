import type { Instruction } from '../../machine/vcpu/instruction.ts'
import type { Cpu } from '../cpu.ts'
import * as soft from '../float/soft-float.ts'
import { READ, WRITE } from '../memory/access.ts'
import { FIELD } from '../state.ts'
import { at, DONE, FAULT, finish, operandAddress, read, write } from './assist-access.ts'
import { loadImage, setControl, storeImage, summarize } from './fxsave.ts'
import type { Stack } from './x87-state.ts'

/**
 * x87's control and status, and its environment in memory: seven words of 32 bits, or of 16 with the prefix 66; behind
 * them, for fnsave and frstor, the eight registers of ten bytes each.
 *
 *     control | status | tags, two bits each | instruction | its segment, opcode | operand | its segment
 */
type Handler = (stack: Stack, i: Instruction, cpu: Cpu) => number

const INITIAL_CONTROL = 0x37f
const EMPTY = 3
const POINTERS = [
  FIELD.lastOpcode,
  FIELD.lastInstruction,
  FIELD.lastInstruction + 4,
  FIELD.lastData,
  FIELD.lastData + 4,
]

/** Two bits for each register: 0 a number, 1 zero, 2 anything else, 3 empty. */
function fullTags(stack: Stack): number {
  let tags = 0
  for (let n = 0; n < 8; n++) {
    const i = (n - stack.top) & 7
    const f = stack.read(i)
    const kind = f.kind === soft.ZERO ? 1 : f.kind === soft.NORMAL && !f.isDenormal ? 0 : 2
    tags |= (stack.isEmpty(i) ? EMPTY : kind) << (n * 2)
  }
  return tags
}

const wordBytes = (i: Instruction): 2 | 4 => (i.size === 2 ? 2 : 4)

function environmentImage(stack: Stack, i: Instruction, cpu: Cpu, extra: number): Uint8Array<ArrayBuffer> {
  const bytes = wordBytes(i)
  const image = new Uint8Array(7 * bytes + extra)
  const view = new DataView(image.buffer)
  const control = cpu.word(FIELD.controlWord)
  const words = [control, stack.status, fullTags(stack), cpu.word(FIELD.lastInstruction), 0, 0, 0]
  words[5] = cpu.word(FIELD.lastData)
  for (const [n, word] of words.entries()) {
    if (bytes === 2) view.setUint16(n * 2, word & 0xffff, true)
    // The upper halves that are not used are ones.
    else view.setUint32(n * 4, n < 3 ? (word | 0xffff_0000) >>> 0 : n === 6 ? 0xffff_0000 : word, true)
  }
  return image
}

function storeEnvironment(stack: Stack, i: Instruction, cpu: Cpu): number {
  if (!storeImage(cpu, environmentImage(stack, i, cpu, 0))) return FAULT
  cpu.setWord(FIELD.controlWord, cpu.word(FIELD.controlWord) | 0x3f)
  summarize(cpu)
  return DONE
}

function takeEnvironment(stack: Stack, i: Instruction, cpu: Cpu, image: Uint8Array<ArrayBuffer>): void {
  const bytes = wordBytes(i)
  const view = new DataView(image.buffer)
  const word = (n: number): number => view.getUint16(n * bytes, true)
  stack.status = word(1)
  let tags = 0
  for (let n = 0; n < 8; n++) if (((word(2) >>> (n * 2)) & 3) !== EMPTY) tags |= 1 << n
  stack.tags = tags
  setControl(cpu, word(0))
}

function loadEnvironment(stack: Stack, i: Instruction, cpu: Cpu): number {
  const image = loadImage(cpu, 7 * wordBytes(i))
  if (image === null) return FAULT
  takeEnvironment(stack, i, cpu, image)
  return DONE
}

function saveAll(stack: Stack, i: Instruction, cpu: Cpu): number {
  const image = environmentImage(stack, i, cpu, 80)
  const start = 7 * wordBytes(i)
  for (let n = 0; n < 8; n++) image.set(cpu.x87(stack.physical(n)).subarray(0, 10), start + n * 10)
  if (!storeImage(cpu, image)) return FAULT
  return initialize(stack, i, cpu)
}

function restoreAll(stack: Stack, i: Instruction, cpu: Cpu): number {
  const start = 7 * wordBytes(i)
  const image = loadImage(cpu, start + 80)
  if (image === null) return FAULT
  takeEnvironment(stack, i, cpu, image)
  for (let n = 0; n < 8; n++) {
    cpu.x87(stack.physical(n)).set(image.subarray(start + n * 10, start + n * 10 + 10))
  }
  return DONE
}

function initialize(stack: Stack, _i: Instruction, cpu: Cpu): number {
  cpu.setWord(FIELD.controlWord, INITIAL_CONTROL)
  stack.status = 0
  stack.tags = 0
  for (const field of POINTERS) cpu.setWord(field, 0)
  return DONE
}

function storeWord(value: (stack: Stack, cpu: Cpu) => number): Handler {
  return (stack, i, cpu) => {
    if (i.operands[0].kind === 'register') {
      const before = cpu.register(0)
      cpu.setRegister(0, ((before & ~0xffff) | value(stack, cpu)) >>> 0, cpu.registerHigh(0))
      return DONE
    }
    const [lo, hi] = operandAddress(cpu)
    const host = at(cpu, lo, hi, 0, 2, WRITE)
    if (host === 0) return FAULT
    write(cpu, host, 2, [value(stack, cpu), 0])
    return finish(cpu, host) ? DONE : FAULT
  }
}

function loadControl(_stack: Stack, _i: Instruction, cpu: Cpu): number {
  const [lo, hi] = operandAddress(cpu)
  const host = at(cpu, lo, hi, 0, 2, READ)
  if (host === 0) return FAULT
  setControl(cpu, read(cpu, host, 2)[0])
  return DONE
}

export const ENVIRONMENT: Readonly<Record<string, Handler>> = {
  fnstcw: storeWord((_stack, cpu) => cpu.word(FIELD.controlWord)),
  fnstsw: storeWord((stack) => stack.status),
  fldcw: loadControl,
  fnstenv: storeEnvironment,
  fldenv: loadEnvironment,
  fnsave: saveAll,
  frstor: restoreAll,
  fninit: initialize,
  fnclex: (stack) => {
    stack.status &= ~0x80ff
    return DONE
  },
}
