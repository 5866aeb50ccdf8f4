import {
  CS,
  FS,
  GS,
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  type RegisterClass,
  RIP,
  type Size,
} from './instruction.ts'
import {
  type Form,
  ONE_BYTE_MAP,
  type OperandSpec,
  REGISTER_FORMS_01,
  type Row,
  TWO_BYTE_MAP,
  X87_MEMORY,
  X87_REGISTER,
  X87_WHOLE,
} from './opcodes.ts'

/**
 * Why bytes are no instruction: `undefined` raises #UD, `truncated` needs the bytes behind `end` to say, and one that is
 * `too long`, beyond fifteen bytes, raises #GP.
 */
export type NoInstruction = 'undefined' | 'truncated' | 'too long'

const MAX_LENGTH = 15

const PREFIX_66 = 1
const PREFIX_F3 = 2
const PREFIX_F2 = 3

/** Two-byte opcode AE with a register, by ModRM.reg. */
const FENCES = ['', '', '', '', '', 'lfence', 'mfence', 'sfence']

/** Instructions that take LOCK, with a memory destination. */
const LOCKABLE = new Set(
  'add or adc sbb and sub xor inc dec not neg xchg xadd cmpxchg cmpxchg8b cmpxchg16b bts btr btc'.split(' '),
)

class NoBytes extends Error {}
const TRUNCATED = new NoBytes('truncated')

/** The bytes of one instruction and what its prefixes say: the state of a decode. */
class Reader {
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

/**
 * Decode the instruction at `bytes[at]`; none of its bytes may lie at `end` or behind it. Long mode, 64-bit code. What
 * x86-64 with SSE2 does not have is undefined.
 */
export function decode(bytes: Uint8Array, at: number, end: number): Instruction | NoInstruction {
  const reader = new Reader(bytes, at, Math.min(end, at + MAX_LENGTH))
  try {
    return decodeOpcode(reader)
  } catch (error) {
    if (error !== TRUNCATED) throw error
    return end - at >= MAX_LENGTH ? 'too long' : 'truncated'
  }
}

function decodeOpcode(r: Reader): Instruction | NoInstruction {
  let byte = prefixes(r)
  let map = ONE_BYTE_MAP
  if (byte === 0x0f) {
    byte = r.u8()
    map = TWO_BYTE_MAP
    r.twoByte = true
  }
  r.opcode = byte
  if (map === ONE_BYTE_MAP && byte >= 0xd8 && byte <= 0xdf) return decodeX87(r)
  const row = map[byte]
  if (row === null) return 'undefined'
  if (row.modrm) r.modrm = r.u8()
  if (map === TWO_BYTE_MAP && byte === 0x01 && r.mod === 3) {
    const name = REGISTER_FORMS_01[r.modrm]
    if (name !== undefined) return finish(r, name, 4, [])
  }
  if (map === TWO_BYTE_MAP && byte === 0xae && r.mod === 3) {
    const fence = FENCES[(r.modrm >> 3) & 7]
    return fence === '' || r.operand16 || r.repeat !== 0 ? 'undefined' : finish(r, fence, 4, [])
  }
  const form = select(r, row)
  if (form === null) return 'undefined'
  return decodeForm(r, form)
}

/** Read the prefixes; the byte behind them. A REX prefix counts only directly before the opcode. */
function prefixes(r: Reader): number {
  for (;;) {
    const byte = r.u8()
    if ((byte & 0xf0) === 0x40) {
      r.rex = byte
      continue
    }
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        // es, cs, ss and ds: no effect in 64-bit code, not even on an fs or gs before them.
        break
      case 0x64:
        r.segment = FS
        break
      case 0x65:
        r.segment = GS
        break
      case 0x66:
        r.operand16 = true
        break
      case 0x67:
        r.address32 = true
        break
      case 0xf0:
        r.lock = true
        break
      case 0xf2:
        r.repeat = PREFIX_F2
        break
      case 0xf3:
        r.repeat = PREFIX_F3
        break
      default:
        return byte
    }
    r.rex = 0
  }
}

