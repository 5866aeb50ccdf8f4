import type { Instruction } from '../../machine/vcpu/instruction.ts'
import type { Cpu } from '../cpu.ts'
import { READ, WRITE } from '../memory/access.ts'
import { FIELD } from '../state.ts'
import { at, DONE, FAULT, finish, operandAddress, raise, read, write } from './assist-access.ts'

/**
 * The state of SSE and x87 in memory.
 *
 *     fxsave   0 control | 2 status | 4 tags, one bit each | 6 opcode | 8 instruction | 16 operand | 24 mxcsr | 28 its mask
 *              32 st(0) to st(7), 16 bytes each | 160 xmm0 to xmm15 | 416 not used, not written
 */
const MXCSR_MASK = 0xffff
export const IMAGE_BYTES = 416

/** Load `bytes` bytes from the memory operand, 16 at a time; null after a fault. */
export function loadImage(cpu: Cpu, bytes: number): Uint8Array<ArrayBuffer> | null {
  const [lo, hi] = operandAddress(cpu)
  const image = new Uint8Array(bytes)
  for (let n = 0; n < bytes; n += 16) {
    const count = Math.min(16, bytes - n)
    const host = at(cpu, lo, hi, n, count, READ)
    if (host === 0) return null
    image.set(cpu.bytes.subarray(host, host + count), n)
  }
  return image
}

/** Store bytes to the memory operand. All of it is looked at first, so that a fault leaves memory as it was. */
export function storeImage(cpu: Cpu, image: Uint8Array): boolean {
  const [lo, hi] = operandAddress(cpu)
  for (let n = 0; n < image.length; n += 16) {
    if (at(cpu, lo, hi, n, Math.min(16, image.length - n), WRITE) === 0) return false
  }
  for (let n = 0; n < image.length; n += 16) {
    const count = Math.min(16, image.length - n)
    const host = at(cpu, lo, hi, n, count, WRITE)
    if (host === 0) return false
    cpu.bytes.set(image.subarray(n, n + count), host)
    if (!finish(cpu, host)) return false
  }
  return true
}

const top = (cpu: Cpu): number => (cpu.word(FIELD.statusWord) >>> 11) & 7

const POINTERS = [FIELD.lastInstruction, FIELD.lastInstruction + 4, FIELD.lastData, FIELD.lastData + 4]

/** The registers of x87 and SSE as fxsave stores them. */
export function fpuImage(cpu: Cpu): Uint8Array {
  const image = new Uint8Array(IMAGE_BYTES)
  const view = new DataView(image.buffer)
  view.setUint16(0, cpu.word(FIELD.controlWord), true)
  view.setUint16(2, cpu.word(FIELD.statusWord), true)
  view.setUint8(4, cpu.word(FIELD.tagWord))
  view.setUint16(6, cpu.word(FIELD.lastOpcode), true)
  for (const [n, field] of POINTERS.entries()) view.setUint32(8 + n * 4, cpu.word(field), true)
  view.setUint32(24, cpu.mxcsr, true)
  view.setUint32(28, MXCSR_MASK, true)
  for (let n = 0; n < 8; n++) image.set(cpu.x87((n + top(cpu)) & 7).subarray(0, 10), 32 + n * 16)
  for (let n = 0; n < 16; n++) {
    for (const [w, word] of cpu.xmm(n).entries()) view.setUint32(160 + n * 16 + w * 4, word, true)
  }
  return image
}

/** Load an image of 416 bytes. Bits of mxcsr that there are not are left out. */
export function loadFpuImage(cpu: Cpu, image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  cpu.mxcsr = view.getUint32(24, true) & MXCSR_MASK
  setControl(cpu, view.getUint16(0, true))
  cpu.setWord(FIELD.statusWord, view.getUint16(2, true))
  summarize(cpu)
  cpu.setWord(FIELD.tagWord, view.getUint8(4))
  cpu.setWord(FIELD.lastOpcode, view.getUint16(6, true))
  for (const [n, field] of POINTERS.entries()) cpu.setWord(field, view.getUint32(8 + n * 4, true))
  for (let n = 0; n < 8; n++) {
    const register = cpu.x87((n + top(cpu)) & 7)
    register.set(image.subarray(32 + n * 16, 42 + n * 16))
  }
  for (let n = 0; n < 16; n++) {
    const words = cpu.xmm(n)
    for (let w = 0; w < 4; w++) words[w] = view.getUint32(160 + n * 16 + w * 4, true)
  }
}

