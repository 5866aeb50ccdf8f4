/** One decoded x86-64 instruction, as plain data: what the bytes say, before anybody asks what it does. */
export type Instruction = {
  /** The mnemonic. The sixteen conditions share `jcc`, `setcc` and `cmovcc`; the string operations carry no size. */
  readonly name: string
  /** Bytes, 1 to 15. */
  readonly length: number
  /** Bytes of the operation: 1, 2, 4 or 8; of vector and x87 instructions what the prefixes would give an integer one. */
  readonly size: Size
  readonly operands: readonly Operand[]
  /** Condition code of `jcc`, `setcc`, `cmovcc` (the low four bits of the opcode), else -1. */
  readonly condition: number
  readonly lock: boolean
  readonly rep: '' | 'rep' | 'repne'
  /** 8 bytes, or 4 with the prefix 67. */
  readonly addressSize: 4 | 8
}

export type Size = 1 | 2 | 4 | 8

export type RegisterClass =
  | 'general'
  /** ah, ch, dh and bh: numbers 0 to 3. */
  | 'high'
  | 'segment'
  | 'control'
  | 'debug'
  | 'mmx'
  | 'xmm'
  | 'st'

export type Operand = RegisterOperand | MemoryOperand | ImmediateOperand | TargetOperand

export type RegisterOperand = {
  readonly kind: 'register'
  readonly class: RegisterClass
  readonly number: number
  /** Bytes that the instruction uses of it. */
  readonly size: number
}

export type MemoryOperand = {
  readonly kind: 'memory'
  /** General register 0..15, `RIP` (relative to the end of the instruction), or `NONE`. */
  readonly base: number
  readonly index: number
  readonly scale: 1 | 2 | 4 | 8
  /** Low and high half of the displacement, sign extended to 64 bits; signed numbers. */
  readonly displacement: number
  readonly displacementHigh: number
  /** `FS`, `GS` or `NONE`: in long mode all others have base 0 and no limit. */
  readonly segment: number
  /** Bytes accessed; 0 where the instruction alone knows. */
  readonly size: number
}

export type ImmediateOperand = {
  readonly kind: 'immediate'
  /** Halves of the value, extended to 64 bits as the instruction extends it; signed numbers. */
  readonly lo: number
  readonly hi: number
  /** Bytes that it takes in the instruction. */
  readonly size: number
}

/** Where a relative jump goes, counted from the end of the instruction. */
export type TargetOperand = {
  readonly kind: 'target'
  readonly displacement: number
  readonly size: number
}

export const NONE = -1
/** Base register number of addresses relative to the instruction pointer. */
export const RIP = 16
/** Segment registers in the CPU's numbering. */
export const ES = 0
export const CS = 1
export const SS = 2
export const DS = 3
export const FS = 4
export const GS = 5
