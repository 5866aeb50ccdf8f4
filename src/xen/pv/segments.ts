import { PAGE } from '../../bits/address.ts'
import {
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  RIP,
} from '../../machine/vcpu/instruction.ts'
import { PF_USER } from '../../machine/vcpu/mmu.ts'
import { VECTOR_GP, VECTOR_PF } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { descriptorOf } from '../mm/ldt.ts'
import { type Core, stepOver } from './core.ts'

/**
 * Instructions that read segment descriptors. The tables are the guest's, as Xen has let it have them; what is wrong with a
 * selector is the guest's trap.
 */
type Place = { readonly core: Core; readonly call: Call }

const TWO_48 = 2 ** 48
const RSP = 4
const [ES, CS, SS, DS, FS, GS] = [0, 1, 2, 3, 4, 5]
const LOADED = new Set([ES, SS, DS, FS, GS])

/**
 * The high half of a descriptor: see descriptors.ts.
 *
 *     23 granularity | 21 64-bit code | 19..16 limit | 15 present | 14..13 DPL | 12 code or data | 11 code | 9 read, write
 */
const GRANULAR = 1 << 23
const LONG = 1 << 21
const PRESENT = 1 << 15
const DPL_3 = 3 << 13
const CODE_OR_DATA = 1 << 12
const CODE = 1 << 11
const CONFORMING = 1 << 10
const READ_OR_WRITE = 1 << 9
/** System descriptors that lar and lsl know: LDT, TSS, busy TSS; lar knows call gates too. */
const HAS_LIMIT = new Set([2, 9, 11])
const CALL_GATE = 12

/** Carry out an instruction at rip. False for one that no guest needs: a general protection fault. */
export function segmentInstruction(call: Call, core: Core, i: Instruction): boolean {
  const at = { call, core }
  switch (i.name) {
    case 'mov':
    case 'pop':
      return loadsSegment(at, i)
    case 'lar':
    case 'lsl':
    case 'verr':
    case 'verw':
      return looksAtSegment(at, i)
    case 'retf':
      return returnsFar(at, i)
    case 'iret':
      return interruptReturn(at, i)
    default:
      return false
  }
}

/** A load of a data segment register by mov or pop. */
function loadsSegment(at: Place, i: Instruction): boolean {
  const { call, core } = at
  const { xen, vcpu, port } = call
  const [to, from] = i.operands
  if (to?.kind !== 'register' || to.class !== 'segment' || !LOADED.has(to.number)) return false
  const selector = from === undefined ? wordAt(at, stackOf(core, 0)) : operandValue(at, i, from)
  if (selector === null) return true
  const trap = xen.loadSegment(port, selector)
  if (trap !== null) {
    if (trap.vector === VECTOR_PF) port.faultAddress = trap.va
    xen.deliver(port, trap.vector, trap.error)
    return true
  }
  core.setSelector(to.number, selector)
  if (to.number === FS || to.number === GS) {
    const [lo, hi] = descriptorOf(xen, vcpu, selector) ?? [0, 0]
    const base = (lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff00_0000)
    core.setSegmentBase(to.number === FS ? 'fs' : 'gs', base >>> 0, 0)
  }
  if (i.name === 'pop') port.setVa(RSP, stackOf(core, i.size))
  return stepOver(core, i.length)
}

/** lar and lsl: access rights and limit of a segment; verr and verw: whether it can be read or written. ZF: it has them. */
function looksAtSegment(at: Place, i: Instruction): boolean {
  const { call, core } = at
  const asked = i.operands[i.operands.length - 1]
  const selector = operandValue(at, i, asked)
  if (selector === null) return true
  const descriptor = descriptorOf(call.xen, call.vcpu, selector)
  const value = descriptor === null ? null : answer(i.name, ...descriptor)
  const [to] = i.operands
  if (value !== null && i.operands.length === 2 && to.kind === 'register') {
    const old = core.register(to.number)
    if (i.size === 2) {
      const word = ((old & 0xffff_0000) | (value & 0xffff)) >>> 0
      core.setRegister(to.number, word, core.registerHigh(to.number))
    } else core.setRegister(to.number, value, 0)
  }
  const ZERO_FLAG = 1 << 6
  core.setFlags((core.getFlags() & ~ZERO_FLAG) | (value === null ? 0 : ZERO_FLAG))
  return stepOver(core, i.length)
}

/** What an instruction says of a descriptor, or null when it does not know it or ring 3 may not. */
function answer(name: string, lo: number, hi: number): number | null {
  const type = (hi >>> 8) & 15
  const isSegment = (hi & CODE_OR_DATA) !== 0
  const isConforming = isSegment && (hi & (CODE | CONFORMING)) === (CODE | CONFORMING)
  if ((hi & DPL_3) !== DPL_3 && !isConforming) return null
  if (name === 'verr') return isSegment && (hi & (CODE | READ_OR_WRITE)) !== CODE ? 1 : null
  if (name === 'verw') return isSegment && (hi & (CODE | READ_OR_WRITE)) === READ_OR_WRITE ? 1 : null
  if (!isSegment && !HAS_LIMIT.has(type) && !(name === 'lar' && type === CALL_GATE)) return null
  if (name === 'lar') return (hi & 0x00f0_ff00) >>> 0
  const limit = (lo & 0xffff) | (hi & 0x000f_0000)
  return (hi & GRANULAR) === 0 ? limit : ((limit << 12) | 0xfff) >>> 0
}

