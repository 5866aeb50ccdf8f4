import {
  CS,
  FS,
  GS,
  type MemoryOperand,
  NONE,
  type Operand,
  type RegisterClass,
  RIP,
  type Size,
} from '../../machine/vcpu/instruction.ts'
import type { OperandSpec } from './opcodes.ts'

/** Thrown where an instruction goes on behind the bytes that are there. */
class NoBytes extends Error {}
export const TRUNCATED = new NoBytes('truncated')

/** The bytes of one instruction and what its prefixes say: the state of a decode. */
export class Reader {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  at: number
  rex = 0
  operand16 = false
  address32 = false
  lock = false
  /** The last of F2 and F3, which decides. */
  repeat = 0
  segment = NONE
  modrm = 0
  opcode = 0
  /** Whether 0F led to the opcode. */
  twoByte = false

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes
    this.start = at
    this.at = at
    this.end = end
  }

  u8(): number {
    if (this.at >= this.end) throw TRUNCATED
    return this.bytes[this.at++]
  }

  i8(): number {
    return (this.u8() << 24) >> 24
  }

  i16(): number {
    const low = this.u8()
    return ((low | (this.u8() << 8)) << 16) >> 16
  }

  i32(): number {
    const low = this.u8() | (this.u8() << 8)
    const high = this.u8() | (this.u8() << 8)
    return low | (high << 16)
  }

  get mod(): number {
    return this.modrm >> 6
  }

  /** ModRM.reg and ModRM.rm with the bits that REX adds. */
  get reg(): number {
    return ((this.modrm >> 3) & 7) | ((this.rex & 4) << 1)
  }

  get rm(): number {
    return (this.modrm & 7) | ((this.rex & 1) << 3)
  }
}

const FIXED_SIZES: Readonly<Record<string, number>> = { b: 1, w: 2, d: 4, q: 8, x: 16, n: 0 }

function sizeOf(r: Reader, letter: string, size: Size): number {
  switch (letter) {
    case 'v':
      return size
    case 'y':
      return (r.rex & 8) !== 0 ? 8 : 4
    case 'z':
      return size === 2 ? 2 : 4
    default:
      return FIXED_SIZES[letter]
  }
}

/** One operand by its place in the table; null where the bytes name none. */
export function decodeOperand(r: Reader, spec: OperandSpec, operandSize: Size): Operand | null {
  const size = sizeOf(r, spec.size, operandSize)
  switch (spec.how) {
    case 'E':
      return r.mod === 3 ? general(r, r.rm, size) : memory(r, size, spec)
    case 'R':
      // Moves of control and debug registers take a register whatever ModRM.mod says.
      return general(r, r.rm, size)
    case 'M':
      return r.mod === 3 ? null : memory(r, size, spec)
    case 'G':
      return general(r, r.reg, size)
    case 'Z':
      return general(r, (r.opcode & 7) | ((r.rex & 1) << 3), size)
    case 'A':
      return general(r, 0, size)
    case 'L':
      return general(r, 1, 1)
    case 'H':
      return general(r, 2, 2)
    case 'W':
      return r.mod === 3 ? register('xmm', r.rm, 16) : memory(r, size, spec)
    case 'U':
      return r.mod === 3 ? register('xmm', r.rm, 16) : null
    case 'V':
      return register('xmm', r.reg, 16)
    case 'Q':
      return r.mod === 3 ? register('mmx', r.modrm & 7, 8) : memory(r, size, spec)
    case 'N':
      return r.mod === 3 ? register('mmx', r.modrm & 7, 8) : null
    case 'P':
      return register('mmx', (r.modrm >> 3) & 7, 8)
    case 'S':
      return segmentRegister(r)
    case 'C':
      return controlRegister(r)
    case 'D':
      return r.reg > 7 ? null : register('debug', r.reg, 8)
    case 'FS':
      return register('segment', FS, 2)
    case 'I':
      return immediate(r, spec.size, operandSize)
    case 'J':
      return spec.size === 'b'
        ? { kind: 'target', displacement: r.i8(), size: 1 }
        : { kind: 'target', displacement: r.i32(), size: 4 }
    case 'O':
      return offset(r, size)
    case 'X':
      return stringOperand(6, size, r.segment)
    case 'Y':
      return stringOperand(7, size, NONE)
    case 'T':
      return stringOperand(7, size, r.segment)
    case 'B':
      // xlat's table at rbx; al is added to it.
      return stringOperand(3, size, r.segment)
    case '1':
      return { kind: 'immediate', lo: 1, hi: 0, size: 0 }
    default:
      return register('segment', GS, 2)
  }
}