function save(cpu: Cpu): number {
  if ((operandAddress(cpu)[0] & 15) !== 0) return raise(cpu, 13)
  return storeImage(cpu, fpuImage(cpu)) ? DONE : FAULT
}

function restore(cpu: Cpu): number {
  if ((operandAddress(cpu)[0] & 15) !== 0) return raise(cpu, 13)
  const image = loadImage(cpu, IMAGE_BYTES)
  if (image === null) return FAULT
  const mxcsr = new DataView(image.buffer).getUint32(24, true)
  if ((mxcsr & ~MXCSR_MASK) !== 0) return raise(cpu, 13)
  loadFpuImage(cpu, image)
  return DONE
}

/** The control word: bit 6 is always set. */
export function setControl(cpu: Cpu, value: number): void {
  cpu.setWord(FIELD.controlWord, (value & 0x1f7f) | 0x40)
  summarize(cpu)
}

/** The status word's summary: whether an exception waits that is not masked. */
export function summarize(cpu: Cpu): void {
  const status = cpu.word(FIELD.statusWord)
  const waits = (status & ~cpu.word(FIELD.controlWord) & 0x3f) !== 0
  cpu.setWord(FIELD.statusWord, waits ? status | 0x8080 : status & ~0x8080)
}

function loadMxcsr(cpu: Cpu): number {
  const [lo, hi] = operandAddress(cpu)
  const host = at(cpu, lo, hi, 0, 4, READ)
  if (host === 0) return FAULT
  const value = read(cpu, host, 4)[0]
  if ((value & ~MXCSR_MASK) !== 0) return raise(cpu, 13)
  cpu.mxcsr = value
  return DONE
}

function storeMxcsr(cpu: Cpu): number {
  const [lo, hi] = operandAddress(cpu)
  const host = at(cpu, lo, hi, 0, 4, WRITE)
  if (host === 0) return FAULT
  write(cpu, host, 4, [cpu.mxcsr, 0])
  return finish(cpu, host) ? DONE : FAULT
}

/** maskmovdqu and maskmovq: the bytes whose mask has its highest bit set, to [rdi] with the segment's base. */
function maskedMove(cpu: Cpu, i: Instruction): number {
  const [from, mask] = i.operands.slice(1) as unknown as { number: number }[]
  const bytes = i.name === 'maskmovq' ? 8 : 16
  const isMmx = bytes === 8
  if (isMmx && (cpu.word(FIELD.statusWord) & 0x80) !== 0) return raise(cpu, 16)
  const view = (n: number): Uint8Array => {
    if (isMmx) return cpu.x87(n)
    const words = cpu.xmm(n)
    return new Uint8Array(words.buffer, words.byteOffset, 16)
  }
  const data = view(from.number)
  const bits = view(mask.number)
  const [lo, hi] = operandAddress(cpu)
  for (let n = 0; n < bytes; n++) {
    if ((bits[n] & 0x80) === 0) continue
    const host = at(cpu, lo, hi, n, 1, WRITE)
    if (host === 0) return FAULT
    cpu.bytes[host] = data[n]
    if (!finish(cpu, host)) return FAULT
  }
  if (isMmx) {
    cpu.setWord(FIELD.statusWord, cpu.word(FIELD.statusWord) & ~0x3800)
    cpu.setWord(FIELD.tagWord, 0xff)
  }
  return DONE
}

export const STATE_INSTRUCTIONS: Readonly<Record<string, (cpu: Cpu, i: Instruction) => number>> = {
  fxsave: save,
  fxrstor: restore,
  ldmxcsr: loadMxcsr,
  stmxcsr: storeMxcsr,
  maskmovdqu: maskedMove,
  maskmovq: maskedMove,
}
