import { randomNumbers } from '../../../src/bits/random.ts'
import type { CoreOptions } from '../../../src/cpu/cpu.ts'
import { LEAST_CODE_BYTES } from '../../../src/cpu/interpreter/code-cache.ts'
import { makeOrdinaryProgram } from './ordinary-program.ts'
import { pathOf } from './path.ts'
import type { Program } from './program.ts'
import { type Manner, type Outcome, outcomeOf, ProgramRun } from './run-program.ts'
import { makeProgram } from './wild-program.ts'

/**
 * Two machines that run a program in the same slices, one on each tier: after every slice they have to be equal.
 */

/** How hard it is made for the tier that compiles. */
export type Mode = {
  readonly name: string
  /** Instructions of the next slice. */
  readonly budget: (random: (n: number) => number) => number
} & Omit<Manner, 'budget' | 'core'> & { readonly core?: Omit<CoreOptions, 'tier'> }

const HOT = { threshold: 1 }
const some = (most: number) => (random: (n: number) => number) => 1 + random(most)

export const MODES: readonly Mode[] = [
  { name: 'hot', budget: some(1500), core: HOT },
  { name: 'warm', budget: some(3000), core: { threshold: 20 } },
  { name: 'short', budget: (random) => 1 + random(random(3) === 0 ? 300 : 9), core: HOT },
  { name: 'single', budget: (random) => (random(20) === 0 ? 1 + random(200) : 1), core: HOT },
  { name: 'whole', budget: () => 100_000, core: { threshold: 5 } },
  { name: 'tiny-tlb', budget: some(600), core: { ...HOT, translations: 1 } },
  { name: 'small-tlb', budget: some(600), core: { ...HOT, translations: 3 } },
  { name: 'flushed', budget: some(100), core: HOT, flushes: true },
  { name: 'little-room', budget: some(600), core: HOT, codeBytes: LEAST_CODE_BYTES },
]

/** The kinds of programs. */
export const KINDS = { ordinary: makeOrdinaryProgram, wild: makeProgram } as const
export type Kind = keyof typeof KINDS

/** Slices of a program's run, and how many instructions and exceptions they were. */
export type Run = { readonly slices: number; readonly steps: number; readonly blocks: number }

/**
 * Run the program of a seed on both tiers, in lock step. Both machines are made as the mode says; only the tier differs.
 *
 * @returns the first difference, with the way to it and the command that shows it again; or what was run
 */
export function lockStep(kind: Kind, seed: number, mode: Mode): string | Run {
  const program = KINDS[kind](randomNumbers(seed))
  const random = randomNumbers(seed ^ 0x5eed)
  const [expected, found] = (['interpreter', 'region'] as const).map(
    (tier) => new ProgramRun(program, { ...mode, core: { ...mode.core, tier } }),
  )
  const budgets: number[] = []
  while (!expected.isOver) {
    const budget = mode.budget(random)
    const wrong = sliceOfBoth(expected, found, budget)
    if (wrong !== null) return `${wrong}\n${story({ kind, seed, mode, program, budgets, budget })}`
    budgets.push(budget)
  }
  const { blocks } = found.machine.cpu.compiled
  return { slices: budgets.length, steps: expected.clock, blocks }
}

/** What breaks one machine is a difference, too. */
function sliceOfBoth(expected: ProgramRun, found: ProgramRun, budget: number): string | null {
  expected.slice(budget)
  try {
    found.slice(budget)
  } catch (error) {
    return `the compiled machine breaks: ${(error as Error).stack}`
  }
  return sliceDifference(outcomeOf(expected), outcomeOf(found))
}

type Found = {
  readonly kind: Kind
  readonly seed: number
  readonly mode: Mode
  readonly program: Program
  /** Of the slices before, and of the one that differs. */
  readonly budgets: readonly number[]
  readonly budget: number
}

function story({ kind, seed, mode, program, budgets, budget }: Found): string {
  return [
    `in slice ${budgets.length}, of ${budget} instructions at most`,
    `again: npm run lockstep -- --kind ${kind} --mode ${mode.name} --seed ${seed} --programs 1`,
    'the way of the interpreter through this slice:',
    ...pathOf(program, mode, budgets, budget),
  ].join('\n')
}

const GENERAL = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')
const XMM_AT = 32
const RIP_AT = XMM_AT + 64

function registerName(word: number): string {
  if (word < XMM_AT) return `${GENERAL[word >> 1]}${word % 2 === 0 ? '' : ' (high half)'}`
  if (word < RIP_AT) return `xmm${(word - XMM_AT) >> 2}, word ${(word - XMM_AT) % 4}`
  return ['rip', 'rip (high half)', 'rflags'][word - RIP_AT] ?? `word ${word}`
}

const PAGE = 4096
/** Of page tables: whether an entry has been used. The target of a jump at the end of a slice may have been looked up, or not. */
const ACCESSED = 0x20
const NAMES = ['the page table', 'code 0', 'code 1', 'code 2', 'code 3', 'data 0', 'data 1']

/** The first thing in which two machines differ after a slice; null where they are equal. */
export function sliceDifference(expected: Outcome, found: Outcome): string | null {
  const hex = (n: number): string => n.toString(16)
  const exit = expected.exits.findIndex((line, i) => found.exits[i] !== line)
  if (exit !== -1)
    return `exit ${exit} is "${found.exits[exit] ?? 'none'}" instead of "${expected.exits[exit]}"`
  if (found.exits.length > expected.exits.length)
    return `"${found.exits[expected.exits.length]}" is one exit too many`
  if (found.instructions !== expected.instructions)
    return `${found.instructions} instructions instead of ${expected.instructions}`
  const register = expected.registers.findIndex((value, i) => found.registers[i] !== value)
  if (register !== -1)
    return `${registerName(register)} is ${hex(found.registers[register])} instead of ${hex(expected.registers[register])}`
  if (Buffer.compare(expected.memory, found.memory) === 0) return null
  const byte = expected.memory.findIndex((value, i) => differs(i, value, found.memory[i]))
  if (byte === -1) return null
  const [at, page] = [byte % PAGE, Math.floor(byte / PAGE)]
  return `byte ${hex(at)} of ${NAMES[page]} is ${hex(found.memory[byte])} instead of ${hex(expected.memory[byte])}`
}

function differs(at: number, a: number, b: number): boolean {
  const isFlags = at < PAGE && at % 8 === 0
  return isFlags ? (a | ACCESSED) !== (b | ACCESSED) : a !== b
}
