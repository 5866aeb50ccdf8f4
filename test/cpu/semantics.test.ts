import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { decode } from '../../src/cpu/decode/decode.ts'
import { SEMANTICS } from '../../src/cpu/semantics/all.ts'
import { type Selection, select } from '../../src/cpu/semantics/select.ts'
import { ALL_FLAGS, type Semantic } from '../../src/cpu/semantics/semantic.ts'
import { STRING_SEMANTICS } from '../../src/cpu/semantics/strings.ts'
import { TF } from '../../src/cpu/state.ts'
import { Random } from '../tools/random.ts'
import { type CpuCase, type CpuResult, initialState, NO_TARGET, NO_VECTOR, SPACE } from './case.ts'
import { RSP } from './cases/draft.ts'
import { STRING_FORMS } from './cases/forms-flow.ts'
import { casesOfForms } from './cases/generate.ts'
import { createSubject } from './subject.ts'

/**
 * What semantics claim of flags and of where execution goes on, against what the interpreter does. Each case runs three
 * times: with some flags, with others that its semantic does not read, and with one changed that it does.
 */
const SEED = 20
/** Cases of each form, and how many more it may take until all that its semantic claims was seen. */
const EACH = 10
const MORE = 300
const DEBUG_VECTOR = 1
const PAGE_FAULT_VECTOR = 14

/** What was seen of a semantic, over all its cases. */
type Seen = {
  trials: number
  /** Flags that changed, that made a difference, and that one execution kept and another set. */
  changed: number
  read: number
  kept: number
  /** Sizes and forms in which it was executed to its end. */
  readonly variants: Set<string>
  wentOn: boolean
  wentElsewhere: boolean
}

const seen = new Map<Semantic, Seen>()
const wrong: string[] = []
/** The semantics that cases of a form have. */
const semanticsOf = new Map<string, Set<Semantic>>()

const variantsOf = ({ sizes, forms }: Semantic): string[] =>
  sizes.flatMap((size) => forms.map((form) => `${size} ${form}`))

const withFlags = (one: CpuCase, rflags: number): CpuCase => ({ ...one, state: { ...one.state, rflags } })

/** Everything but the flags. */
function isSame(a: CpuResult, b: CpuResult): boolean {
  const [first, second] = [a, b].map((r) => ({ ...r, state: { ...r.state, rflags: 0 } }))
  return isDeepStrictEqual(first, second)
}

/** The flags of two executions that are not equal, and that are not both what they were before. */
function dependent(a: CpuResult, before: number, b: CpuResult, other: number): number {
  const differs = a.state.rflags ^ b.state.rflags
  const isKept = ~(a.state.rflags ^ before) & ~(b.state.rflags ^ other)
  return differs & ~isKept & ALL_FLAGS
}

/** Whether the semantic's code has run to its end: no exception, a trap as TF is set now, or one of where it went. */
function isDone({ vector, addressLow, ripLow }: CpuResult): boolean {
  if (vector === NO_VECTOR || vector === DEBUG_VECTOR) return true
  return vector === PAGE_FAULT_VECTOR && addressLow === ripLow
}

const subject = createSubject()
const random = new Random(SEED, 'flags')

function seenOf(semantic: Semantic): Seen {
  const known = seen.get(semantic)
  if (known !== undefined) return known
  const variants = new Set<string>()
  const made = { trials: 0, changed: 0, read: 0, kept: 0, variants, wentOn: false, wentElsewhere: false }
  seen.set(semantic, made)
  return made
}

function tryCase(one: CpuCase, { semantic, size, form }: Selection): void {
  const { reads, sets, maySet } = semantic.flags
  const say = (what: string, bits = 0): void => {
    wrong.push(`${semantic.name} ${size} ${form} (${one.form}) ${what} ${bits.toString(16)}`)
  }
  const all = seenOf(semantic)
  const before = (one.state.rflags & ~ALL_FLAGS) | (random.bits() & ALL_FLAGS)
  const a = subject.run(withFlags(one, before))
  all.trials++
  if (isDone(a)) all.variants.add(`${size} ${form}`)
  const changed = (a.state.rflags ^ before) & ALL_FLAGS
  all.changed |= changed
  if ((changed & ~(sets | maySet)) !== 0) say('writes', changed & ~(sets | maySet))

  const other = before ^ (random.bits() & ALL_FLAGS & ~reads)
  const b = subject.run(withFlags(one, other))
  const depends = dependent(a, before, b, other)
  if (!isSame(a, b) || depends !== 0) say('depends on one of', before ^ other)
  if (isDone(a)) {
    const differs = a.state.rflags ^ b.state.rflags
    if ((differs & sets) !== 0) say('does not always set', differs & sets)
    all.kept |= differs & maySet
  }
  if (reads !== 0) {
    const flag = pickBit(reads)
    const c = subject.run(withFlags(one, before ^ flag))
    const differs = dependent(a, before, c, before ^ flag) !== 0
    if (differs || !isSame(a, c)) all.read |= flag
    else if (isDone(a)) all.kept |= flag & maySet
  }
  wayOn(one, a, semantic, say)
}