/** A far return, whose selector names 64-bit code of the guest's. */
function returnsFar(at: Place, i: Instruction): boolean {
  const { call, core } = at
  const rip = readStack(at, 0, i.size)
  const cs = rip === null ? null : readStack(at, i.size, i.size)
  if (rip === null || cs === null) return true
  if (!entersCode(at, cs[0] & 0xffff)) return true
  const [operand] = i.operands
  const removed = operand?.kind === 'immediate' ? operand.lo & 0xffff : 0
  core.setSelector(CS, cs[0] & 0xffff)
  core.setRip(...rip)
  call.port.setVa(RSP, stackOf(core, 2 * i.size + removed))
  return true
}

const IRET_WORDS = 5
/** What iret may change in ring 3: everything but IF, IOPL and what belongs to virtual 8086 mode. */
const LOADABLE = 0x0025_4dd5

/** iret to other segments than the running ones. */
function interruptReturn(at: Place, i: Instruction): boolean {
  const { call, core } = at
  const { xen, port } = call
  const words: (readonly [number, number])[] = []
  for (let n = 0; n < IRET_WORDS; n++) {
    const word = readStack(at, n * i.size, i.size)
    if (word === null) return true
    words.push(word)
  }
  const [rip, cs, flags, rsp, ss] = words
  if (!entersCode(at, cs[0] & 0xffff)) return true
  const trap = xen.loadSegment(port, ss[0] & 0xffff)
  if (trap !== null) {
    xen.deliver(port, trap.vector, trap.error)
    return true
  }
  core.setSelector(CS, cs[0] & 0xffff)
  core.setSelector(SS, ss[0] & 0xffff)
  core.setRip(...rip)
  core.setRegister(RSP, ...rsp)
  core.setFlags((core.getFlags() & ~LOADABLE) | (flags[0] & LOADABLE))
  return true
}

/** Whether a selector names code that this core runs: present, of ring 3, with 64 bits. Else the trap has been delivered. */
function entersCode({ call }: Place, selector: number): boolean {
  const { xen, vcpu, port } = call
  const hi = descriptorOf(xen, vcpu, selector)?.[1] ?? 0
  const WANTED = PRESENT | DPL_3 | CODE_OR_DATA | CODE | LONG
  const isCode = (selector & 3) === 3 && (hi & WANTED) === WANTED
  if (!isCode) xen.deliver(port, VECTOR_GP, selector & 0xfffc)
  return isCode
}

// ---- operands ----

/** The address of the stack pointer, moved by an offset. */
function stackOf(core: Core, offset: number): number {
  return ((core.registerHigh(RSP) & 0xffff) * 2 ** 32 + core.register(RSP) + offset) % TWO_48
}

/** A selector in a register or in memory; null after a fault. */
function operandValue(at: Place, i: Instruction, operand: Operand): number | null {
  if (operand.kind === 'register') return at.core.register(operand.number) & 0xffff
  return operand.kind === 'memory' ? wordAt(at, addressOf(at.core, i, operand)) : 0
}

/** The 48-bit address of a memory operand. */
function addressOf(core: Core, i: Instruction, operand: MemoryOperand): number {
  const low48 = (lo: number, hi: number): number => (hi & 0xffff) * 2 ** 32 + lo
  const of = (register: number): number =>
    register === NONE
      ? 0
      : register === RIP
        ? low48(core.ripLow, core.ripHigh) + i.length
        : low48(core.register(register), core.registerHigh(register))
  const { segment } = operand
  const base = segment === FS || segment === GS ? low48(...core.segmentBase(segment === FS ? 'fs' : 'gs')) : 0
  const sum = base + of(operand.base) + of(operand.index) * operand.scale + operand.displacement
  return ((sum % TWO_48) + TWO_48) % TWO_48
}

function wordAt(at: Place, va: number): number | null {
  const bytes = readBytes(at, va, 2)
  return bytes === null ? null : bytes[0] | (bytes[1] << 8)
}

/** A word of the stack, two halves; null after a fault. */
function readStack(at: Place, offset: number, size: number): readonly [lo: number, hi: number] | null {
  const bytes = readBytes(at, stackOf(at.core, offset), size)
  if (bytes === null) return null
  const half = (from: number): number =>
    bytes.slice(from, from + 4).reduce((value, byte, n) => value + byte * 2 ** (8 * n), 0)
  return [half(0), half(4)]
}

/** Bytes of the guest's memory; null when a page of them has faulted. */
function readBytes({ call }: Place, va: number, count: number): number[] | null {
  const { xen, port } = call
  const bytes: number[] = []
  for (let n = 0; n < count; n++) {
    const address = (va + n) % TWO_48
    const page = port.tryReadable(address)
    if (page === -1) {
      port.faultAddress = address
      xen.deliver(port, VECTOR_PF, port.kernelMode ? 0 : PF_USER)
      return null
    }
    bytes.push(xen.memory.u8[page * 4 + (address % PAGE)])
  }
  return bytes
}
