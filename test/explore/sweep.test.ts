import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { parseShard } from '../../src/explore/jobs/job.ts'
import { bootCommand } from '../../src/explore/sweep/command.ts'
import { isChecked, run as runPiece, type SweepSpec } from '../../src/explore/sweep/piece.ts'
import { parseSweepFile, type RawSpace, readSpace } from '../../src/explore/sweep/read-space.ts'
import {
  headerLine,
  mergeResults,
  type Results,
  readResults,
  rowLine,
} from '../../src/explore/sweep/results.ts'
import { isComplete, machinesOf, openWorkers, runSweep, sweepJob } from '../../src/explore/sweep/run-sweep.ts'
import { loadSweep, saveSweep } from '../../src/explore/sweep/saved-sweep.ts'
import { shrink } from '../../src/explore/sweep/shrink.ts'
import { countOf, machineAt, machineCount } from '../../src/explore/sweep/space.ts'
import { sameMachines, summarize } from '../../src/explore/sweep/summary.ts'
import { bootOutcome } from '../../src/run/boot/outcome.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { notInFull } from '../tools/sample.ts'
import { root, xenolith } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-sweep-'))
after(() => rmSync(folder, { recursive: true }))
const read = (raw: RawSpace) => readSpace(raw, findMap)

/** Small machines above a boundary of 2 MiB, some of which are refused. */
const SMALL: RawSpace = { map: ['none'], memory: ['0x40200p..0x4022fp+1p'], vEnd: ['32M'], linux: ['A,B,C'] }
const spec = (forecast = true): SweepSpec => ({ space: read(SMALL), seed: 1, forecast })

function wholeOf(of: SweepSpec): Results {
  const rows = Array.from({ length: sweepJob(of).pieces }, (_, piece) => runPiece(of, piece)).flat()
  return { spec: of, rows }
}

test('a space numbers its machines, each once, the kernels fastest', () => {
  const space = read({
    map: ['guests', 'none'],
    memory: ['512M', '0x8000p..0x8010p+8p'],
    vEnd: ['own,32M..64M+16M'],
    append: ['', 'mem=1G,2G'],
    xen: ['seed,4.17'],
    linux: ['A', 'B,C'],
  })
  assert.equal(countOf(space.memory), 4)
  assert.equal(machineCount(space), space.maps.length * 4 * 4 * 2 * 2 * 3)
  const machines = Array.from({ length: machineCount(space) }, (_, n) => JSON.stringify(machineAt(space, n)))
  assert.equal(new Set(machines).size, machines.length)
  assert.deepEqual(
    [0, 1, 2, 3].map((n) => machineAt(space, n).linux),
    ['A', 'B', 'C', 'A'],
  )
  // A comma in a command line is the command line's.
  assert.ok(machines.some((machine) => machine.includes('"append":"mem=1G,2G"')))
})

test('memory is capped, whether it is said or the map’s own', () => {
  const space = read({ map: ['opteron-32g-2008'], memory: ['own', '20G', '1G'], memoryCap: '16G' })
  assert.deepEqual(
    [0, 1, 2].map((n) => machineAt(space, n).memory),
    [2 ** 22, 2 ** 22, 2 ** 18],
  )
})

const wrong: [raw: RawSpace, message: RegExp][] = [
  [{ linux: ['nosuch'] }, /no Linux "nosuch"/],
  [{ xen: ['9.9'] }, /9\.9/],
  [{ map: ['nosuch'] }, /no map is named "nosuch"/],
  [{ vEnd: ['32M..64M'] }, /--v-end '32M\.\.64M' is a range without a step/],
  [{ vEnd: ['64M..32M+4M'] }, /ends before it begins/],
  [{ vEnd: ['33M'] }, /--v-end 33M is not a multiple of 4 MiB/],
  [{ memory: ['1p..1000G+1p'], vEnd: ['4M..1000G+4M'], append: ['a', 'b'] }, /./],
  [{ vEnd: ['32M'], kernelSize: ['8M'] }, /exclude each other/],
  [{ initrdSize: ['8M'] }, /needs --kernel-size/],
  [{ map: ['none'], dom0: true }, /a dom0 needs a machine/],
  [{ map: [] }, /--map is empty/],
]
for (const [raw, message] of wrong) {
  test(`refused in one line: ${JSON.stringify(raw)}`, () => {
    assert.throws(() => machineCount(read(raw)), message)
  })
}

