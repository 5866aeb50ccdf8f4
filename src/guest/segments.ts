import { PAGE } from '../bits/address.ts'
import type { Cpu } from '../cpu/cpu.ts'
import { type Instruction, type MemoryOperand, NONE, type Operand, RIP } from '../cpu/decode/instruction.ts'
import { PF_USER } from '../machine/vcpu/mmu.ts'
import { type Vcpu, VECTOR_GP, VECTOR_PF } from '../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { descriptorOf } from '../xen/mm/ldt.ts'

/**
 * Instructions that read segment descriptors. The tables are the guest's, as Xen has let it have them; what is wrong with a
 * selector is the guest's trap.
 */
type Place = { readonly cpu: Cpu; readonly xen: Hypervisor; readonly vcpu: Vcpu }

const TWO_48 = 2 ** 48
const RSP = 4
const [ES, CS, SS, DS, FS, GS] = [0, 1, 2, 3, 4, 5]
const LOADED = new Set([ES, SS, DS, FS, GS])

/**
 * The high half of a descriptor: see xen/descriptors.ts.
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
export function segmentInstruction(cpu: Cpu, xen: Hypervisor, vcpu: Vcpu, i: Instruction): boolean {
  const at = { cpu, xen, vcpu }
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

function step(cpu: Cpu, i: Instruction): true {
  const next = cpu.ripLow + i.length
  cpu.setRip(next >>> 0, cpu.ripHigh + (next > 0xffff_ffff ? 1 : 0))
  return true
}

/** A load of a data segment register by mov or pop. */
function loadsSegment(at: Place, i: Instruction): boolean {
  const { cpu, xen, vcpu } = at
  const [to, from] = i.operands
  if (to?.kind !== 'register' || to.class !== 'segment' || !LOADED.has(to.number)) return false
  const selector = from === undefined ? wordAt(at, stackOf(cpu, 0)) : operandValue(at, i, from)
  if (selector === null) return true
  const trap = xen.loadSegment(vcpu, selector)
  if (trap !== null) {
    if (trap.vector === VECTOR_PF) vcpu.faultAddress = trap.va
    xen.deliver(vcpu, trap.vector, trap.error)
    return true
  }
  cpu.setSelector(to.number, selector)
  if (to.number === FS || to.number === GS) {
    const [lo, hi] = descriptorOf(xen, xen.vcpuOf(vcpu), selector) ?? [0, 0]
    const base = (lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff00_0000)
    cpu.setSegmentBase(to.number === FS ? 'fs' : 'gs', base >>> 0, 0)
  }
  if (i.name === 'pop') vcpu.setVa(RSP, stackOf(cpu, i.size))
  return step(cpu, i)
}

/** lar and lsl: access rights and limit of a segment; verr and verw: whether it can be read or written. ZF: it has them. */
function looksAtSegment(at: Place, i: Instruction): boolean {
  const { cpu, xen, vcpu } = at
  const asked = i.operands[i.operands.length - 1]
  const selector = operandValue(at, i, asked)
  if (selector === null) return true
  const descriptor = descriptorOf(xen, xen.vcpuOf(vcpu), selector)
  const value = descriptor === null ? null : answer(i.name, ...descriptor)
  const [to] = i.operands
  if (value !== null && i.operands.length === 2 && to.kind === 'register') {
    const old = cpu.register(to.number)
    if (i.size === 2) {
      const word = ((old & 0xffff_0000) | (value & 0xffff)) >>> 0
      cpu.setRegister(to.number, word, cpu.registerHigh(to.number))
    } else cpu.setRegister(to.number, value, 0)
  }
  const ZERO_FLAG = 1 << 6
  cpu.setFlags((cpu.getFlags() & ~ZERO_FLAG) | (value === null ? 0 : ZERO_FLAG))
  return step(cpu, i)
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
  const { cpu, vcpu } = at
  const rip = readStack(at, 0, i.size)
  const cs = rip === null ? null : readStack(at, i.size, i.size)
  if (rip === null || cs === null) return true
  if (!entersCode(at, cs[0] & 0xffff)) return true
  const [operand] = i.operands
  const removed = operand?.kind === 'immediate' ? operand.lo & 0xffff : 0
  cpu.setSelector(CS, cs[0] & 0xffff)
  cpu.setRip(...rip)
  vcpu.setVa(RSP, stackOf(cpu, 2 * i.size + removed))
  return true
}

