/**
 * Instruction forms in the notation of the manuals, one a line: the opcode, a colon, the instruction.
 *
 *     66 0f 58 /r : addpd x, x/m128
 *
 * The opcode column has the prefixes and opcode bytes in hex, `w` for REX.W, `+r` behind the byte that holds a register,
 * and `/r` or `/0` to `/7` for a ModRM byte. Operands are `r32` (reg field, or `+r`), `r/m32`, `m32` (memory only, `m0`: an address
 * that is not accessed), `x` (xmm in the reg field), `x/m64`, `xr` (xmm in the rm field, never memory), `mm`, `mm/m64`, `mmr`, `imm8`,
 * `rel32`, `moffs16`; anything else is implied and only stands in the name. A `v` for the size makes three forms, of 16, 32 and
 * 64 bits, a `y` two, of 32 and 64; `immv` is imm16 or imm32.
 */

export type OperandKind =
  | 'r'
  | 'rm'
  | 'm'
  | 'x'
  | 'xm'
  | 'xr'
  | 'mm'
  | 'mmm'
  | 'mmr'
  | 'imm'
  | 'rel'
  | 'moffs'
  | 'implied'

export type Operand = {
  readonly kind: OperandKind
  /** Size in bits, of the memory operand where it can be one; 0 for an address only. */
  readonly bits: number
}

export type Form = {
  /** `add r/m32, r32`: what differences are counted by. */
  readonly name: string
  readonly mnemonic: string
  /** 0x66, 0xf2 or 0xf3, part of the opcode or the operand size. */
  readonly prefixes: readonly number[]
  readonly rexW: boolean
  readonly opcode: readonly number[]
  /** Whether the low three bits of the last opcode byte are a register. */
  readonly plusRegister: boolean
  /** The reg field of the ModRM byte: a register operand, a number, or no ModRM byte at all. */
  readonly modrm: 'register' | 'none' | number
  readonly operands: readonly Operand[]
}

const PREFIXES = [0x66, 0xf2, 0xf3]

/** Read lines of forms. Blank lines and what follows a `#` do not count. */
export function forms(text: string): Form[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .flatMap(formsOfLine)
}

function formsOfLine(line: string): Form[] {
  const [opcode, instruction] = line.split(' : ').map((part) => part.trim())
  const sizes = /(^| |\/|r|m|s)v\b/.test(instruction)
    ? [16, 32, 64]
    : /[rm]y\b/.test(instruction)
      ? [32, 64]
      : [0]
  return sizes.map((size) => {
    const sized = instruction
      .replaceAll('immv', `imm${Math.min(size, 32)}`)
      .replace(/([rms])[vy]\b/g, `$1${size}`)
    const prefix = size === 16 ? '66 ' : size === 64 ? 'w ' : ''
    return form(prefix + opcode, sized)
  })
}

function form(opcode: string, name: string): Form {
  const words = opcode.split(/\s+/)
  const bytes: number[] = []
  const prefixes: number[] = []
  let rexW = false
  let plusRegister = false
  let modrm: Form['modrm'] = 'none'
  for (const word of words) {
    const byte = Number.parseInt(word, 16)
    if (word === 'w') rexW = true
    else if (word === '/r') modrm = 'register'
    else if (word.startsWith('/')) modrm = Number(word.slice(1))
    else if (bytes.length === 0 && PREFIXES.includes(byte) && words.length > 1) prefixes.push(byte)
    else bytes.push(byte)
    if (word.endsWith('+r')) plusRegister = true
  }
  const [mnemonic, ...rest] = name.split(' ')
  const operands = rest
    .join(' ')
    .split(',')
    .filter((word) => word !== '')
    .map((word) => operand(word.trim()))
  return { name, mnemonic, prefixes, rexW, opcode: bytes, plusRegister, modrm, operands }
}

const KINDS: readonly [RegExp, OperandKind, number][] = [
  [/^r\/m(\d+)$/, 'rm', 0],
  [/^x\/m(\d+)$/, 'xm', 0],
  [/^mm\/m(\d+)$/, 'mmm', 0],
  [/^r(8|16|32|64)$/, 'r', 0],
  [/^m(\d+)$/, 'm', 0],
  [/^x$/, 'x', 128],
  [/^xr$/, 'xr', 128],
  [/^mm$/, 'mm', 64],
  [/^mmr$/, 'mmr', 64],
  [/^imm(\d+)$/, 'imm', 0],
  [/^rel(\d+)$/, 'rel', 0],
  [/^moffs(\d+)$/, 'moffs', 0],
]

function operand(word: string): Operand {
  for (const [pattern, kind, bits] of KINDS) {
    const match = pattern.exec(word)
    if (match !== null) return { kind, bits: match[1] === undefined ? bits : Number(match[1]) }
  }
  return { kind: 'implied', bits: 0 }
}
