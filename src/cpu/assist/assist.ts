import type { Instruction } from '../../machine/vcpu/instruction.ts'
import type { Cpu } from '../cpu.ts'
import { MODIFY, READ, WRITE } from '../memory/access.ts'
import { SSE_FLOAT } from '../semantics/vector/sse-float.ts'
import { X87_INSTRUCTIONS } from '../semantics/x87/x87.ts'
import type { Site } from '../site.ts'
import { AC, AF, CF, DF, FIELD, GENERAL, ID, NT, OF, PF, SF, TF, ZF } from '../state.ts'
import {
  at,
  DONE,
  FAULT,
  finish,
  JUMP,
  operandAddress,
  raise,
  read,
  readWord,
  SEGMENT,
  TRAP,
  write,
  writeWord,
} from './assist-access.ts'
import { STATE_INSTRUCTIONS } from './fxsave.ts'

/**
 * Instructions that are too rare, or too long, for the generated interpreter, carried out in TypeScript. The address of
 * their memory operand, but for its segment, has been put into the state's `computed`.
 */
type Assist = (cpu: Cpu, i: Instruction, site: Site) => number

const RAX = 0
const RCX = 1
const RDX = 2
const RBX = 3
const RSP = 4
const RBP = 5

/** Carry out the instruction at a site; what is not there is #UD. @returns one of the outcomes in assist-access.ts */
export function assist(cpu: Cpu, site: Site): number {
  const one = ASSISTS[site.instruction.name]
  if (one === undefined) return raise(cpu, 6)
  return one(cpu, site.instruction, site)
}

/** rip behind the instruction. */
function step(cpu: Cpu, site: Site): void {
  const lo = cpu.word(FIELD.page) + site.offset + site.instruction.length
  cpu.setRip(lo >>> 0, cpu.word(FIELD.page + 4) + (lo > 0xffff_ffff ? 1 : 0))
}

function trap(vector: number): Assist {
  return (cpu, _i, site) => {
    step(cpu, site)
    raise(cpu, vector)
    return TRAP
  }
}

/** int n: the gates of a PV guest's IDT belong to the hypervisor, so that ring 3 gets #GP with the vector in it. */
function interrupt(cpu: Cpu, i: Instruction): number {
  const operand = i.operands[0]
  const vector = operand.kind === 'immediate' ? operand.lo & 0xff : 0
  return raise(cpu, 13, vector * 8 + 2)
}

/** `bytes` bytes of the stack at rsp + offset, as two halves; null after a fault. */
function stackWord(cpu: Cpu, offset: number, bytes: number): readonly [lo: number, hi: number] | null {
  const host = at(cpu, cpu.register(RSP), cpu.registerHigh(RSP), offset, bytes, READ)
  return host === 0 ? null : read(cpu, host, bytes)
}

function addToStack(cpu: Cpu, bytes: number): void {
  const lo = cpu.register(RSP) + bytes
  cpu.setRegister(RSP, lo >>> 0, cpu.registerHigh(RSP) + (lo > 0xffff_ffff ? 1 : lo < 0 ? -1 : 0))
}

const LOADABLE = CF | PF | AF | ZF | SF | TF | DF | OF | NT | AC | ID

function loadFlags(cpu: Cpu, flags: number, mask: number): void {
  cpu.setFlags((cpu.getFlags() & ~mask) | (flags & mask))
  // With TF set, the next instruction is followed by #DB: `run` looks at the flag before it executes.
  if ((flags & TF) !== 0) cpu.stop()
}

function popFlags(cpu: Cpu, i: Instruction): number {
  const value = stackWord(cpu, 0, i.size)
  if (value === null) return FAULT
  addToStack(cpu, i.size)
  const mask = i.size === 2 ? LOADABLE & 0xffff : LOADABLE
  loadFlags(cpu, value[0], mask)
  return DONE
}

/** A return to the same segments; any other one needs their descriptors. */
function interruptReturn(cpu: Cpu, i: Instruction): number {
  const rip = stackWord(cpu, 0, i.size)
  const cs = rip === null ? null : stackWord(cpu, i.size, i.size)
  const flags = cs === null ? null : stackWord(cpu, 2 * i.size, i.size)
  const rsp = flags === null ? null : stackWord(cpu, 3 * i.size, i.size)
  const ss = rsp === null ? null : stackWord(cpu, 4 * i.size, i.size)
  if (rip === null || cs === null || flags === null || rsp === null || ss === null) return FAULT
  const isSame = (cs[0] & 0xffff) === cpu.selector(1) && (ss[0] & 0xffff) === cpu.selector(2)
  if (!isSame) return SEGMENT
  if ((cpu.getFlags() & NT) !== 0) return raise(cpu, 13)
  cpu.setRip(rip[0], rip[1])
  cpu.setRegister(RSP, rsp[0], rsp[1])
  loadFlags(cpu, flags[0], i.size === 2 ? LOADABLE & 0xffff : LOADABLE | (1 << 16))
  return JUMP
}

