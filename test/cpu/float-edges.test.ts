import assert from 'node:assert/strict'
import { test } from 'node:test'
import { howMany } from '../tools/sample.ts'
import { type CpuCase, type CpuState, initialState, type Loose, NO_TARGET } from './case.ts'
import { DOUBLES, EXTENDEDS, SINGLES } from './cases/values.ts'
import { Host, hostUnfit } from './host.ts'
import { Judge } from './judging.ts'
import { createSubject } from './subject.ts'

/**
 * Every pair of the numbers at which floating point changes its ways, in the operations of two. Random cases meet some of
 * these pairs once in millions: a product that is rounded up to the smallest ordinary number is an underflow all the same.
 */
type Words = readonly number[]
type Operation = { readonly form: string; readonly code: Words; readonly loose?: Partial<Loose> }

/** MXCSR: to nearest with and without the precision flag, upwards, flushed to zero, denormals taken as zero. */
const SSE_CONTROLS = [0x1fa0, 0x1f80, 0x5f80, 0x9fa0, 0x1fe0]
/** x87's control word: of 64 bits to nearest, of 53 upwards, of 24 downwards, all masked. */
const X87_CONTROLS = [0x37f, 0xa7f, 0x47f]

/** `op xmm0, xmm1` by its prefix and opcode. */
const sse = (form: string, prefix: Words, opcode: number): Operation => ({
  form,
  code: [...prefix, 0x0f, opcode, 0xc1],
})
const ARITHMETIC = [
  ['add', 0x58],
  ['mul', 0x59],
  ['sub', 0x5c],
  ['min', 0x5d],
  ['div', 0x5e],
  ['max', 0x5f],
] as const
const OF_SINGLES = ARITHMETIC.flatMap(([name, opcode]) => [
  sse(`${name}ss`, [0xf3], opcode),
  sse(`${name}ps`, [], opcode),
])
const OF_DOUBLES = [
  ...ARITHMETIC.flatMap(([name, opcode]) => [
    sse(`${name}sd`, [0xf2], opcode),
    sse(`${name}pd`, [0x66], opcode),
  ]),
  sse('cvtsd2ss', [0xf2], 0x5a),
]
/** Of st(0) and st(1). Where an error is allowed it leaves the result and C1 open. */
const NEAR: Partial<Loose> = { near: 'st(0)', fsw: 0x200 }
const OF_EXTENDEDS: readonly Operation[] = [
  { form: 'fadd', code: [0xd8, 0xc1] },
  { form: 'fmul', code: [0xd8, 0xc9] },
  { form: 'fsub', code: [0xd8, 0xe1] },
  { form: 'fdiv', code: [0xd8, 0xf1] },
  { form: 'fyl2x', code: [0xd9, 0xf1], loose: NEAR },
]

function edge({ form, code, loose }: Operation, set: (state: CpuState) => void): CpuCase {
  const state = initialState(0)
  set(state)
  return {
    form,
    code: Uint8Array.from(code),
    codeAt: 0x100,
    target: NO_TARGET,
    dataAt: 0,
    state,
    usesFpu: true,
    loose: { rflags: 0, gpr: 0, fsw: 0, data: [], ...loose },
  }
}

/** Each operation of each pair of numbers, the second one of either sign, in each mode. */
function edges(
  operations: readonly Operation[],
  numbers: readonly Words[],
  modes: readonly number[],
  set: (state: CpuState, mode: number, pair: readonly [Words, Words]) => void,
): readonly CpuCase[] {
  const signed = [...numbers, ...numbers.map(negative)]
  const some = modes.slice(0, howMany({ all: modes.length, few: 1 }))
  return operations.flatMap((operation) =>
    some.flatMap((mode) =>
      numbers.flatMap((a) => signed.map((b) => edge(operation, (state) => set(state, mode, [a, b])))),
    ),
  )
}

/** A number's highest word has its sign; of an extended one that is bit 15. */
function negative(words: Words): Words {
  const sign = words.length === 3 ? 0x8000 : 0x8000_0000
  return [(words[0] | sign) >>> 0, ...words.slice(1)]
}

/** Words of a number, the highest first. */
function setVectors(state: CpuState, mxcsr: number, pair: readonly [Words, Words]): void {
  state.mxcsr = mxcsr
  for (const [i, words] of pair.entries()) state.xmm.set([...words].reverse(), 4 * i)
}

function setStack(state: CpuState, fcw: number, pair: readonly [Words, Words]): void {
  state.fcw = fcw
  state.fsw = 6 << 11
  state.ftw = 0xc0
  const view = new DataView(state.st.buffer, state.st.byteOffset)
  for (const [i, [exponent, high, low]] of pair.entries()) {
    view.setUint32(16 * i, low, true)
    view.setUint32(16 * i + 4, high, true)
    view.setUint16(16 * i + 8, exponent, true)
  }
}

const PARTS: readonly (readonly [what: string, cases: () => readonly CpuCase[]])[] = [
  [
    'singles',
    () =>
      edges(
        OF_SINGLES,
        SINGLES.map((word) => [word]),
        SSE_CONTROLS,
        setVectors,
      ),
  ],
  ['doubles', () => edges(OF_DOUBLES, DOUBLES, SSE_CONTROLS, setVectors)],
  ['extendeds', () => edges(OF_EXTENDEDS, EXTENDEDS, X87_CONTROLS, setStack)],
]

for (const [what, cases] of PARTS) {
  test(`pairs of ${what}: the core does what the processor here does`, { skip: hostUnfit() }, () => {
    const host = new Host()
    const judge = new Judge(() => createSubject())
    const all = cases()
    judge.judge(all, host.run(all), 0, (one) => host.run([one])[0])
    host.close()
    assert.equal(judge.report(), '')
    assert.ok(judge.cases > 1000)
  })
}