/** Where execution goes on: behind the instruction, or elsewhere. A fault is neither. */
function wayOn(one: CpuCase, a: CpuResult, semantic: Semantic, say: (what: string) => void): void {
  const all = seenOf(semantic)
  const at = a.ripLow - SPACE.code - one.codeAt
  const isHigh = a.ripHigh !== 0
  if (!isHigh && at === one.code.length && isDone(a)) all.wentOn = true
  else if (isHigh || (at !== 0 && at !== one.code.length)) {
    all.wentElsewhere = true
    if (!semantic.endsBlock) say('goes elsewhere')
  }
}

function pickBit(bits: number): number {
  const one = Array.from({ length: 32 }, (_, n) => 1 << n).filter((bit) => (bits & bit) !== 0)
  return random.pick(one)
}

/** What a semantic claims and nobody has seen yet. */
function unproven(semantic: Semantic): object | null {
  const { changed, read, kept, variants, wentOn, wentElsewhere } = seenOf(semantic)
  const { reads, sets, maySet } = semantic.flags
  const missing = variantsOf(semantic).filter((variant) => !variants.has(variant))
  // What never goes on behind itself is the owner's, or always a fault, and not executed to its end.
  if (!wentOn && !wentElsewhere) return semantic.endsBlock ? null : { missing }
  const flags = { changed: (sets | maySet) & ~changed, read: reads & ~read, kept: maySet & ~kept }
  const isAll = missing.length === 0 && flags.changed === 0 && flags.read === 0 && flags.kept === 0
  return isAll && semantic.endsBlock === wentElsewhere ? null : { missing, ...flags, wentElsewhere }
}

function tryForm(one: CpuCase): void {
  const i = decode(one.code, 0, one.code.length)
  // Some cases lack their last bytes.
  if (typeof i === 'string' || i.length !== one.code.length) return
  const selection = select(i)
  const known = semanticsOf.get(one.form)
  if (known === undefined) semanticsOf.set(one.form, new Set([selection.semantic]))
  else known.add(selection.semantic)
  tryCase(one, selection)
}

/** What the judge has no cases of, as processors differ, or the processes of its host could not do it. */
function* moreCases(): Generator<CpuCase> {
  for (const code of [
    [0x66, 0x0f, 0xc8],
    [0x66, 0xcf],
  ]) {
    const state = initialState(64)
    for (let n = 0; n < 16; n++) state.gpr.set([random.bits(), random.bits()], 2 * n)
    state.gpr.set([SPACE.data, 0], 2 * RSP)
    // What a 16-bit iret takes: rip, cs, flags, rsp and ss.
    const frame = Uint16Array.of(0x1000, 0x33, random.bits() & ~TF, 0x2000, 0x2b)
    state.data.set(new Uint8Array(frame.buffer))
    const loose = { rflags: 0, gpr: 0, fsw: 0, data: [] }
    const place = { codeAt: 0x100, target: NO_TARGET, dataAt: 0 }
    yield { form: 'other', code: Uint8Array.from(code), ...place, state, usesFpu: false, loose }
  }
}

/** One form has several semantics, of which the less frequent may not have been met yet. */
const STRING_NAMES = new Set(STRING_FORMS.map(({ name }) => name))

const isOpen = (form: string): boolean =>
  [...(semanticsOf.get(form) ?? [])].some((semantic) => unproven(semantic) !== null)

for (let round = 0; round < EACH; round++) for (const one of casesOfForms(SEED, round)) tryForm(one)
for (let round = EACH; round < EACH + MORE; round++) {
  const isAnyString = STRING_SEMANTICS.some((semantic) => unproven(semantic) !== null)
  const isWanted = (form: string): boolean => isOpen(form) || (isAnyString && STRING_NAMES.has(form))
  for (const one of casesOfForms(SEED, round, isWanted)) tryForm(one)
  for (const one of moreCases()) tryForm(one)
}

test('no instruction changes a flag that its semantic does not write, or heeds one that it does not read', () => {
  assert.deepEqual(wrong.slice(0, 20), [])
})

/** Not met in any case: a stop of the core's own, bytes that are no instruction, and what ends cases. */
const NO_CASES = new Set(['breakpoint', 'general protection', 'syscall'])

test('all that semantics claim was seen: flags, sizes and forms, and where execution goes on', () => {
  const lists = SEMANTICS.filter(({ name }) => !NO_CASES.has(name)).flatMap((semantic) => {
    const open = unproven(semantic)
    return open === null ? [] : [{ name: semantic.name, open, trials: seenOf(semantic).trials }]
  })
  assert.deepEqual(lists, [])
})