/** A far return to the same segment: the words of rip and cs have the operand's size. */
function farReturn(cpu: Cpu, i: Instruction): number {
  const rip = stackWord(cpu, 0, i.size)
  if (rip === null) return FAULT
  const cs = stackWord(cpu, i.size, i.size)
  if (cs === null) return FAULT
  if ((cs[0] & 0xffff) !== cpu.selector(1)) return SEGMENT
  const [released] = i.operands
  addToStack(cpu, 2 * i.size + (released?.kind === 'immediate' ? released.lo : 0))
  cpu.setRip(rip[0], rip[1])
  return JUMP
}

function readCpuid(cpu: Cpu): number {
  const values = cpu.cpuid(cpu.register(RAX), cpu.register(RCX))
  for (const [n, register] of [RAX, RBX, RCX, RDX].entries()) cpu.setRegister(register, values[n], 0)
  return DONE
}

function readTimeStamp(cpu: Cpu): number {
  // The running instruction is counted already.
  const ticks = cpu.tsc - 1
  cpu.setRegister(RAX, ticks >>> 0, 0)
  cpu.setRegister(RDX, Math.floor(ticks / 2 ** 32) >>> 0, 0)
  return DONE
}

/** enter with copies of outer frames' pointers. */
function enter(cpu: Cpu, i: Instruction): number {
  const [size, level] = i.operands.map((o) => (o.kind === 'immediate' ? o.lo : 0))
  const depth = level & 31
  const top = cpu.register(RSP) - i.size
  const topHigh = cpu.registerHigh(RSP) + (top < 0 ? -1 : 0)
  let pushed = 0
  const push = (value: readonly [number, number]): boolean => {
    const host = at(cpu, cpu.register(RSP), cpu.registerHigh(RSP), -++pushed * i.size, i.size, WRITE)
    if (host === 0) return false
    write(cpu, host, i.size, value)
    return finish(cpu, host)
  }
  if (!push([cpu.register(RBP), cpu.registerHigh(RBP)])) return FAULT
  // What is copied may be what has just been pushed.
  for (let n = 1; n < depth; n++) {
    const host = at(cpu, cpu.register(RBP), cpu.registerHigh(RBP), -n * i.size, i.size, READ)
    if (host === 0 || !push(read(cpu, host, i.size))) return FAULT
  }
  if (!push([top >>> 0, topHigh])) return FAULT
  if (i.size === 8) cpu.setRegister(RBP, top >>> 0, topHigh)
  else cpu.setRegister(RBP, ((cpu.register(RBP) & ~0xffff) | (top & 0xffff)) >>> 0, cpu.registerHigh(RBP))
  addToStack(cpu, -(pushed * i.size) - size)
  return DONE
}

function setZeroFlag(cpu: Cpu, zero: boolean): void {
  cpu.setFlags((cpu.getFlags() & ~ZF) | (zero ? ZF : 0))
}

/** What memory held, word by word. */
const OLD = new Uint32Array(4)

/** Where word `n` of a pair of registers is, in the state: of their whole, or of their low halves. */
function wordOfPair(low: number, high: number, wide: boolean, n: number): number {
  const inHigh = wide ? n >> 1 : n
  return GENERAL + (inHigh === 0 ? low : high) * 8 + (wide ? (n & 1) * 4 : 0)
}

/** cmpxchg8b and cmpxchg16b: rdx:rax against memory, rcx:rbx into it. Memory is written in either case. */
function compareExchangeWide(cpu: Cpu, i: Instruction): number {
  const wide = i.name === 'cmpxchg16b'
  const bytes = wide ? 16 : 8
  const [lo, hi] = operandAddress(cpu)
  if (wide && (lo & 15) !== 0) return raise(cpu, 13)
  const host = at(cpu, lo, hi, 0, bytes, MODIFY)
  if (host === 0) return FAULT
  let isEqual = true
  for (let n = 0; n < bytes >> 2; n++) {
    OLD[n] = readWord(cpu, host + n * 4)
    if (OLD[n] !== cpu.word(wordOfPair(RAX, RDX, wide, n))) isEqual = false
  }
  for (let n = 0; n < bytes >> 2; n++) {
    writeWord(cpu, host + n * 4, isEqual ? cpu.word(wordOfPair(RBX, RCX, wide, n)) : OLD[n])
  }
  if (!wide) {
    cpu.setWord(FIELD.expects, 1)
    cpu.setWord(FIELD.expected, cpu.register(RAX))
    cpu.setWord(FIELD.expected + 4, cpu.register(RDX))
  }
  const done = finish(cpu, host)
  cpu.setWord(FIELD.expects, 0)
  if (!done) return FAULT
  if (!isEqual && wide) {
    cpu.setRegister(RAX, OLD[0], OLD[1])
    cpu.setRegister(RDX, OLD[2], OLD[3])
  } else if (!isEqual) {
    cpu.setRegister(RAX, OLD[0], 0)
    cpu.setRegister(RDX, OLD[1], 0)
  }
  setZeroFlag(cpu, isEqual)
  return DONE
}

const ASSISTS: Readonly<Record<string, Assist>> = {
  ...SSE_FLOAT,
  ...STATE_INSTRUCTIONS,
  ...X87_INSTRUCTIONS,
  int3: trap(3),
  int1: trap(1),
  int: interrupt,
  popf: popFlags,
  iret: interruptReturn,
  retf: farReturn,
  cpuid: readCpuid,
  rdtsc: readTimeStamp,
  enter,
  cmpxchg8b: compareExchangeWide,
  cmpxchg16b: compareExchangeWide,
}