function select(r: Reader, row: Row): Form | null {
  let column = 0
  if (row.byPrefix) column = r.repeat !== 0 ? r.repeat : r.operand16 ? PREFIX_66 : 0
  const cell = row.columns[column] ?? null
  if (cell === null || !Array.isArray(cell)) return cell as Form | null
  return cell[(r.modrm >> 3) & 7] ?? null
}

function decodeForm(r: Reader, form: Form): Instruction | NoInstruction {
  const wide = (r.rex & 8) !== 0
  let size: Size = wide ? 8 : r.operand16 ? 2 : 4
  if (form.size64 === 'default' && !r.operand16) size = 8
  if (form.size64 === 'always') size = 8
  let name = form.name
  if (name === 'nop' && r.opcode === 0x90 && !r.twoByte) {
    if ((r.rex & 1) !== 0) return finish(r, 'xchg', size, [general(r, 8, size), general(r, 0, size)])
    if (r.repeat === PREFIX_F3) name = 'pause'
  } else if (name === 'nop' && r.opcode === 0x1e && r.repeat === PREFIX_F3 && r.modrm === 0xfa) {
    return finish(r, 'endbr64', size, [])
  } else if (name === 'cmpxchg8b' && wide) {
    name = 'cmpxchg16b'
  } else if ((name === 'movlps' || name === 'movhps') && r.mod === 3) {
    name = name === 'movlps' ? 'movhlps' : 'movlhps'
  } else if (name === 'clflush' || name === 'fxsave' || name === 'fxrstor') {
    if (r.operand16 || r.repeat !== 0) return 'undefined'
  }
  const operands: Operand[] = []
  for (const spec of form.operands) {
    const operand = decodeOperand(r, spec, size)
    if (operand === null) return 'undefined'
    operands.push(operand)
    const isSized = operand.kind === 'register' || operand.kind === 'memory'
    if (isSized && spec.size === 'b' && operands.length === 1) size = 1
  }
  return finish(r, name, size, operands)
}

function finish(r: Reader, name: string, size: Size, operands: Operand[]): Instruction | NoInstruction {
  if (r.lock && !(LOCKABLE.has(name) && operands[0]?.kind === 'memory')) return 'undefined'
  const conditional = name === 'jcc' || name === 'setcc' || name === 'cmovcc'
  return {
    name,
    length: r.at - r.start,
    size,
    operands,
    condition: conditional ? r.opcode & 15 : NONE,
    lock: r.lock,
    rep: r.repeat === 0 ? '' : r.repeat === PREFIX_F3 ? 'rep' : 'repne',
    addressSize: r.address32 ? 4 : 8,
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

function decodeOperand(r: Reader, spec: OperandSpec, operandSize: Size): Operand | null {
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

function register(kind: RegisterClass, number: number, size: number): Operand {
  return { kind: 'register', class: kind, number, size }
}

/** A general register; without REX the byte registers 4 to 7 are the high halves of the first four words. */
function general(r: Reader, number: number, size: number): Operand {
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
function memory(r: Reader, size: number, spec: OperandSpec): MemoryOperand {
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

function decodeX87(r: Reader): Instruction | NoInstruction {
  const row = r.opcode - 0xd8
  r.modrm = r.u8()
  const reg = (r.modrm >> 3) & 7
  if (r.mod !== 3) {
    const cell = X87_MEMORY[row][reg]
    if (cell === '-') return 'undefined'
    const name = cell.replace(/\d+$/, '')
    return finish(r, name, 4, [memory(r, Number(cell.slice(name.length)), { how: 'M', size: 'n' })])
  }
  const cell = X87_REGISTER[row][reg]
  if (cell === '@' || cell === '-') {
    const name = X87_WHOLE[(r.opcode << 8) | r.modrm]
    if (name === undefined) return 'undefined'
    return finish(r, name, 4, name === 'fnstsw' ? [register('general', 0, 2)] : [])
  }
  const name = cell.slice(0, -1)
  const sti = register('st', r.modrm & 7, 10)
  const st0 = register('st', 0, 10)
  const how = cell.at(-1)
  return finish(r, name, 4, how === '*' ? [st0, sti] : how === '<' ? [sti, st0] : [sti])
}
