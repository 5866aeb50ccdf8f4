import assert from 'node:assert/strict'
import { test } from 'node:test'
import { howMany } from '../tools/sample.ts'
import type { CpuResult, Subject } from './case.ts'
import { RSP } from './cases/draft.ts'
import { FORM_NAMES, GROUP_NAMES, generateCases } from './cases/generate.ts'
import { Host, hostUnfit } from './host.ts'
import { Judge } from './judging.ts'
import { createSubject } from './subject.ts'

const unfit = hostUnfit()
const SEED = 2026
/** `npm run judge` takes twenty times as many; CI runs that. */
const CASES = howMany({ all: 100_000, few: 40_000 })
const BATCH = 10_000

test("the core does what the host's processor does", { skip: unfit }, () => {
  const host = new Host()
  const judge = new Judge(() => createSubject())
  try {
    for (let first = 0; first < CASES; first += BATCH) {
      const cases = [...generateCases(SEED, first, BATCH)]
      judge.judge(cases, host.run(cases), first, (one) => host.run([one])[0])
    }
  } finally {
    host.close()
  }
  assert.equal(judge.report(), '')
  assert.equal(judge.cases, CASES)
  assert.deepEqual(
    [...FORM_NAMES].filter((name) => !judge.forms.has(name)),
    [],
  )
})

test('the core does the same when it is stopped after every instruction', { skip: unfit }, () => {
  const host = new Host()
  const judge = new Judge(() => createSubject({ slice: 1 }))
  const cases = [...generateCases(SEED + 2, 0, howMany({ all: 20_000, few: 6_000 }))]
  judge.judge(cases, host.run(cases), 0, (one) => host.run([one])[0])
  host.close()
  assert.equal(judge.report(), '')
})

test("compiled code does what the host's processor does, and stops at whatever it does not do", {
  skip: unfit,
}, () => {
  const host = new Host()
  const subjects: ReturnType<typeof createSubject>[] = []
  const judge = new Judge(() => {
    const subject = createSubject({ tier: 'region' })
    subjects.push(subject)
    return subject
  })
  const cases = [...generateCases(SEED + 3, 0, howMany({ all: 40_000, few: 3_000 }), GROUP_NAMES)]
  judge.judge(cases, host.run(cases), 0, (one) => host.run([one])[0])
  host.close()
  assert.equal(judge.report(), '')
  const { regions } = subjects[0].cpu.compiled
  assert.ok(regions > cases.length / 2, `${regions} regions of ${cases.length} cases`)
})

test('cases stay within their own memory, and the processor gives the same results twice', {
  skip: unfit,
}, () => {
  const host = new Host(true)
  try {
    for (const group of GROUP_NAMES) {
      const cases = [...generateCases(SEED + 1, 0, howMany({ all: 1500, few: 500 }), [group])]
      const [once, again] = [host.run(cases), host.run(cases)]
      for (const [i, one] of cases.entries()) assert.deepEqual(once[i], again[i], one.form)
    }
  } finally {
    host.close()
  }
})

test('a case is made from its number alone', () => {
  const all = [...generateCases(SEED, 0, 300)]
  const later = [...generateCases(SEED, 200, 100)]
  assert.deepEqual(all.slice(200), later)
  assert.notDeepEqual([...generateCases(SEED + 1, 200, 100)], later)
})

/** Gives the right results, but for what `spoil` does to them. */
function spoiled(expected: readonly CpuResult[], spoil: (result: CpuResult) => void): Subject {
  let i = 0
  return {
    run() {
      const result = structuredClone(expected[i++])
      spoil(result)
      return result
    },
  }
}

test('the judge sees a wrong bit anywhere, but where the manuals leave it undefined', { skip: unfit }, () => {
  const host = new Host()
  const cases = [...generateCases(SEED, 0, 2000)]
  const expected = host.run(cases)
  host.close()
  const count = (spoil: (result: CpuResult) => void) => {
    const judge = new Judge(() => spoiled(expected, spoil))
    judge.judge(cases, expected, 0)
    return judge.differing
  }
  assert.equal(
    count(() => {}),
    0,
  )
  const everywhere = cases.length
  const withFpu = cases.filter(({ usesFpu }) => usesFpu).length
  const spoils: [number, (result: CpuResult) => void][] = [
    [everywhere, (result) => result.vector--],
    [everywhere, (result) => result.errorCode++],
    [everywhere, (result) => result.ripLow++],
    [everywhere, ({ state }) => state.gpr[2 * RSP]++],
    [withFpu, ({ state }) => state.xmm.set([state.xmm[63] ^ 0x4000_0000], 63)],
    [withFpu, ({ state }) => state.mxcsr++],
    [withFpu, ({ state }) => state.fcw++],
    [withFpu, ({ state }) => state.st[16 + 9]++],
  ]
  for (const [differing, spoil] of spoils) assert.equal(count(spoil), differing, String(spoil))
  // AF is undefined after some, and compared after the others.
  const auxiliary = count(({ state }) => {
    state.rflags ^= 0x10
  })
  assert.ok(auxiliary > everywhere / 2 && auxiliary < everywhere, `${auxiliary} of ${everywhere}`)
})

test('a difference counts when the processor shows it again', { skip: unfit }, () => {
  const host = new Host()
  const cases = [...generateCases(SEED, 0, 3)]
  const right = host.run(cases)
  host.close()
  const disturbed = structuredClone(right)
  disturbed[1].ripLow++
  const judged = (again: CpuResult): readonly number[] => {
    const judge = new Judge(() => spoiled(right, () => {}))
    judge.judge(cases, disturbed, 0, () => again)
    return [judge.differing, judge.unrepeated]
  }
  assert.deepEqual(judged(right[1]), [0, 1])
  assert.deepEqual(judged(disturbed[1]), [1, 0])
})

test('the judge survives a subject that breaks, and says which case did it', () => {
  const cases = [...generateCases(SEED, 0, 3)]
  let run = 0
  const judge = new Judge(() => ({
    run() {
      run++
      throw new Error('broken on purpose')
    },
  }))
  judge.judge(cases, [], 0)
  assert.equal(run, 3)
  assert.equal(judge.differing, 3)
  assert.match(judge.report(), /case 0: [0-9a-f]+ .*\n +breaks: Error: broken on purpose/)
})
