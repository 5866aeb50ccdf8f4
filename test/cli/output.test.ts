import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { sampled } from '../tools/sample.ts'
import { kernelOf, speaking } from '../tools/tiny-kernel.ts'
import { needs, root } from '../tools/tools.ts'

/** What cannot be written is told in a line, and nothing that can be is lost. */

const folder = mkdtempSync(join(tmpdir(), 'xenolith-output-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const bin = `${root}bin/xenolith.js`
const log = join(folder, 'a.log')
writeFileSync(log, '(XEN) mm.c:2985:d0 Error while pinning mfn 12d431\n')
const script = join(folder, 'a.script')
writeFileSync(script, 'page A\npin1 A\n')
const trace = join(folder, 'a.jsonl')
const kernel = join(folder, 'kernel')
writeFileSync(kernel, kernelOf(speaking('one\ntwo\n', 0)))

/** Runs a line of the shell in which `$X` is xenolith. */
function shell(line: string) {
  const { NODE_TEST_CONTEXT, ...env } = process.env
  return spawnSync('bash', ['-c', line], {
    encoding: 'utf8',
    env: { ...env, X: `${process.execPath} ${bin}` },
    maxBuffer: 2 ** 27,
  })
}

const VERBS: readonly string[] = sampled(
  [
    '--help',
    '--version',
    'help boot',
    'completion bash',
    'maps',
    'maps --json',
    `explain ${log}`,
    `explain --json ${log}`,
    `explain --sarif ${log}`,
    'boot --memory 512M',
    'boot --memory 512M --json',
    `boot --memory 512M --trace ${trace}`,
    `boot --kernel ${kernel} --memory 64M --batch`,
    `boot --kernel ${kernel} --memory 64M --batch --raw`,
    `boot --kernel ${kernel} --memory 64M --json`,
    `script ${script}`,
    `script --json ${script}`,
    'sweep --map msi-h61m-p23-8g --linux B --memory 512M --v-end 0x2000000 --threads 1',
    'sweep --map msi-h61m-p23-8g --linux B --memory 512M --v-end 0x2000000 --threads 1 --jsonl',
    'explore --pages 1 --depth 1 --walks 1 --threads 1',
    'explore --pages 1 --depth 1 --walks 1 --threads 1 --json',
  ],
  5,
)

test('a full disk is one line and status 2, for every verb', () => {
  for (const words of VERBS) {
    const { status, stderr } = shell(`$X ${words} > /dev/full`)
    assert.equal(stderr, 'xenolith: cannot write standard output: the disk is full (ENOSPC)\n', words)
    assert.equal(status, 2, words)
  }
})

test('a full disk leaves no half file behind', () => {
  assert.equal(shell(`cd ${folder} && $X boot --memory 512M --trace half.jsonl > /dev/full`).status, 0 + 2)
  const sweep =
    'sweep --map msi-h61m-p23-8g --linux B --memory 512M --v-end 0x2000000 --threads 1 --jsonl --out half-results.jsonl'
  assert.equal(shell(`cd ${folder} && $X ${sweep} > /dev/full`).status, 2)
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('half-') || name.includes('partial')),
    [],
  )
})

test('what standard error cannot take is nowhere told, but the status says so', () => {
  for (const words of ['boot --no-such-option', 'maps no-such-map', 'explain no-such-file', 'no-such-verb'])
    assert.equal(shell(`$X ${words} 2> /dev/full`).status, 2, words)
  const { status, stdout } = shell(`$X boot --memory 512M --expect fault 2> /dev/full`)
  assert.equal(status, 1)
  assert.match(stdout, /about to get started/)
  assert.equal(shell(`$X maps > /dev/full 2>&1`).status, 2)
})

test('a reader that has seen enough is no error', () => {
  for (const words of VERBS) {
    const { stderr, stdout } = shell(`$X ${words} | head -c 1; echo " \${PIPESTATUS[0]}"`)
    assert.match(stderr, /^(?:xenolith: guest powered off[^\n]*\n)?$/, words)
    assert.match(stdout, /^.? ?[013]\n$/s, words)
  }
  assert.equal(shell(`$X boot --no-such-option 2>&1 | true; echo "\${PIPESTATUS[0]}"`).stdout, '2\n')
})

test('closed streams are no crash', () => {
  for (const words of ['maps', '--version', `explain ${log}`, `script ${script}`]) {
    for (const closed of sampled(['>&-', '2>&-', '>&- 2>&-', '<&- >&- 2>&-'], 2)) {
      const { status, stderr } = shell(`$X ${words} ${closed}`)
      assert.equal(stderr, '', `${words} ${closed}`)
      assert.ok(status !== null && [0, 2, 3].includes(status), `${words} ${closed}: status ${status}`)
    }
  }
})

test('a document is whole, however slow its reader is and whatever its pipe takes at a time', {
  skip: needs('perl'),
}, async () => {
  const long = join(folder, 'long.script')
  const count = 10_000
  writeFileSync(long, `page A\n${'info A\n'.repeat(count)}`)
  // Whoever had the pipe before may have left it a non-blocking one: writes into it fail for now when it is full.
  const before = `perl -MFcntl -e 'fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK)'`
  const line = `${before}; exec ${process.execPath} ${bin} script --json ${long}`
  const child = spawn('bash', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] })
  const over = once(child, 'exit')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const lines = (await text(child.stdout)).trimEnd().split('\n')
  assert.deepEqual(await over, [0, null])
  assert.equal(lines.length, count + 2)
  for (const one of lines) JSON.parse(one)
})
