import { PAGE } from '../../bits/address.ts'
import { FS, NONE } from '../../machine/vcpu/instruction.ts'
import type { Cpu } from '../cpu.ts'
import { READ } from '../memory/access.ts'
import { FIELD, LOW_END } from '../state.ts'

/** What instructions that are carried out in TypeScript need: their outcomes, and their way to memory. */
export const DONE = 0
export const FAULT = 1
/** Go on at rip, which has been set. */
export const JUMP = 2
/** A trap: rip is behind the instruction, and the exception is set. */
export const TRAP = 3
/** The owner carries it out: it needs descriptors. */
export const SEGMENT = 4

/** Raise an exception of the instruction. */
export function raise(cpu: Cpu, vector: number, error = 0): number {
  cpu.port.setException(vector, error)
  return FAULT
}

/** Put an address, two halves, where translations are asked for; offsets carry. */
function setVa(cpu: Cpu, lo: number, hi: number, offset: number): void {
  const low = lo + offset
  cpu.setWord(FIELD.va, low >>> 0)
  cpu.setWord(FIELD.va + 4, hi + (low > 0xffff_ffff ? 1 : low < 0 ? -1 : 0))
}

/** Where bytes of memory are, for loads or stores; 0 after a fault. At most 16. */
export function at(cpu: Cpu, lo: number, hi: number, offset: number, bytes: number, access: number): number {
  setVa(cpu, lo, hi, offset)
  const low = cpu.word(FIELD.va)
  const isWithin = (low & (PAGE - 1)) + bytes <= PAGE
  const host = isWithin ? cpu.tlb.find(low, cpu.word(FIELD.va + 4), access !== READ) : 0
  return host !== 0 ? host : cpu.port.translate(access, bytes)
}

/** Carry out a store that was prepared by `at`; false after a fault. */
export function finish(cpu: Cpu, host: number): boolean {
  return host >= LOW_END || cpu.port.commit()
}

/** The address of the memory operand, with its segment's base: two halves. */
export function operandAddress(cpu: Cpu): readonly [lo: number, hi: number] {
  let segment: number = FIELD.zero
  for (const operand of cpu.site().instruction.operands) {
    if (operand.kind === 'memory' && operand.segment !== NONE) segment = baseField(operand.segment)
  }
  const lo = cpu.word(FIELD.computed) + cpu.word(segment)
  const hi = cpu.word(FIELD.computed + 4) + cpu.word(segment + 4) + (lo > 0xffff_ffff ? 1 : 0)
  return [lo >>> 0, hi >>> 0]
}

const baseField = (segment: number): number => (segment === FS ? FIELD.fsBase : FIELD.gsBase)

/** Up to 8 bytes at an address that `at` gave, as two halves, zero extended. */
export function read(cpu: Cpu, host: number, bytes: number): readonly [lo: number, hi: number] {
  if (bytes === 8 && (host & 3) === 0) return [cpu.words[host >>> 2], cpu.words[(host >>> 2) + 1]]
  let lo = 0
  let hi = 0
  for (let n = 0; n < bytes && n < 4; n++) lo += cpu.bytes[host + n] * 2 ** (8 * n)
  for (let n = 4; n < bytes; n++) hi += cpu.bytes[host + n] * 2 ** (8 * (n - 4))
  return [lo, hi]
}

/** Four bytes at an address that `at` gave. */
export function readWord(cpu: Cpu, host: number): number {
  if ((host & 3) === 0) return cpu.words[host >>> 2]
  const { bytes } = cpu
  return (bytes[host] | (bytes[host + 1] << 8) | (bytes[host + 2] << 16) | (bytes[host + 3] << 24)) >>> 0
}

/** Put four bytes at an address that `at` gave; `finish` carries the store out. */
export function writeWord(cpu: Cpu, host: number, word: number): void {
  for (let n = 0; n < 4; n++) cpu.bytes[host + n] = word >>> (8 * n)
}

/** Put up to 8 bytes, two halves, at an address that `at` gave; `finish` carries the store out. */
export function write(cpu: Cpu, host: number, bytes: number, value: readonly [number, number]): void {
  for (let n = 0; n < bytes; n++)
    cpu.bytes[host + n] = n < 4 ? value[0] >>> (8 * n) : value[1] >>> (8 * (n - 4))
}
