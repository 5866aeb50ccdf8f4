import type { Instruction, Operand, Size } from '../../machine/vcpu/instruction.ts'
import { SEMANTICS } from './all.ts'
import { ASSISTED, NESTED_ENTER } from './assisted.ts'
import type { OperandForm } from './emitter.ts'
import type { Semantic } from './semantic.ts'
import { vectorName } from './vector/select-vector.ts'

/**
 * From an instruction to what it does: its semantic, in which size and form, and which of its operands are which. Whoever
 * carries instructions out begins here. Mostly the mnemonic decides; `CHOICES` has those of which more has to be looked at.
 */
export type Selection = {
  readonly semantic: Semantic
  readonly size: Size
  readonly form: OperandForm
  /** The operands that are the semantic's first and second, and the one in memory: numbers into the list, or -1. */
  readonly first: number
  readonly second: number
  readonly memory: number
}

const BY_NAME = new Map(SEMANTICS.map((one) => [one.name, one]))
const BY_MNEMONIC = new Map(SEMANTICS.flatMap((one) => one.mnemonics.map((mnemonic) => [mnemonic, one])))

/** The semantic with a name. Names are the table's own, so that one it does not have is a mistake of ours. */
export function semanticOf(name: string): Semantic {
  const found = BY_NAME.get(name)
  if (found === undefined) throw new Error(`there is no semantic ${name}`)
  return found
}

/** What an instruction does: for each that can be decoded there is something, `ASSISTED` where no table names it. */
export function select(i: Instruction): Selection {
  const choice = CHOICES.get(i.name)
  if (choice !== undefined) return choice(i)
  const one = BY_MNEMONIC.get(i.operands.some(isVectorRegister) ? vectorName(i) : i.name)
  if (one === undefined || one.write === null) return assisted(i, one ?? ASSISTED)
  const found = inForm(i, one)
  return one.forms.includes(found.form) ? found : assisted(i, ASSISTED)
}

function isVectorRegister(operand: Operand): boolean {
  return operand.kind === 'register' && (operand.class === 'mmx' || operand.class === 'xmm')
}

/** Whether an instruction looks at the TS flag: all of x87, MMX and SSE, and what saves and loads their registers. */
export function usesFpu(i: Instruction): boolean {
  const { name, operands } = i
  if (name.startsWith('f') || name.startsWith('cvt') || FPU_NAMES.has(name)) return true
  return operands.some(isFpuRegister)
}

function isFpuRegister(operand: Operand): boolean {
  return isVectorRegister(operand) || (operand.kind === 'register' && operand.class === 'st')
}

const FPU_NAMES = new Set('emms wait ldmxcsr stmxcsr'.split(' '))

// ---- forms ----

const isMemory = (operand: Operand | undefined): boolean => operand?.kind === 'memory'

/** The form that the operands ask for: one of the two may be memory. */
function inForm(i: Instruction, semantic: Semantic, bytes: Size = i.size): Selection {
  const first = semantic.operands[0]
  const second = semantic.operands[1]
  const size = semantic.sizes.length === 1 ? semantic.sizes[0] : bytes
  if (isMemory(i.operands[first])) return { semantic, size, form: 'mr', first: -1, second, memory: first }
  if (isMemory(i.operands[second])) return { semantic, size, form: 'rm', first, second: -1, memory: second }
  return { semantic, size, form: 'rr', first, second, memory: -1 }
}

function assisted(i: Instruction, one: Semantic): Selection {
  return { semantic: one, size: 8, form: 'rr', first: -1, second: -1, memory: i.operands.findIndex(isMemory) }
}

// ---- instructions of which more than the mnemonic counts ----

type Choice = (i: Instruction) => Selection

/** Semantics that differ in a number, by it. */
const numbered = (name: string, count: number): readonly Semantic[] =>
  Array.from({ length: count }, (_, n) => semanticOf(`${name} ${n}`))

function byCondition(name: string): Choice {
  const all = numbered(name, 16)
  return (i) => inForm(i, all[i.condition])
}

function byAddressSize(name: string): Choice {
  const [short, long] = [semanticOf(`${name} 4`), semanticOf(`${name} 8`)]
  return (i) => inForm(i, i.addressSize === 4 ? short : long)
}

/** To its own target, or to an address in a register or memory. */
function byTarget(name: string): Choice {
  const [direct, indirect] = [semanticOf(name), semanticOf(`${name} indirect`)]
  return (i) => inForm(i, i.operands[0].kind === 'target' ? direct : indirect)
}

const MOV = semanticOf('mov')
const SEGMENT = semanticOf('segment')
const PRIVILEGED = semanticOf('privileged')

const isSegment = (operand: Operand): boolean => operand.kind === 'register' && operand.class === 'segment'

const isPrivileged = (operand: Operand): boolean =>
  operand.kind === 'register' && (operand.class === 'control' || operand.class === 'debug')

