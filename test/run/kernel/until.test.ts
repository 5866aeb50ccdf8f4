import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { UntilText } from '../../../src/run/kernel/until.ts'
import { kernelOf, speaking } from '../../tools/tiny-kernel.ts'
import { xenolith } from '../../tools/tools.ts'

/** Runs that end at a text of the console. */
const folder = mkdtempSync(join(tmpdir(), 'xenolith-until-'))
after(() => rmSync(folder, { recursive: true }))

const CRASH = 3
const kernel = kernelOf(speaking('one\r\ntwo words\r\n', CRASH))
const file = join(folder, 'kernel')
writeFileSync(file, kernel)

/** Names a domain that there is not, of which Xen has a line to say, for ever. */
const REFUSED = `
again:  mov edi, 0
        mov esi, 0
        mov edx, 0
        mov r10d, 0x7777
        mov eax, mmuext_op
        syscall
        jmp again
`

const run = (until: string): KernelRun => {
  const run = new KernelRun({ kernel: { name: 'k', bytes: kernel }, memory: 4096, until })
  run.runToEnd()
  return run
}

test('a text is found however it is cut, and never across the end of a line', () => {
  const bytes = Buffer.from('aab aaab\nc')
  for (const [text, isThere] of [
    ['aaab', true],
    ['b a', true],
    ['bc', false],
    ['aab aaab', true],
    ['abb', false],
  ] as const) {
    for (let size = 1; size <= bytes.length; size++) {
      const until = new UntilText(text)
      for (let at = 0; at < bytes.length; at += size) until.guest(bytes.subarray(at, at + size))
      assert.equal(until.isSeen, isThere, `${text}, ${size} bytes at a time`)
    }
  }
  const nothing = new UntilText(null)
  nothing.guest(bytes)
  nothing.line('line')
  assert.equal(nothing.isSeen, false)
  // A line of Xen's is none of the guest's.
  const mixed = new UntilText('ab')
  mixed.guest(Buffer.from('a'))
  mixed.line('b')
  assert.equal(mixed.isSeen, false)
  mixed.line('(XEN) ab')
  assert.ok(mixed.isSeen)
})

test('a run ends where its console has the text, alive, and so it can be saved', () => {
  const reached = run('two wo')
  assert.equal(reached.outcome, 'reached')
  assert.ok(reached.isAlive)
  const restored = new KernelRun({ restore: { name: 's', bytes: reached.snapshot() } })
  assert.equal(restored.runToEnd(), 'crash')
  assert.equal(run('three').outcome, 'crash')
  assert.equal(run('one two').outcome, 'crash')
})

test('a line of Xen counts, too', () => {
  const refused = kernelOf(REFUSED)
  const reached = new KernelRun({
    kernel: { name: 'k', bytes: refused },
    memory: 4096,
    until: 'Unknown domain d30583',
    timeLimit: 1,
  })
  assert.equal(reached.runToEnd(), 'reached')
  assert.match(reached.result().console.join('\n'), /^\(XEN\) .*Unknown domain d30583$/)
})

test('boot --until is a success, and says so', () => {
  const report = join(folder, 'report.xml')
  const words = ['boot', '--kernel', file, '--memory', '16M', '--until', 'words', '--junit', report]
  const { status, stderr } = xenolith(words)
  assert.equal(status, 0)
  assert.match(stderr, /^xenolith: guest came to the line of --until, after 0\.\d+ s/)
  assert.match(readFileSync(report, 'utf8'), /failures="0"/)
  for (const text of ['', 'two\nlines']) {
    const wrong = xenolith(['boot', '--kernel', file, '--until', text])
    assert.equal(wrong.status, 2)
    assert.match(wrong.stderr, /^xenolith: --until takes a part of one line.*\n$/)
  }
  const model = xenolith(['boot', '--until', 'words'])
  assert.equal(model.status, 2, model.stderr)
})