test('a sweep file has the names of the options; what is wrong in it is named', () => {
  const raw = parseSweepFile('{"map": "none", "memory-cap": "1G", "v-end": ["32M"], "domu": true}', 'm.json')
  assert.deepEqual(raw, { map: ['none'], memoryCap: '1G', vEnd: ['32M'], domu: true })
  assert.throws(() => parseSweepFile('[]', 'm.json'), /m\.json: a sweep file is an object/)
  assert.throws(() => parseSweepFile('{', 'm.json'), /m\.json is not JSON/)
  assert.throws(
    () => parseSweepFile('{"v-ends": "1"}', 'm.json'),
    /no option is named "v-ends" \(did you mean v-end\?\)/,
  )
  assert.throws(() => parseSweepFile('{"domu": 1}', 'm.json'), /"domu": it is neither true nor false/)
  assert.throws(() => parseSweepFile('{"linux": [{}]}', 'm.json'), /"linux": it holds something/)
  assert.throws(
    () => parseSweepFile('{"memory-cap": ["1G", "2G"]}', 'm.json'),
    /"memory-cap": it has one value/,
  )
})

test('about 2 % are checked, by seed and number alone', () => {
  const count = Array.from({ length: 50_000 }, (_, n) => isChecked(7, n)).filter(Boolean).length
  assert.ok(count > 900 && count < 1100, `${count}`)
  assert.notDeepEqual(
    Array.from({ length: 1000 }, (_, n) => isChecked(1, n)),
    Array.from({ length: 1000 }, (_, n) => isChecked(2, n)),
  )
})

test('a forecast that is wrong is found by the check, and the run fails', () => {
  const whole = wholeOf(spec())
  const rows = whole.rows.map((row, i) =>
    i === 5
      ? { ...row, checked: true as const, forecast: { outcome: 'booted' as const, signature: '' } }
      : row,
  )
  const summary = summarize({ spec: whole.spec, rows })
  assert.deepEqual(summary.forecast.differing, [5])
  const file = join(folder, 'differing.jsonl')
  const header = headerLine(whole.spec, { index: 1, of: 1 }, 'test')
  writeFileSync(file, [header, ...rows.map(rowLine), ''].join('\n'))
  const { status, stderr, stdout } = xenolith(['sweep', 'merge', file, '--no-shrink'])
  assert.equal(status, 1)
  assert.match(stderr, /1 boots came out otherwise than forecast, the first is machine 5/)
  assert.match(stdout, /NOT AS FORECAST: machines 5/)
})

test('the forecast changes nothing but what is booted', () => {
  const strip = ({ rows }: Results) =>
    rows.map(({ n, outcome, signature, pfn }) => ({ n, outcome, signature, pfn }))
  assert.deepEqual(strip(wholeOf(spec(true))), strip(wholeOf(spec(false))))
})

