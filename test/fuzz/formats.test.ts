import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fuzz } from '../../fuzz/fuzz.ts'
import { TARGETS } from '../../fuzz/targets.ts'
import { howMany } from '../tools/sample.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-formats-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const REGISTRY = new URL('../../fuzz/targets.ts', import.meta.url).href
const CASES = howMany({ all: 6, few: 3 })

/** The first of the inputs that fuzzing goes on with for hours: the same ones each time. */
test('whatever is in a file of any format, it is read, or refused in one line', async () => {
  const targets = TARGETS.filter(({ group }) => group === 'formats' || group === 'loaders')
  assert.ok(targets.length >= 15)
  const options = { seconds: Infinity, cases: CASES, seed: 15, jobs: 2, save: folder, shrink: false }
  const said: string[] = []
  const { found, cases } = await fuzz({ ...options, targets }, REGISTRY, (line) => void said.push(line))
  assert.deepEqual(found, [], said.join('\n'))
  for (const { name } of targets) assert.equal(cases.get(name), CASES, name)
})
