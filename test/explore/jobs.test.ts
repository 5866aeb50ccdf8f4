import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import { readCheckpoint, writeCheckpoint } from '../../src/explore/jobs/checkpoint.ts'
import { openPool, runInOrder } from '../../src/explore/jobs/pool.ts'
import { Progress, progressText } from '../../src/explore/jobs/progress.ts'

type Task = { n: number; wait: number; fails?: boolean }
const pool = () => openPool<Task, number>('../fixtures/jobs/worker', import.meta, 2)
const tasks = (count: number): Task[] =>
  // The first of every two takes longer than the second.
  Array.from({ length: count }, (_, n) => ({ n, wait: n % 2 === 0 ? 20 : 0 }))

test('results come in the order of their tasks, whatever order they are done in', async () => {
  const workers = pool()
  const got: number[] = []
  await runInOrder(workers, tasks(9), new AbortController().signal, (result, { n }) => {
    assert.equal(result, n * 2)
    got.push(n)
    return true
  })
  await workers.close()
  assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8])
})

test('a run that is ended, or interrupted, has taken the first results and no others', async () => {
  const workers = pool()
  const ended: number[] = []
  await runInOrder(workers, tasks(50), new AbortController().signal, (_, { n }) => {
    ended.push(n)
    return n < 3
  })
  assert.deepEqual(ended, [0, 1, 2, 3])
  const controller = new AbortController()
  const taken: number[] = []
  await runInOrder(workers, tasks(50), controller.signal, (_, { n }) => {
    taken.push(n)
    if (n === 2) controller.abort()
    return true
  })
  await workers.close()
  assert.deepEqual(
    taken,
    taken.map((_, i) => i),
  )
  assert.ok(taken.length >= 3 && taken.length < 10, `${taken.length} were taken`)
})

test('a task that fails ends the run with its error', async () => {
  const workers = pool()
  const list = tasks(6).map((task) => ({ ...task, fails: task.n === 3 }))
  const taken: number[] = []
  await assert.rejects(
    runInOrder(workers, list, new AbortController().signal, (_, { n }) => {
      taken.push(n)
      return true
    }),
    /task 3 failed/,
  )
  await workers.close()
  assert.deepEqual(taken, [0, 1, 2])
})

test('a checkpoint comes back as it was, and one that is damaged or of another kind is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'))
  const file = join(folder, 'run')
  try {
    const head = { depth: 3, done: [1, 2] }
    const form = {
      kind: 'explore',
      head: v.strictObject({ depth: v.number(), done: v.array(v.number()) }),
      parts: ['states', 'none', 'more'],
    }
    const parts = { states: Uint8Array.of(1, 2, 3), none: new Uint8Array(0), more: Uint8Array.of(10, 13) }
    writeCheckpoint(file, 'explore', { head, parts })
    assert.deepEqual(readCheckpoint(file, form), { head, parts })
    assert.throws(
      () => readCheckpoint(file, { ...form, kind: 'sweep' }),
      /is no checkpoint of xenolith sweep/,
    )
    const whole = readFileSync(file)
    for (const cut of [0, 1, 20, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, cut))
      assert.throws(() => readCheckpoint(file, form), /damaged|is no checkpoint/)
    }
    const changed = Buffer.from(whole)
    changed[whole.length - 1] ^= 1
    writeFileSync(file, changed)
    assert.throws(() => readCheckpoint(file, form), /damaged/)
    assert.throws(() => readCheckpoint(join(folder, 'other'), form), /no such file/)
    assert.throws(
      () => writeCheckpoint(join(folder, 'no', 'run'), 'explore', { head, parts }),
      /cannot write/,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('progress says rate, done, left, the time to go and what was found', () => {
  const at = { stage: 'walks', done: 1200, of: 20_000, unit: 'walks', found: 1 }
  assert.equal(
    progressText(at, 400, 1000),
    'walks: 1200 of 20000 walks, 400/s, 18800 left, 47 s to go, 1 found',
  )
  assert.equal(
    progressText({ ...at, of: null, unit: 'states' }, 5, 2000),
    'walks: 1200 states, 2.5/s, 1 found',
  )
  const said: string[] = []
  let now = 0
  const progress = new Progress(
    (text) => said.push(text),
    false,
    () => now,
  )
  progress.at({ ...at, done: 0 })
  assert.deepEqual(said, [])
  now = 10_000
  progress.at({ ...at, done: 5000 })
  assert.deepEqual(said, ['walks: 5000 of 20000 walks, 500/s, 15000 left, 30 s to go, 1 found\n'])
})
