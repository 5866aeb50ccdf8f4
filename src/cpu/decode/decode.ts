import { FS, GS, type Instruction, NONE, type Operand, type Size } from '../../machine/vcpu/instruction.ts'
import { decodeOperand, general, memory, Reader, register, TRUNCATED } from './decode-operands.ts'
import {
  type Form,
  ONE_BYTE_MAP,
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
  const { length } = form.operands
  // As long as it will be: a list that grows takes room for many more.
  const operands = new Array<Operand>(length)
  for (let n = 0; n < length; n++) {
    const spec = form.operands[n]
    const operand = decodeOperand(r, spec, size)
    if (operand === null) return 'undefined'
    operands[n] = operand
    const isSized = operand.kind === 'register' || operand.kind === 'memory'
    if (isSized && spec.size === 'b' && n === 0) size = 1
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

function decodeX87(r: Reader): Instruction | NoInstruction {
  const row = r.opcode - 0xd8
  r.modrm = r.u8()
  const reg = (r.modrm >> 3) & 7
  if (r.mod !== 3) {
    const cell = X87_MEMORY[row][reg]
    if (cell === '-') return 'undefined'
    const name = cell.replace(/\d+/, '')
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
