import type { Size } from '../../machine/vcpu/instruction.ts'
import { INTEGER_SEMANTICS, OTHER_SEMANTICS } from '../semantics/all.ts'
import type { OperandForm } from '../semantics/emitter.ts'
import type { Semantic } from '../semantics/semantic.ts'
import type { InterpreterEmitter } from './interpreter-emitter.ts'
import { pairHandlers } from './pairs.ts'

/**
 * The code of one semantic in one size and form, under the key by which a decoded instruction is given it, and in the
 * variations that make the interpreter fast.
 */
export type Handler = {
  readonly key: string
  readonly size: Size
  readonly form: OperandForm
  /** For memory operands that are a base and a displacement alone: most are. */
  readonly isSimple: boolean
  /** For direct jumps inside the page of their instruction. */
  readonly isNear: boolean
  /** Whether its record leads to the instruction, for somebody outside. */
  readonly isKept: boolean
  readonly write: (e: InterpreterEmitter) => void
}

/** The handler that has TypeScript carry an instruction out. */
export const ASSIST = 'assist'

/**
 * What stands among decoded instructions and is none: it does not count.
 *
 *     continue     a run of decoded instructions ends; the next one begins at the displacement
 *     address64    compute the address of the next instruction into a field, where it does not fit a record
 *     address32    the same, cut to 32 bits: the prefix 67
 *     beyond       the next instruction reaches into the following page: make sure that this is the page it was decoded in
 *     fpu          the next instruction uses the FPU: #NM when its owner has set `fpuTraps`
 *     region       a compiled region begins: its place in the table of functions is in `b`, the plain record in `target`
 */
export const PSEUDO = ['continue', 'address64', 'address32', 'beyond', 'fpu', 'region'] as const

/** The key of a semantic in a size and a form; of a direct jump, `near` says whether its target is in its page. */
export function handlerKey(semantic: Semantic, size: Size, form: OperandForm, near: boolean): string {
  return `${semantic.name} ${size}${form}${semantic.isDirect && near ? NEAR : ''}`
}

const NEAR = ' near'
/** What the key of a handler for simple addresses ends with. */
const SIMPLE = '+'

/** Semantics whose memory forms have a handler for simple addresses, too. */
const HAS_SIMPLE = /^(?:mov|add|cmp|mov[sz]x .*)$/

function handlersOf(semantic: Semantic): Handler[] {
  const { write, isKept } = semantic
  if (write === null) return []
  const all = semantic.sizes.flatMap((size) =>
    semantic.forms.flatMap((form): Handler[] => {
      const key = handlerKey(semantic, size, form, false)
      const plain = { key, size, form, write, isSimple: false, isNear: false, isKept }
      return semantic.isDirect ? [{ ...plain, key: key + NEAR, isNear: true }, plain] : [plain]
    }),
  )
  if (!HAS_SIMPLE.test(semantic.name)) return all
  const inMemory = all.filter(({ form }) => form !== 'rr')
  return [...all, ...inMemory.map((one) => ({ ...one, key: one.key + SIMPLE, isSimple: true }))]
}

/** Arms of the interpreter's main function, and of the second one, for what is seldom. */
export const COMMON: readonly Handler[] = [...INTEGER_SEMANTICS.flatMap(handlersOf), ...pairHandlers()]
export const UNCOMMON: readonly Handler[] = OTHER_SEMANTICS.flatMap(handlersOf)

/** Handler numbers: `assist`, the pseudo-instructions, the common handlers, then the rare ones. */
export const FIRST_COMMON = 1 + PSEUDO.length
export const FIRST_RARE = FIRST_COMMON + COMMON.length

const NUMBERS = new Map<string, number>(
  [ASSIST, ...PSEUDO, ...COMMON.map((h) => h.key), ...UNCOMMON.map((h) => h.key)].map((key, i) => [key, i]),
)

/** The number of a handler. Keys are the tables' own, so that one they do not have is a mistake of ours. */
export function handlerNumber(key: string): number {
  const number = NUMBERS.get(key)
  if (number === undefined) throw new Error(`the interpreter has no handler ${key}`)
  return number
}

/** The handlers of a semantic in one size and form: for near targets, and for simple addresses, the plain one where there is no other. */
export type Variations = { readonly plain: number; readonly near: number; readonly simple: number }

const FORMS: readonly OperandForm[] = ['rr', 'rm', 'mr']

/** By semantic, then by size and form: every instruction that is decoded asks. */
const VARIATIONS = new Map<Semantic, readonly (Variations | undefined)[]>(
  [...INTEGER_SEMANTICS, ...OTHER_SEMANTICS].map((one) => [one, variationsOf(one)]),
)

function variationsOf(semantic: Semantic): (Variations | undefined)[] {
  const all: (Variations | undefined)[] = new Array(9 * FORMS.length).fill(undefined)
  for (const size of semantic.sizes) {
    for (const form of semantic.forms) {
      const key = handlerKey(semantic, size, form, false)
      const plain = NUMBERS.get(key)
      if (plain === undefined) continue
      const near = NUMBERS.get(handlerKey(semantic, size, form, true)) ?? plain
      all[placeOf(size, form)] = { plain, near, simple: NUMBERS.get(key + SIMPLE) ?? plain }
    }
  }
  return all
}

function placeOf(size: Size, form: OperandForm): number {
  return size * FORMS.length + (form === 'rr' ? 0 : form === 'rm' ? 1 : 2)
}

/** The handlers of a semantic that has code, in a size and a form. */
export function handlersFor(semantic: Semantic, size: Size, form: OperandForm): Variations {
  const found = VARIATIONS.get(semantic)?.[placeOf(size, form)]
  if (found === undefined) throw new Error(`the interpreter has no handler ${semantic.name} ${size}${form}`)
  return found
}

const KEPT = new Set<number>(
  [...COMMON, ...UNCOMMON].flatMap((h, n) => (h.isKept ? [FIRST_COMMON + n] : [])),
).add(0)

/** Whether the records of a handler lead to their instruction, for somebody outside. */
export function isKept(number: number): boolean {
  return KEPT.has(number)
}