test('one process, threads, shards merged and a run that was interrupted give the same', async () => {
  const whole = wholeOf(spec())
  const pool = openWorkers(2)
  const never = new AbortController().signal
  try {
    const start = { spec: spec(), shard: parseShard(undefined), done: 0, rows: [] }
    const all = await runSweep(pool, start, never)
    assert.ok(isComplete(all))
    assert.deepEqual(all.rows, whole.rows)

    const parts: { file: string; results: Results }[] = []
    for (const text of ['1/2', '2/2']) {
      const shard = parseShard(text)
      const state = await runSweep(pool, { ...start, shard }, never)
      assert.equal(state.rows.length, machinesOf(state))
      const lines = [headerLine(state.spec, shard, 'test'), ...state.rows.map(rowLine)]
      parts.push({ file: text, results: readResults(lines, text) })
    }
    assert.deepEqual(mergeResults(parts).rows, whole.rows)
    // The same file twice is no news.
    assert.deepEqual(mergeResults([...parts, parts[0]]).rows, whole.rows)
    assert.throws(() => mergeResults([parts[0]]), /machines are missing, the first is 64/)

    const controller = new AbortController()
    const cut = await runSweep(pool, start, controller.signal, {
      row: ({ n }) => n === 0 && controller.abort(),
    })
    const file = join(folder, 'checkpoint')
    saveSweep(file, { ...cut, done: 1, rows: cut.rows.slice(0, 64) })
    const resumed = await runSweep(pool, loadSweep(file), never)
    assert.deepEqual(resumed.rows, whole.rows)
  } finally {
    await pool.close()
  }
})

test('results that do not belong together are refused', () => {
  const whole = wholeOf(spec())
  const other = { ...whole, spec: { ...whole.spec, seed: 2 } }
  assert.throws(
    () =>
      mergeResults([
        { file: 'a', results: whole },
        { file: 'b', results: other },
      ]),
    /b is of another sweep than a/,
  )
  const changed = { ...whole, rows: [{ ...whole.rows[0], signature: 'else' }] }
  assert.throws(
    () =>
      mergeResults([
        { file: 'a', results: whole },
        { file: 'b', results: changed },
      ]),
    /b says something else of machine 0/,
  )
  assert.throws(() => readResults(['{}'], 'x'), /x is no result of a sweep/)
  const header = headerLine(whole.spec, { index: 1, of: 1 }, 'test')
  assert.throws(() => readResults([header, '{"n": 1'], 'x'), /x: line 2 is no result/)
  assert.throws(
    () => readResults([header, '{"n": 999999, "outcome": "booted", "signature": ""}'], 'x'),
    /line 2/,
  )
})

test('whatever is cut off a result, reading it is a result or one line', () => {
  const whole = wholeOf(spec())
  const text = [headerLine(whole.spec, { index: 1, of: 1 }, 'test'), ...whole.rows.map(rowLine)].join('\n')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: text.length }), (length) => {
      try {
        readResults(text.slice(0, length).split('\n'), 'cut')
      } catch (error) {
        assert.match((error as Error).message, /^cut/)
      }
    }),
    { seed: 1, numRuns: 100 },
  )
})

test('the border is named exactly: 1 to 18 pages above a 2 MiB boundary', () => {
  const options = { linux: 'B', domain: 'domU' as const, memory: 0xbf801, vEnd: 32 << 20 }
  const { signature } = bootOutcome(options)
  assert.equal(signature, 'refused: pinning a table (L1), call 1 of init_memory_mapping')
  const { boundaries, map, command } = shrink(options, signature)!
  assert.equal(map, null)
  assert.equal(command, 'xenolith boot --linux B --domu --memory 0x40201p --v-end 0x1800000')
  assert.equal(boundaries[0].says, 'refused for 1 to 18 pages above a 2 MiB boundary')
  // By hand: the first and the last page of the range, and one beyond each.
  const at = (memory: number) => bootOutcome({ linux: 'B', domain: 'domU', memory, vEnd: 0x180_0000 }).outcome
  assert.deepEqual([0x40200, 0x40201, 0x40212, 0x40213].map(at), ['booted', 'refused', 'refused', 'booted'])
})

