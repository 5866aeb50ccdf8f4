import { AC, CF, ID, NT, PF, ZF } from '../state.ts'
import {
  ALL_FLAGS,
  type FlagUse,
  flags,
  NO_OPERANDS,
  ONE_SIZE,
  REGISTERS,
  SETS_ARITHMETIC,
  type Semantic,
  semantic,
} from './semantic.ts'

/**
 * What src/cpu/assist/ carries out in TypeScript, for those that touch flags, use the stack or go elsewhere. Every other
 * instruction without a semantic of its own is `ASSISTED`: it does none of that, or is not there, which is #UD.
 */
function assisted(name: string, special: Partial<Semantic>): Semantic {
  return semantic({
    name,
    operands: NO_OPERANDS,
    sizes: ONE_SIZE,
    forms: REGISTERS,
    ...special,
    write: null,
  })
}

export const ASSISTED = assisted('assisted', { mnemonics: [] })
/** `enter` with copies of outer frames' pointers. */
export const NESTED_ENTER = assisted('enter nested', { mnemonics: [], usesStack: true })

/** `popf` and `iret`: the 16-bit forms leave the upper half. */
const LOADS_FLAGS = flags({ sets: ALL_FLAGS & ~(AC | ID), maySet: AC | ID })

/** fcmovcc, by the end of its name. */
const MOVES: Readonly<Record<string, number>> = { b: CF, e: ZF, be: CF | ZF, u: PF }

export const ASSISTED_SEMANTICS: readonly Semantic[] = [
  ASSISTED,
  NESTED_ENTER,
  assisted('popf', { flags: LOADS_FLAGS, usesStack: true }),
  // With NT it would be a task switch: #GP.
  assisted('iret', { flags: addRead(LOADS_FLAGS, NT), usesStack: true, endsBlock: true }),
  assisted('retf', { usesStack: true, endsBlock: true }),
  assisted('int', { endsBlock: true }),
  assisted('int1', { endsBlock: true }),
  assisted('int3', { endsBlock: true }),
  assisted('cmpxchg8b', { flags: flags({ sets: ZF }) }),
  assisted('cmpxchg16b', { flags: flags({ sets: ZF }) }),
  ...['fcomi', 'fcomip', 'fucomi', 'fucomip'].map((name) => assisted(name, { flags: SETS_ARITHMETIC })),
  ...Object.entries(MOVES).flatMap(([condition, reads]) =>
    ['', 'n'].map((not) => assisted(`fcmov${not}${condition}`, { flags: flags({ reads }) })),
  ),
]

function addRead(use: FlagUse, bits: number): FlagUse {
  return { ...use, reads: use.reads | bits }
}
