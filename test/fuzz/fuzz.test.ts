import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { corpusOf } from '../../fuzz/corpus.ts'
import { fuzz, replay } from '../../fuzz/fuzz.ts'
import { TARGETS } from '../../fuzz/targets.ts'
import { TARGETS as HIDDEN } from '../fixtures/fuzz/targets.ts'
import { notInFull, sampled } from '../tools/sample.ts'
import { root } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-fuzz-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const REGISTRY = new URL('../../fuzz/targets.ts', import.meta.url).href
const HIDING = new URL('../fixtures/fuzz/targets.ts', import.meta.url).href

test('everything that is kept ends well', async () => {
  const kept = TARGETS.flatMap((target) => corpusOf(target).map((one) => ({ target, ...one })))
  assert.deepEqual(await replay(sampled(kept, 10), REGISTRY), [])
  const folders = readdirSync(`${root}fuzz/corpus`)
  assert.deepEqual(
    folders.filter((name) => !TARGETS.some((target) => target.name === name)),
    [],
  )
  assert.ok(kept.length >= 10, `${kept.length} files are kept`)
})

test('a fault is found, made small and kept, whatever it does to the process', {
  skip: notInFull,
}, async () => {
  const said: string[] = []
  const options = { seconds: Infinity, cases: 8, seed: 1, jobs: 2, save: folder, shrink: true }
  const patience = { times: 4, more: 0.5, idle: 60 }
  const result = await fuzz({ ...options, targets: HIDDEN }, HIDING, (line) => void said.push(line), patience)
  const signatures = new Map(result.found.map(({ target, signature }) => [target, signature]))
  assert.deepEqual(Object.fromEntries([...signatures].sort()), {
    changes: 'not repeatable',
    dies: 'dies (exit status 3)',
    hangs: 'hangs',
    large: 'takes memory',
    slow: 'too slow',
    throws: 'RangeError in nowhere known',
    wrong: 'a count',
  })
  for (const { target, file } of result.found) {
    if (target !== 'changes') assert.equal(readFileSync(file, 'utf8'), 'needle\n', target)
  }
  // What an input does not do by itself is told, and no fault.
  assert.ok(result.unconfirmed > 0)
  assert.ok(said.some((line) => line.startsWith('once and not again in once, seed 1, case ')))
  for (const { name } of HIDDEN) assert.equal(result.cases.get(name), 8, name)
  assert.ok(said.some((line) => line.includes('npm run fuzz -- --replay')))
})

test('a seed gives the same inputs, and another seed others', () => {
  const run = (...words: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [`${root}fuzz/main.ts`, ...words], { encoding: 'utf8' })
  const good = run('system-map', '--cases', '5', '--seed', '7', '--jobs', '1')
  assert.equal(good.status, 0, good.stdout + good.stderr)
  assert.match(good.stdout, /seed 7, 5 cases each, 1 processes, 1 targets\n {2}system-map +5 cases/)
  const wrong = run('sytem-map')
  assert.equal(wrong.status, 2)
  assert.equal(wrong.stderr, "fuzz: no target 'sytem-map'; did you mean system-map?\n")
  assert.match(run('--help').stdout, /guest {8}/)
})