const IRET_WORDS = 5
/** What iret may change in ring 3: everything but IF, IOPL and what belongs to virtual 8086 mode. */
const LOADABLE = 0x0025_4dd5

/** iret to other segments than the running ones. */
function interruptReturn(at: Place, i: Instruction): boolean {
  const { cpu, xen, vcpu } = at
  const words: (readonly [number, number])[] = []
  for (let n = 0; n < IRET_WORDS; n++) {
    const word = readStack(at, n * i.size, i.size)
    if (word === null) return true
    words.push(word)
  }
  const [rip, cs, flags, rsp, ss] = words
  if (!entersCode(at, cs[0] & 0xffff)) return true
  const trap = xen.loadSegment(vcpu, ss[0] & 0xffff)
  if (trap !== null) {
    xen.deliver(vcpu, trap.vector, trap.error)
    return true
  }
  cpu.setSelector(CS, cs[0] & 0xffff)
  cpu.setSelector(SS, ss[0] & 0xffff)
  cpu.setRip(...rip)
  cpu.setRegister(RSP, ...rsp)
  cpu.setFlags((cpu.getFlags() & ~LOADABLE) | (flags[0] & LOADABLE))
  return true
}

/** Whether a selector names code that this core runs: present, of ring 3, with 64 bits. Else the trap has been delivered. */
function entersCode({ xen, vcpu }: Place, selector: number): boolean {
  const hi = descriptorOf(xen, xen.vcpuOf(vcpu), selector)?.[1] ?? 0
  const WANTED = PRESENT | DPL_3 | CODE_OR_DATA | CODE | LONG
  const isCode = (selector & 3) === 3 && (hi & WANTED) === WANTED
  if (!isCode) xen.deliver(vcpu, VECTOR_GP, selector & 0xfffc)
  return isCode
}

// ---- operands ----

/** The address of the stack pointer, moved by an offset. */
function stackOf(cpu: Cpu, offset: number): number {
  return ((cpu.registerHigh(RSP) & 0xffff) * 2 ** 32 + cpu.register(RSP) + offset) % TWO_48
}

/** A selector in a register or in memory; null after a fault. */
function operandValue(at: Place, i: Instruction, operand: Operand): number | null {
  if (operand.kind === 'register') return at.cpu.register(operand.number) & 0xffff
  return operand.kind === 'memory' ? wordAt(at, addressOf(at.cpu, i, operand)) : 0
}

/** The 48-bit address of a memory operand. */
function addressOf(cpu: Cpu, i: Instruction, operand: MemoryOperand): number {
  const low48 = (lo: number, hi: number): number => (hi & 0xffff) * 2 ** 32 + lo
  const of = (register: number): number =>
    register === NONE
      ? 0
      : register === RIP
        ? low48(cpu.ripLow, cpu.ripHigh) + i.length
        : low48(cpu.register(register), cpu.registerHigh(register))
  const { segment } = operand
  const base = segment === FS || segment === GS ? low48(...cpu.segmentBase(segment === FS ? 'fs' : 'gs')) : 0
  const sum = base + of(operand.base) + of(operand.index) * operand.scale + operand.displacement
  return ((sum % TWO_48) + TWO_48) % TWO_48
}

function wordAt(at: Place, va: number): number | null {
  const bytes = readBytes(at, va, 2)
  return bytes === null ? null : bytes[0] | (bytes[1] << 8)
}

/** A word of the stack, two halves; null after a fault. */
function readStack(at: Place, offset: number, size: number): readonly [lo: number, hi: number] | null {
  const bytes = readBytes(at, stackOf(at.cpu, offset), size)
  if (bytes === null) return null
  const half = (from: number): number =>
    bytes.slice(from, from + 4).reduce((value, byte, n) => value + byte * 2 ** (8 * n), 0)
  return [half(0), half(4)]
}

/** Bytes of the guest's memory; null when a page of them has faulted. */
function readBytes({ cpu, xen, vcpu }: Place, va: number, count: number): number[] | null {
  const bytes: number[] = []
  for (let n = 0; n < count; n++) {
    const address = (va + n) % TWO_48
    const page = vcpu.tryReadable(address)
    if (page === -1) {
      vcpu.faultAddress = address
      xen.deliver(vcpu, VECTOR_PF, vcpu.kernelMode ? 0 : PF_USER)
      return null
    }
    bytes.push(cpu.bytes[page * 4 + (address % PAGE)])
  }
  return bytes
}