function move(i: Instruction): Selection {
  const to = i.operands[0]
  const from = i.operands[1]
  if (isPrivileged(to) || isPrivileged(from)) return inForm(i, PRIVILEGED)
  if (isSegment(to)) return inForm(i, SEGMENT)
  if (!isSegment(from)) return inForm(i, MOV)
  // Memory takes the 16 bits of a selector, a register all of its own.
  if (to.kind === 'memory' || i.size === 2) return inForm(i, MOV, 2)
  return inForm(i, extension('movzx', 2, i.size))
}

/** movnti has the size of its register. */
function moveNonTemporal(i: Instruction): Selection {
  return inForm(i, MOV, i.operands[1].kind === 'register' ? (i.operands[1].size as Size) : 4)
}

const extension = (name: 'movzx' | 'movsx', from: number, to: number): Semantic =>
  semanticOf(`${name} ${from} to ${to}`)

/** From a source that is no smaller it is a move. */
function extend(i: Instruction): Selection {
  const source = i.operands[1]
  const from = source.kind === 'register' || source.kind === 'memory' ? source.size : 0
  if (from >= i.size && !(from === 4 && i.size === 4)) return inForm(i, MOV)
  return inForm(i, extension(i.name === 'movzx' ? 'movzx' : 'movsx', from, i.size))
}

const LEA = semanticOf('lea')
const PUSH = semanticOf('push')
const POP = semanticOf('pop')

function loadAddress(i: Instruction): Selection {
  return { semantic: LEA, size: i.size, form: 'rr', first: 0, second: -1, memory: 1 }
}

function push(i: Instruction): Selection {
  return inForm(i, PUSH)
}

function pop(i: Instruction): Selection {
  return isSegment(i.operands[0]) ? inForm(i, SEGMENT) : inForm(i, POP)
}

function multiply(i: Instruction): Selection {
  return inForm(i, semanticOf(`imul ${i.operands.length}`))
}

function shiftDouble(i: Instruction): Selection {
  return inForm(i, semanticOf(`${i.name} ${i.operands[2].kind === 'register' ? 'cl' : 'immediate'}`))
}

/** With a register as the number, memory goes on beyond the operand. */
function testBit(i: Instruction): Selection {
  const isFar = isMemory(i.operands[0]) && i.operands[1].kind === 'register'
  return inForm(i, semanticOf(isFar ? `${i.name} far` : i.name))
}

function enter(i: Instruction): Selection {
  const [, level] = i.operands
  const isNested = level.kind === 'immediate' && (level.lo & 31) !== 0
  return isNested ? assisted(i, NESTED_ENTER) : inForm(i, semanticOf('enter'))
}

/** xlat's operand is its table. */
function lookUp(i: Instruction): Selection {
  return { ...byAddressSize('xlat')(i), memory: 0 }
}

/** Between numbers and integers, by the integer's size. From memory no operand is a vector register. */
function convert(i: Instruction): Selection {
  return inForm(i, semanticOf(vectorName(i)))
}

/** Where the operation compares nothing, both prefixes repeat. Its source is the one whose segment counts. */
function string(i: Instruction): Selection {
  const { name, rep, addressSize } = i
  const compares = name === 'cmps' || name === 'scas'
  const prefix = rep === '' ? '' : compares && rep === 'repne' ? 'repne ' : 'rep '
  const RSI = 6
  const memory = i.operands.findIndex((o) => o.kind === 'memory' && o.base === RSI)
  return { ...inForm(i, semanticOf(`${prefix}${name} ${addressSize}`)), memory }
}

const CHOICES: ReadonlyMap<string, Choice> = new Map<string, Choice>([
  ['mov', move],
  ['movnti', moveNonTemporal],
  ['movzx', extend],
  ['movsx', extend],
  ['movsxd', extend],
  ['lea', loadAddress],
  ['push', push],
  ['pop', pop],
  ['imul', multiply],
  ['shld', shiftDouble],
  ['shrd', shiftDouble],
  ['enter', enter],
  ['xlat', lookUp],
  ['jmp', byTarget('jmp')],
  ['call', byTarget('call')],
  ...['jcc', 'setcc', 'cmovcc'].map((name): [string, Choice] => [name, byCondition(name)]),
  ...['loop', 'loope', 'loopne', 'jrcxz'].map((name): [string, Choice] => [name, byAddressSize(name)]),
  ...['cvtsi2ss', 'cvtsi2sd', 'cvttss2si', 'cvttsd2si'].map((name): [string, Choice] => [name, convert]),
  ...['bt', 'bts', 'btr', 'btc'].map((name): [string, Choice] => [name, testBit]),
  ...['movs', 'stos', 'lods', 'cmps', 'scas'].map((name): [string, Choice] => [name, string]),
])