test('a failure shrinks to a machine that fails alike, and is no larger', { skip: notInFull }, () => {
  const options = { linux: 'B', map: 'msi-h61m-p23-8g', memory: 0xc0000, vEnd: 96 << 20 }
  const { signature } = bootOutcome(options)
  const { map, boundaries } = shrink(options, signature)!
  assert.ok(map !== null && map.entries.length < findMap('msi-h61m-p23-8g').entries.length)
  const [memory] = boundaries
  assert.ok(memory.from < options.memory)
  const [, vEnd] = boundaries
  const again = { ...options, map, memory: memory.from, vEnd: vEnd.from }
  assert.equal(bootOutcome(again).signature, signature)
})

test('the smallest machine can be booted from what is printed of it', { skip: notInFull }, () => {
  const wanted = ['--map', 'msi-h61m-p23-8g', '--memory', '0xc0000p', '--v-end', '96M', '--linux', 'B']
  const { stdout } = xenolith(['sweep', ...wanted])
  const ranges = stdout.match(/^ +(usable|reserved|ACPI data|ACPI NVS|unusable) 0x.*$/gm)!
  const file = join(folder, 'shrunk.txt')
  writeFileSync(file, ranges.join('\n').replace(/^ +/gm, ''))
  const command = stdout.match(/xenolith boot .*shrunk.*/)![0].replace('shrunk.txt', file)
  assert.ok(command.includes('--dom0'))
  const booted = xenolith([...command.split(' ').slice(1), '--json'])
  const { outcome, via, call } = JSON.parse(booted.stdout)
  assert.deepEqual({ outcome, via, call }, { outcome: 'refused', via: 'pin', call: 1 })
})

test('a baseline tells what is new; other machines are no baseline', () => {
  const of = (linux: string) => wholeOf({ ...spec(), space: read({ ...SMALL, linux: [linux] }) })
  const [before, now] = [of('A'), of('B')]
  sameMachines(now.spec, before.spec)
  const { regressions, totals } = summarize(now, new Map(), before)
  assert.ok(totals.refused > 0)
  assert.equal(regressions?.length, totals.refused)
  assert.deepEqual(summarize(before, new Map(), now).regressions, [])
  assert.throws(() => sameMachines(now.spec, spec()), /the baseline is of other machines/)
})

/** The forms that other tools read. */
function checkForms(merged: (format: string) => { stdout: string }) {
  const sarif = JSON.parse(merged('sarif').stdout)
  assert.equal(sarif.version, '2.1.0')
  assert.equal(sarif.runs[0].results[0].ruleIndex, 0)
  const junit = merged('junit').stdout
  assert.match(junit, /<testsuite name="none" tests="3" failures="1" errors="0">/)
  assert.match(
    junit,
    /<testcase classname="none" name="B: 48 machines">\n {6}<failure message="\d+ of 48 fail/,
  )
  assert.match(merged('html').stdout, /^<!doctype html>[\s\S]*<\/html>\n$/)
}

test('the command line: formats, statuses, files', () => {
  const out = join(folder, 'small.jsonl')
  const axes = [
    '--map',
    'none',
    '--no-e820',
    '--memory',
    '0x40200p..0x4022fp+1p',
    '--v-end',
    '32M',
    '--linux',
    'A,B,C',
  ]
  const swept = xenolith(['sweep', ...axes, '--threads', '1', '--out', out, '--expect', 'booted'])
  assert.equal(swept.status, 1, swept.stderr)
  assert.match(swept.stderr, /expected booted, but \d+ machines fail/)
  assert.match(swept.stdout, /refused for 1 to \d+ pages above a 2 MiB boundary/)
  const wide = swept.stdout.split('\n').filter((line) => line.length > 80 && !line.includes('xenolith boot'))
  assert.deepEqual(wide, [])

  const merged = (format: string) => xenolith(['sweep', 'merge', out, '--no-shrink', `--${format}`])
  const { groups, totals } = JSON.parse(merged('json').stdout)
  assert.equal(groups.length, 1)
  assert.equal(totals.booted + totals.refused, 48 * 3)
  assert.equal(merged('jsonl').stdout, readFileSync(out, 'utf8'))
  if (notInFull === false) checkForms(merged)

  assert.equal(xenolith(['sweep', ...axes, '--json', '--html']).status, 2)
  assert.equal(xenolith(['sweep', ...axes, '--shard', '3/2']).status, 2)
  assert.equal(xenolith(['sweep', 'merge']).status, 2)
  assert.equal(xenolith(['sweep', 'merge', join(folder, 'nosuch')]).status, 2)
  assert.equal(xenolith(['sweep', '--resume', out]).status, 2)
  assert.equal(xenolith(['sweep', ...axes, '--checkpoint', join(folder, 'no', 'such')]).status, 2)
})