/** A register as an operand, of which the instruction uses `size` bytes. */
export function register(kind: RegisterClass, number: number, size: number): Operand {
  return { kind: 'register', class: kind, number, size }
}

/** A general register; without REX the byte registers 4 to 7 are the high halves of the first four words. */
export function general(r: Reader, number: number, size: number): Operand {
  if (size === 1 && r.rex === 0 && number >= 4) return register('high', number - 4, 1)
  return register('general', number, size)
}

function segmentRegister(r: Reader): Operand | null {
  const number = (r.modrm >> 3) & 7
  if (number > GS) return null
  // cs cannot be loaded by a move.
  if (number === CS && r.opcode === 0x8e) return null
  return register('segment', number, 2)
}

function controlRegister(r: Reader): Operand | null {
  // AMD's other encoding of cr8 is cr0 with LOCK.
  if (r.lock && r.reg === 0) {
    r.lock = false
    return register('control', 8, 8)
  }
  return [0, 2, 3, 4, 8].includes(r.reg) ? register('control', r.reg, 8) : null
}

function immediate(r: Reader, letter: string, operandSize: Size): Operand {
  if (letter === 'v' && operandSize === 8) {
    const lo = r.i32()
    return { kind: 'immediate', lo, hi: r.i32(), size: 8 }
  }
  const bytes = letter === 'b' || letter === 's' ? 1 : letter === 'w' || operandSize === 2 ? 2 : 4
  const lo = bytes === 1 ? r.i8() : bytes === 2 ? r.i16() : r.i32()
  // A count of ret and enter has no sign.
  if (letter === 'w') return { kind: 'immediate', lo: lo & 0xffff, hi: 0, size: 2 }
  return { kind: 'immediate', lo, hi: lo >> 31, size: bytes }
}

function offset(r: Reader, size: number): Operand {
  const lo = r.i32()
  const hi = r.address32 ? 0 : r.i32()
  return {
    kind: 'memory',
    base: NONE,
    index: NONE,
    scale: 1,
    displacement: lo,
    displacementHigh: hi,
    segment: r.segment,
    size,
  }
}

function stringOperand(base: number, size: number, segment: number): Operand {
  return { kind: 'memory', base, index: NONE, scale: 1, displacement: 0, displacementHigh: 0, segment, size }
}

/**
 * The memory operand of ModRM. `mov` to and from segment registers names the operand size, but memory has 16 bits; so do
 * the stores of system registers.
 */
export function memory(r: Reader, size: number, spec: OperandSpec): MemoryOperand {
  const isWord = spec.size === 'v' && (r.twoByte ? r.opcode <= 0x01 : r.opcode === 0x8c)
  const bytes = isWord ? 2 : size
  let base = r.rm
  let index = NONE
  let scale: 1 | 2 | 4 | 8 = 1
  let displacement = 0
  const low = r.modrm & 7
  if (low === 4) {
    const sib = r.u8()
    scale = (1 << (sib >> 6)) as 1 | 2 | 4 | 8
    index = ((sib >> 3) & 7) | ((r.rex & 2) << 2)
    if (index === 4) index = NONE
    base = (sib & 7) | ((r.rex & 1) << 3)
    if ((sib & 7) === 5 && r.mod === 0) {
      base = NONE
      displacement = r.i32()
    }
  } else if (low === 5 && r.mod === 0) {
    base = RIP
    displacement = r.i32()
  }
  if (r.mod === 1) displacement = r.i8()
  else if (r.mod === 2) displacement = r.i32()
  return {
    kind: 'memory',
    base,
    index,
    scale,
    displacement,
    displacementHigh: displacement >> 31,
    segment: r.segment,
    size: bytes,
  }
}
