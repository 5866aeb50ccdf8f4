import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { chosenParts, type Part, runParts as runAll } from '../tools/parts.ts'
import { needs, root } from '../tools/tools.ts'

/** Run lines of bash with what .ci/run has for its parts. */
function runParts(lines: string): { status: number | null; stdout: string } {
  const { status, stdout } = spawnSync('bash', ['-c', `set -euo pipefail\nsource .ci/parts\n${lines}`], {
    cwd: root,
    encoding: 'utf8',
  })
  return { status, stdout }
}

const skip = needs('bash')

test('what CI runs ends with a table of its parts', { skip }, () => {
  const { status, stdout } = runParts("part 'one' true\npart 'the second' echo said")
  assert.equal(status, 0)
  assert.match(
    stdout,
    /== one\n\n== the second\nsaid\n\n== what it took\n +\d+ min \d\d s {2}one\n +\d+ min \d\d s {2}the second\n.* in all\n$/,
  )
})

test('the table is there behind a part that failed, too, and nothing is run after that', { skip }, () => {
  const { status, stdout } = runParts(
    'part one true\nbroken() { false; echo on; }\npart two broken\npart three true',
  )
  assert.equal(status, 1)
  assert.match(stdout, /min \d\d s {2}one\n.* two \(failed\)\n.* in all\n$/)
  assert.doesNotMatch(stdout, /on\n|three/)
})

test('what runs on a seed of its own fails when it fails twice', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-ci-'))
  try {
    // Fails once, and leaves a folder by which the second run knows.
    const once = `fails() { rmdir ${folder}/b 2>/dev/null || { mkdir ${folder}/b; return 1; }; }\npart 'once' repeated fails`
    const first = runParts(once)
    assert.equal(first.status, 0)
    assert.match(first.stdout, /== once more: fails/)
    assert.equal(runParts("part 'never' repeated false").status, 1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what is run by hand goes on behind a part that failed, and says so in its table', () => {
  const node = (code: string): string[] => [process.execPath, '-e', code]
  const parts: Part[] = [
    { name: 'bad', shows: 'nothing', command: node('process.exitCode = 3') },
    {
      name: 'good',
      shows: 'its environment',
      command: node('process.exitCode = process.env.HOW - 1'),
      env: { HOW: '1' },
    },
    { name: 'again', shows: 'nothing', command: node('process.exitCode = 1'), isRepeated: true },
    { name: 'none', shows: 'a program that is not there', command: ['xenolith-no-such-program'] },
  ]
  const lines: string[] = []
  assert.equal(
    runAll(parts, root, (line) => lines.push(line)),
    3,
  )
  assert.match(lines[1], /^== good: its environment\n== HOW=1 .*node/)
  assert.match(
    lines.slice(5).join('\n'),
    /^== what it took\n +0 min \d\d s {2}bad \(failed\)\n.* good\n.* again \(failed\)\n.* none \(failed\)\n.* in all, 3 of 4 parts failed$/,
  )
  assert.deepEqual(chosenParts(parts, []), parts)
  assert.deepEqual(chosenParts(parts, ['g', 'b']), parts.slice(0, 2))
  assert.equal(chosenParts(parts, ['g', 'x']), 'x')
})

test('the parts that are run by hand are commands that there are', () => {
  const { status, stdout } = spawnSync(process.execPath, ['test/long.ts', '--list'], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0)
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  const used = [...stdout.matchAll(/npm run (\S+)/g)].map(([, name]) => name)
  assert.ok(used.includes('judge') && used.includes('fuzz') && used.includes('oracle'))
  for (const name of used) assert.ok(name in scripts, name)
})
