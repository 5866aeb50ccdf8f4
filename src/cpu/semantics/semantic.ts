import type { Size } from '../../machine/vcpu/instruction.ts'
import { AC, AF, CF, DF, ID, NT, OF, PF, SF, ZF } from '../state.ts'
import type { Emitter, OperandForm } from './emitter.ts'

/**
 * What an operation is, said once and free of whoever carries it out: which instructions it is of, in which sizes and
 * forms, what it does to flags, where execution goes on, and its code, written against an `Emitter`. select.ts leads from
 * an instruction to its semantic.
 */
export type Semantic = {
  /** Mostly the mnemonic; with more where one mnemonic has several: `jcc 4`, `movzx 1 to 4`, `rep movs`. */
  readonly name: string
  /**
   * Instructions that it is of, whatever their operands; of those with vector registers, what select-vector.ts calls them.
   * Empty where select.ts looks at more than the mnemonic.
   */
  readonly mnemonics: readonly string[]
  /** Which operands of the instruction are its first and its second: numbers into the list, or -1. */
  readonly operands: Roles
  /** Bytes of the operation. With one size alone it is that, whatever the instruction's is. */
  readonly sizes: readonly Size[]
  /** Where the first two operands may be. */
  readonly forms: readonly OperandForm[]
  readonly flags: FlagUse
  /** Whether what is executed next may be something else than the instruction behind it, faults aside. */
  readonly endsBlock: boolean
  /** Whether it goes, or may go, to the target that the instruction names. */
  readonly isDirect: boolean
  /** Whether it uses the stack without naming it: addresses near rsp that are not canonical raise #SS. */
  readonly usesStack: boolean
  /** Whether somebody outside carries it out, always or at times, and is to find the instruction. */
  readonly isKept: boolean
  /** Its code; null where src/cpu/assist/ has it, in TypeScript. */
  readonly write: ((e: Emitter) => void) | null
}

export type Roles = readonly [first: number, second: number]

/**
 * Flags, as bits of rflags, of an instruction that does not fault. TF is none of them: it changes what follows every
 * instruction. What the manuals leave undefined is as the core has it.
 */
export type FlagUse = {
  /** What registers, memory, other flags or the way on depend on. */
  readonly reads: number
  /** What it leaves with a value that does not depend on the one before. */
  readonly sets: number
  /** What it sets or leaves as it was, as operands have it. */
  readonly maySet: number
}

/** The six flags that arithmetic sets. */
export const ARITHMETIC = CF | PF | AF | ZF | SF | OF
/** All that this table speaks of. */
export const ALL_FLAGS = ARITHMETIC | DF | NT | AC | ID

/** Declare what an instruction does to flags; what is left out is nothing. */
export function flags(use: Partial<FlagUse>): FlagUse {
  return { reads: use.reads ?? 0, sets: use.sets ?? 0, maySet: use.maySet ?? 0 }
}

export const NO_FLAGS = flags({})
export const SETS_ARITHMETIC = flags({ sets: ARITHMETIC })
/** Of what its owner carries out: who may look at every flag, and change it. */
export const OWNERS_FLAGS = flags({ reads: ALL_FLAGS, maySet: ALL_FLAGS })

export const SIZES = [1, 2, 4, 8] as const
/** Sizes of operations that have no 8-bit form. */
export const WIDE = [2, 4, 8] as const
/** Sizes of operations on the stack. */
export const STACK_SIZES = [2, 8] as const
/** Of operations whose size says nothing. */
export const ONE_SIZE = [8] as const

export const REGISTERS: readonly OperandForm[] = ['rr']
export const BOTH: readonly OperandForm[] = ['rr', 'mr']
export const LOADING: readonly OperandForm[] = ['rr', 'rm']
export const ALL_FORMS: readonly OperandForm[] = ['rr', 'rm', 'mr']

/** Roles of operands: the first two; the first alone, to be written or to be read; none. */
export const FIRST_TWO: Roles = [0, 1]
export const WRITES_ONE: Roles = [0, -1]
export const READS_ONE: Roles = [-1, 0]
export const NO_OPERANDS: Roles = [-1, -1]

/**
 * A semantic, of which only what is special is said. Left out, an operation is of the instruction with its name, in all
 * sizes and forms, on its first two operands, touches no flag and is followed by the next instruction.
 */
export function semantic(
  special: { readonly name: string; readonly write: ((e: Emitter) => void) | null } & Partial<Semantic>,
): Semantic {
  return {
    mnemonics: [special.name],
    operands: FIRST_TWO,
    sizes: SIZES,
    forms: ALL_FORMS,
    flags: NO_FLAGS,
    endsBlock: false,
    isDirect: false,
    usesStack: false,
    isKept: special.write === null,
    ...special,
  }
}

/** One without operands and without a size of its own. */
export function plainSemantic(
  special: { readonly name: string; readonly write: ((e: Emitter) => void) | null } & Partial<Semantic>,
): Semantic {
  return semantic({ operands: NO_OPERANDS, sizes: ONE_SIZE, forms: REGISTERS, ...special })
}

/** Code that differs between forms, and the forms that there are. */
export function byForm(codes: Partial<Record<OperandForm, (e: Emitter) => void>>): {
  forms: readonly OperandForm[]
  write: (e: Emitter) => void
} {
  return { forms: Object.keys(codes) as OperandForm[], write: (e) => codes[e.form]?.(e) }
}
