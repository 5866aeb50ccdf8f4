import { Random } from '../../tools/random.ts'
import { type CpuCase, PAGE } from '../case.ts'
import { Draft } from './draft.ts'
import { encode, type Style } from './encode.ts'
import { FLOW_FORMS, INVALID_FORMS, PRIVILEGED_FORMS, STACK_FORMS, STRING_FORMS } from './forms-flow.ts'
import { INTEGER_FORMS } from './forms-integer.ts'
import { MMX_FORMS, SSE_FLOAT_FORMS, SSE_INTEGER_FORMS, SSE_MOVE_FORMS } from './forms-sse.ts'
import { X87_FORMS } from './forms-x87.ts'
import { loosenFlags } from './loose.ts'
import { INTEGER_NEEDS, ordinaryOperands, stringOperands } from './needs-integer.ts'
import { mmx, sseFloat, sseInteger, sseMove, x87 } from './needs-vector.ts'
import type { Form, Operand } from './notation.ts'
import { preciseCase } from './precise.ts'
import { selfModifyingCase } from './self-modifying.ts'
import { sequenceCase } from './sequences.ts'
import { singleStepCase } from './single-step.ts'

/** Forms that are made into cases the same way, and how many of a thousand cases are of them. */
type Group = {
  readonly name: string
  readonly share: number
  readonly forms: readonly Form[]
  readonly usesFpu: boolean
  readonly prepare: (draft: Draft) => void
}

const LOCKABLE = new Set(
  'add or adc sbb and sub xor inc dec not neg xchg xadd cmpxchg cmpxchg8b cmpxchg16b bts btr btc'.split(' '),
)

/** Instructions to which a REP or REPNE prefix means nothing. */
const REPEAT_IS_IDLE = new Set(
  'add or adc sbb and sub xor cmp mov lea test not neg inc dec movzx movsx cwde'.split(' '),
)

function prepareInteger(draft: Draft): void {
  const need = INTEGER_NEEDS[draft.form.mnemonic] ?? ordinaryOperands
  need(draft)
  loosenFlags(draft)
}

/** An address without a ModRM byte, at rbx or rdi. */
const HAS_IMPLIED_ADDRESS = /^(xlatb|maskmov)/

function isAbsolute({ kind }: Operand): boolean {
  return kind === 'moffs'
}

/** Groups whose cases are more than one instruction. */
const PROGRAMS: Readonly<Record<string, (random: Random) => CpuCase>> = {
  sequence: sequenceCase,
  precise: preciseCase,
  'self-modifying': selfModifyingCase,
  'single-step': singleStepCase,
}

const GROUPS: readonly Group[] = [
  { name: 'integer', share: 385, forms: INTEGER_FORMS, usesFpu: false, prepare: prepareInteger },
  { name: 'sequence', share: 80, forms: [], usesFpu: false, prepare: prepareInteger },
  { name: 'self-modifying', share: 10, forms: [], usesFpu: false, prepare: prepareInteger },
  { name: 'single-step', share: 5, forms: [], usesFpu: false, prepare: prepareInteger },
  { name: 'flow', share: 50, forms: FLOW_FORMS, usesFpu: false, prepare: prepareInteger },
  { name: 'stack', share: 40, forms: STACK_FORMS, usesFpu: false, prepare: prepareInteger },
  { name: 'string', share: 70, forms: STRING_FORMS, usesFpu: false, prepare: stringOperands },
  { name: 'privileged', share: 5, forms: PRIVILEGED_FORMS, usesFpu: false, prepare: prepareInteger },
  { name: 'invalid', share: 5, forms: INVALID_FORMS, usesFpu: false, prepare: prepareInteger },
  { name: 'sse-float', share: 110, forms: SSE_FLOAT_FORMS, usesFpu: true, prepare: sseFloat },
  { name: 'sse-move', share: 50, forms: SSE_MOVE_FORMS, usesFpu: true, prepare: sseMove },
  { name: 'sse-integer', share: 70, forms: SSE_INTEGER_FORMS, usesFpu: true, prepare: sseInteger },
  { name: 'mmx', share: 20, forms: MMX_FORMS, usesFpu: true, prepare: mmx },
  { name: 'x87', share: 100, forms: X87_FORMS, usesFpu: true, prepare: x87 },
]

/** Groups that came later: they are not among the thousand, whose results are recorded. */
const LATER: readonly Group[] = [
  { name: 'precise', share: 61, forms: [], usesFpu: false, prepare: prepareInteger },
]

export const GROUP_NAMES: readonly string[] = [...GROUPS, ...LATER].map(({ name }) => name)

/** Every form that there are cases of. */
export const FORM_NAMES: ReadonlySet<string> = new Set(
  GROUPS.flatMap(({ forms }) => forms.map(({ name }) => name)),
)

/** The group of each of a thousand cases, spread evenly. */
const ORDER: readonly Group[] = spread(shares(GROUPS))
const ORDER_OF_ALL: readonly Group[] = spread(shares([...GROUPS, ...LATER]))

function shares(groups: readonly Group[]): Group[] {
  return groups.flatMap((group) => Array<Group>(group.share).fill(group))
}

