import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { bootKernel, KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { TIERS } from '../../../src/run/tiers.ts'
import { delay, kernelOf, speaking } from '../../tools/tiny-kernel.ts'
import { xenolith } from '../../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-tier-'))
after(() => rmSync(folder, { recursive: true }))

/** It has a loop that is hot. */
const bytes = kernelOf(delay(500_000) + speaking('done\n', 0))
const kernel = join(folder, 'kernel')
writeFileSync(kernel, bytes)
const options = { kernel: { name: 'k', bytes }, memory: 4096 }
const words = ['--kernel', kernel, '--memory', '16M']

test('a guest comes to the same on either tier, and on machines with few translations', () => {
  const expected = bootKernel({ ...options, core: { tier: 'interpreter' } })
  for (const core of [{}, { tier: 'region' }, { threshold: 1 }, { translations: 2, threshold: 1 }] as const)
    assert.deepEqual(bootKernel({ ...options, core }), expected, JSON.stringify(core))
})

test('a snapshot of one tier goes on in the other, and is the same file', () => {
  const half = (tier: (typeof TIERS)[number]): Uint8Array => {
    const run = new KernelRun({ ...options, core: { tier, threshold: 1 } })
    run.step(123_457)
    return run.snapshot()
  }
  const [ofInterpreter, ofRegions] = TIERS.map(half)
  assert.deepEqual(ofRegions, ofInterpreter)
  const expected = bootKernel(options)
  for (const tier of TIERS) {
    const result = bootKernel({ restore: { name: 's', bytes: ofRegions }, core: { tier, threshold: 1 } })
    assert.deepEqual({ ...result, name: expected.name }, expected)
  }
})

test('--json says what was compiled, and that it is the same guest', () => {
  const run = (tier: string) => {
    const { status, stdout, stderr } = xenolith(['boot', ...words, '--json', '--tier', tier])
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout)
  }
  const [interpreted, compiled] = TIERS.map(run)
  assert.deepEqual(interpreted.compiled, { blocks: 0, regions: 0, bytes: 0, milliseconds: 0 })
  assert.deepEqual(Object.keys(compiled.compiled), ['blocks', 'regions', 'bytes', 'milliseconds'])
  assert.deepEqual({ ...compiled, compiled: interpreted.compiled }, interpreted)
})

test('who, why, replay and sweep take --tier, and find the same', () => {
  const trace = join(folder, 'trace.jsonl')
  assert.equal(xenolith(['boot', ...words, '--trace', trace]).status, 0)
  for (const verb of [
    ['who', 'va:ffffffff80100000', ...words],
    ['who', 'va:ffffffff80100000', '--trace', trace],
    ['replay', trace],
    ['sweep', '--kernel', kernel, '--memory', '16M', '--threads', '1', '--json'],
  ]) {
    const [first, second] = TIERS.map((tier) => xenolith([...verb, '--tier', tier]))
    assert.equal(first.status, 0, first.stderr)
    assert.deepEqual(second, first)
  }
})

for (const [line, message] of [
  [['boot', ...words, '--tier', 'jit'], /--tier 'jit' is not known; choose from interpreter, region/],
  [['boot', ...words, '--tier', ''], /--tier/],
  [['boot', '--tier', 'region'], /--tier is for real kernels; give --kernel/],
  [['who', 'pfn:1', ...words, '--tier', 'jit'], /--tier 'jit'/],
  [['why', ...words, '--tier', 'jit'], /--tier 'jit'/],
  [['replay', kernel, '--tier', 'jit'], /--tier 'jit'/],
  [['sweep', '--kernel', kernel, '--tier', 'jit'], /--tier 'jit'/],
  [['sweep', '--linux', 'A', '--tier', 'region'], /--tier is for real kernels; give --kernel/],
] as const) {
  test(`wrong: ${line.join(' ').replaceAll(folder, '')}`, () => {
    const { status, stdout, stderr } = xenolith([...line])
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^xenolith: [^\n]+\n$/)
    assert.match(stderr, message)
  })
}
