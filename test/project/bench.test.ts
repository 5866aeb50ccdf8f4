import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  growthExponent,
  inChild,
  interleaved,
  machineInfo,
  median,
  roundCount,
  spread,
  timed,
} from '../../bench/measure.ts'
import { root } from '../tools/tools.ts'

function bench(words: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}bench/run.ts`, ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}

test('a wrong name or option is one line, with the nearest, and measures nothing', () => {
  assert.deepEqual(bench(['bot']), {
    status: 2,
    stdout: '',
    stderr: 'bench: no bench "bot": did you mean boot?\n',
  })
  assert.match(bench(['measure']).stderr, /^bench: no bench "measure": there are .*boot.*\n$/)
  assert.deepEqual(bench(['boot', '--jsn']), {
    status: 2,
    stdout: '',
    stderr: 'bench: no option "--jsn": did you mean --json?\n',
  })
})

test('what a bench needs and is not here is one line', () => {
  const empty = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))
  try {
    // No program of the system is found, so that nothing is downloaded.
    const { status, stdout, stderr } = bench(['debian'], { TMPDIR: empty, PATH: empty, CI: '' })
    assert.deepEqual([status, stdout], [2, ''])
    // Before it stands which QEMU there is.
    assert.match(stderr, /^(?:debian: .*\n)?bench: debian: [^\n]+\n$/)
  } finally {
    rmSync(empty, { recursive: true })
  }
})

test('medians, spreads and growth are what they are called', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 2, 9]), 3)
  assert.equal(spread([3, 1, 2]), '2.0 (1.0 to 3.0, 3 runs)')
  const sizes = [1, 2, 4, 8, 16]
  assert.ok(Math.abs(growthExponent(sizes.map((n) => [n, 3 * n])) - 1) < 1e-9)
  assert.ok(Math.abs(growthExponent(sizes.map((n) => [n, 7 * n * n])) - 2) < 1e-9)
  assert.ok(Math.abs(growthExponent(sizes.map((n) => [n, 5]))) < 1e-9)
})

test('cases take turns, and warm-ups are not counted', async () => {
  const order: string[] = []
  const samples = await interleaved([{ key: 'A' }, { key: 'B' }, { key: 'C' }], 2, async ({ key }, round) => {
    order.push(key)
    return round
  })
  assert.equal(order.join(' '), 'A B C A B C')
  assert.deepEqual(samples.get('B'), [0, 1])
  let calls = 0
  assert.equal(timed(() => void calls++, 2, 3).length, 3)
  assert.equal(calls, 5)
})

test('the environment says how many rounds there are', () => {
  const { BENCH_ROUNDS } = process.env
  try {
    delete process.env.BENCH_ROUNDS
    assert.equal(roundCount(5), 5)
    process.env.BENCH_ROUNDS = '2'
    assert.equal(roundCount(5), 2)
    for (const wrong of ['0', 'many', '1.5', '']) {
      process.env.BENCH_ROUNDS = wrong
      assert.throws(() => roundCount(5), /^BadInput: BENCH_ROUNDS is .*; give a whole number from 1 on$/)
    }
  } finally {
    if (BENCH_ROUNDS === undefined) delete process.env.BENCH_ROUNDS
    else process.env.BENCH_ROUNDS = BENCH_ROUNDS
  }
})

test('a child has its own peak of memory', async () => {
  const module = new URL('../fixtures/touch.ts', import.meta.url).href
  const small = await inChild<number>(module, 'touch', { mib: 1 })
  const large = await inChild<number>(module, 'touch', { mib: 200 })
  assert.equal(large.value, 200 * 2 ** 20)
  assert.ok(large.peakMib - small.peakMib > 150, `${small.peakMib} and ${large.peakMib} MiB`)
})

test('a machine has a name, cores and a Node', () => {
  const { cpu, cores, node } = machineInfo()
  assert.ok(cpu.length > 0 && cores > 0)
  assert.equal(node, process.version)
})