function spread<T>(items: readonly T[]): T[] {
  // 389 is prime to the number of items, so that every one of them is met once.
  return items.map((_, i) => items[(i * 389) % items.length])
}

/**
 * Cases `first` to `first + count` of a seed. Each is made from its number alone, so that a run can be split, and a single
 * case made again.
 *
 * @param groups only these groups; the thousand when left out
 */
export function* generateCases(
  seed: number,
  first: number,
  count: number,
  groups?: readonly string[],
): Generator<CpuCase> {
  const order = groups === undefined ? ORDER : ORDER_OF_ALL.filter(({ name }) => groups.includes(name))
  for (let number = first; number < first + count; number++) {
    yield makeCase(order[number % order.length], seed, number)
  }
}

/**
 * A case of every form, in the order of the forms: single instructions alone. Each round has others.
 *
 * @param isWanted whether a form, by its name, is to have one
 */
export function* casesOfForms(
  seed: number,
  round: number,
  isWanted: (form: string) => boolean = () => true,
): Generator<CpuCase> {
  for (const group of GROUPS) {
    for (const form of group.forms) {
      const name = `${group.name} ${form.name}`
      if (isWanted(form.name)) yield formCase(group, form, new Random((seed + round) >>> 0, name))
    }
  }
}

function makeCase(group: Group, seed: number, number: number): CpuCase {
  const random = new Random((Math.imul(seed, 0x9e37_79b1) + number) >>> 0, group.name)
  const program = PROGRAMS[group.name]
  if (program !== undefined) return program(random)
  return formCase(group, random.pick(group.forms), random)
}

function formCase(group: Group, form: Form, random: Random): CpuCase {
  const draft = new Draft(form, random, group.usesFpu)
  const style = pickStyle(draft, group)
  group.prepare(draft)
  const code = encode(draft, style)
  if (form.operands.some(({ kind }) => kind === 'rel')) aimBranch(draft, code)
  // Whether bytes that a wrong opcode seems to need are fetched first is the processor's choice.
  const mayCut = !style.lock && group.name !== 'invalid'
  return mayCut && random.once(400) ? cutOff(draft, code) : draft.finish(code)
}

function pickStyle(draft: Draft, group: Group): Style {
  const { random, form } = draft
  const choice = random.bits()
  const lockable = LOCKABLE.has(form.mnemonic)
  const lock = (choice & (lockable ? (draft.memory ? 7 : 31) : 127)) === 0 && group.name !== 'invalid'
  const idle: number[] = []
  if ((choice & 0xf00) === 0 && group.name === 'integer') {
    if (REPEAT_IS_IDLE.has(form.mnemonic)) idle.push(choice & 0x1000 ? 0xf2 : 0xf3)
    // REX counts only right before the opcode: this one does not.
    if (choice & 0x2000) idle.push(0x48 | ((choice >>> 14) & 7), 0x3e)
  }
  if ((choice & 0x3fe_0000) === 0) {
    // Prefixes without a meaning; more than fifteen bytes are an exception. What else an opcode without a meaning would have
    // is the processor's choice: it stays below that whatever it is.
    for (let i = random.between(1, group.name === 'invalid' ? 6 : 14); i > 0; i--)
      idle.push(random.pick([0x2e, 0x26, 0x3e, 0x36]))
  }
  const counts = form.mnemonic.startsWith('loop') || form.mnemonic === 'jrcxz'
  const addressed =
    group.name === 'string' || HAS_IMPLIED_ADDRESS.test(form.mnemonic) || form.operands.some(isAbsolute)
  draft.short = (addressed || counts) && random.once(8) && !draft.nonCanonical
  draft.segment = addressed && random.once(8) ? random.pick([0x64, 0x65]) : 0
  return { lock, idle }
}

/** Choose where a relative branch goes, now that its length is known. The distance is at the end of the code. */
function aimBranch(draft: Draft, code: Uint8Array): void {
  const { random, form } = draft
  const short = form.operands.some(({ kind, bits }) => kind === 'rel' && bits === 8)
  const end = draft.codeAt + code.length
  // Behind the code and before it there must be room for the way back.
  const forward = random.once(2)
  const near = forward ? random.between(6, 128) : -random.between(code.length + 6, 129)
  const far = forward ? random.between(6, 2 * PAGE - 6 - end) : -random.between(code.length + 6, end)
  const distance = short || random.once(4) ? near : far
  const outside = !short && random.once(16)
  draft.target = end + distance
  const written = outside ? 3 * PAGE : distance
  if (outside) draft.target = 0xffff_ffff
  for (let i = 0; i < (short ? 1 : 4); i++) code[code.length - (short ? 1 : 4) + i] = written >> (8 * i)
}

/** The code's last bytes are on a page that is not there: fetching them is a page fault. */
function cutOff(draft: Draft, code: Uint8Array): CpuCase {
  const kept = draft.random.between(1, Math.max(2, Math.min(code.length, 14)))
  draft.codeAt = 2 * PAGE - Math.min(kept, code.length)
  draft.target = 0xffff_ffff
  return draft.finish(code.slice(0, Math.min(kept, code.length)))
}