test("machines without a map have xl's; --no-e820, --maxmem and --config say otherwise, for all of them", () => {
  const sweep = (words: readonly string[]) =>
    xenolith([
      'sweep',
      '--map',
      'none',
      '--memory',
      '512M,2049M',
      '--v-end',
      '28M',
      '--linux',
      'C',
      '--jsonl',
      ...words,
    ])
  const outcomes = (words: readonly string[]): string[] =>
    sweep(words)
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((row) => row.outcome !== undefined)
      .map((row) => row.outcome)
  assert.deepEqual(outcomes([]), ['fault', 'fault'])
  assert.deepEqual(outcomes(['--no-e820']), ['booted', 'refused'])
  assert.deepEqual(outcomes(['--no-e820', '--config', 'flatmem']), ['booted', 'booted'])
  assert.deepEqual(outcomes(['--maxmem', '2057M']), ['refused', 'refused'])
  assert.match(
    xenolith(['sweep', '--no-e820']).stderr,
    /--no-e820 is for guests without a map of their own; add --map none/,
  )
  const [space, other] = [
    read({ map: ['none'], memory: ['512M'], noE820: true, config: 'flatmem' }),
    read(parseSweepFile('{"map": "none", "memory": "512M", "no-e820": true, "config": "flatmem"}', 'x')),
  ]
  assert.deepEqual(space, other)
  assert.match(bootCommand(machineAt(space, 0)), / --domu --config flatmem --memory 0x20000p --no-e820$/)
})

test('the example in docs/sweep.md is what it gives', () => {
  const text = readFileSync(`${root}docs/sweep.md`, 'utf8')
  const [, command, output] = /```sh\nnpx xenolith (.*)\n```\n\n```\n([\s\S]*?)```/.exec(text)!
  assert.equal(xenolith(command.split(' ')).stdout, output)
  const file = JSON.parse(/```json\n([\s\S]*?)```/.exec(text)![1])
  assert.equal(machineCount(read(parseSweepFile(JSON.stringify(file), 'example'))), 34 * 80 * 8)
})

test('^C saves, and --resume goes on to the same end', { skip: notInFull }, async () => {
  const file = join(folder, 'interrupted')
  const axes = [
    '--map',
    'none',
    '--memory',
    '0x4000p..0x4200p+1p',
    '--v-end',
    '32M',
    '--linux',
    'B',
    '--no-forecast',
  ]
  const bin = `${root}bin/xenolith.js`
  const child = spawn(process.execPath, [bin, 'sweep', ...axes, '--threads', '1', '--checkpoint', file])
  let told = ''
  child.stderr.on('data', (text) => {
    told += text
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 20))
  child.kill('SIGINT')
  assert.equal(await ended, 130, told)
  const [, count] = /interrupted after (\d+) machines; go on with --resume/.exec(told)!
  assert.equal(loadSweep(file).rows.length, Number(count))
  assert.ok(Number(count) < 513)
  const resumed = xenolith(['sweep', '--resume', file, '--threads', '1', '--json'])
  assert.equal(resumed.status, 0, resumed.stderr)
  assert.deepEqual(JSON.parse(resumed.stdout), JSON.parse(xenolith(['sweep', ...axes, '--json']).stdout))
  assert.match(
    xenolith(['sweep', '--resume', file, '--linux', 'C']).stderr,
    /--resume goes on with the machines/,
  )
})
