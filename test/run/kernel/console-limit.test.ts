import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { printJson } from '../../../src/cli/json.ts'
import { bootKernel, KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { listeningIo } from '../../tools/listening-io.ts'
import { kernelOf, speaking as speakingText } from '../../tools/tiny-kernel.ts'
import { xenolith } from '../../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-limit-'))
after(() => rmSync(folder, { recursive: true }))

let made = 0

function kernel(source: string): {
  readonly name: string
  readonly bytes: Uint8Array
  readonly file: string
} {
  const elf = kernelOf(source)
  const file = join(folder, `kernel${made++}`)
  writeFileSync(file, elf)
  return { name: 'k', bytes: elf, file }
}

/** Fills the console's ring with a byte and sends it, for ever. */
const flood = (byte: number): string => `
        lea rbx, [rsi + 0x2000]
        lea rdi, [rbx + 1024]
        mov ecx, 2048
        mov eax, ${byte}
        rep stosb
        mov r12d, [rsi + 80]
again:  mov eax, [rbx + 3080]
        add eax, 2048
        mov [rbx + 3084], eax
        push r12
        mov edi, 4
        mov rsi, rsp
        mov eax, 32
        syscall
        pop rcx
        jmp again
`

/** Is refused a request, of which Xen has a line to say, for ever. */
const REFUSED = `
again:  mov edi, 0
        mov esi, 0
        mov edx, 0
        mov r10d, 0x7777
        mov eax, 26
        syscall
        jmp again
`

/** Writes to Xen's console without ever ending a line. */
const ENDLESS_LINE = `
again:  mov edi, 0
        mov esi, 1000
        lea rdx, [rip + again]
        mov eax, 18
        syscall
        jmp again
`

const lines = kernel(flood(10))
const noLines = kernel(flood(0x78))
const returns = kernel(flood(13))
const refused = kernel(REFUSED)
const endless = kernel(ENDLESS_LINE)

test('a guest whose console comes to its limit is over, with what fits and a line that says so', () => {
  const words = ['boot', '--kernel', noLines.file, '--memory', '16M', '--console-limit', '100K']
  const { status, stdout, stderr } = xenolith(words)
  assert.equal(status, 8)
  assert.equal(stdout.length, 100 * 1024 + 1)
  assert.match(
    stderr,
    /^xenolith: guest wrote more than its console holds; see --console-limit, after 0\.\d+ s/,
  )
  // The same every time, and none of what came after it.
  assert.equal(xenolith(words).stderr, stderr)
})

test('an exact fit is none too many', () => {
  const run = (consoleLimit: number): KernelRun => {
    const limited = new KernelRun({ kernel: noLines, memory: 4096, consoleLimit })
    limited.step(60)
    return limited
  }
  const { length } = run(1e6).result().console[0]
  assert.ok(length > 0)
  assert.equal(run(length).outcome, null)
  assert.equal(run(length - 1).outcome, 'console-limit')
  assert.equal(run(length - 1).result().console[0].length, length - 1)
})

test('Xen’s lines count, and what a guest writes by Xen', () => {
  for (const [xen, guest, pattern] of [
    ['4.17', refused, /^\(XEN\) .*d1/],
    ['seed', endless, /^.{65536}$/s],
  ] as const) {
    const { outcome, console } = bootKernel({ kernel: guest, memory: 4096, xen, consoleLimit: 300_000 })
    assert.equal(outcome, 'console-limit')
    assert.match(console[0], pattern)
    const bytes = console.reduce((sum, line) => sum + line.length + 1, 0)
    assert.ok(bytes <= 300_000 && bytes > 200_000, `${bytes}`)
  }
})

test('a release build of Xen says little of a guest, however often it is refused', () => {
  const options = {
    kernel: refused,
    memory: 4096,
    xen: '4.17-release',
    timeLimit: 0.1,
    consoleLimit: 100_000,
  }
  const { outcome, console } = bootKernel(options)
  assert.equal(outcome, 'time-limit')
  assert.ok(console.length <= 20, `${console.length}`)
})

test('the document has what fits, and says how it ended', () => {
  const file = join(folder, 'report.xml')
  const words = ['boot', '--kernel', lines.file, '--memory', '16M', '--console-limit', '20K', '--json']
  const { status, stdout } = xenolith([...words, '--junit', file])
  assert.equal(status, 8)
  const result = JSON.parse(stdout)
  assert.equal(result.outcome, 'console-limit')
  assert.equal(result.console.length, 20 * 1024)
  assert.match(readFileSync(file, 'utf8'), /<failure message="the guest ended by: console-limit"\/>/)
})

test('a console that is kept has a largest limit; one that is only printed has none', () => {
  const words = ['boot', '--kernel', lines.file, '--memory', '16M', '--console-limit']
  const kept = xenolith([...words, '65M', '--json'])
  assert.equal(kept.status, 2)
  assert.match(
    kept.stderr,
    /^xenolith: a console that is kept has at most 64M; give a --console-limit up to that/,
  )
  const speaking = join(folder, 'speaking')
  writeFileSync(speaking, kernelOf(speakingText('Hello\n', 0)))
  const printed = xenolith(['boot', '--kernel', speaking, '--memory', '16M', '--console-limit', '100G'])
  assert.deepEqual([printed.status, printed.stdout], [0, 'Hello\n'])
  const wrong = xenolith([...words, 'much'])
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /--console-limit 'much' is not a size/)
})

test('without a word, a batch has its limit; eight million bytes of anything are quick', () => {
  for (const guest of [lines, noLines, returns]) {
    const start = performance.now()
    const { outcome } = bootKernel({ kernel: guest, memory: 4096, consoleLimit: 8 * 2 ** 20 })
    assert.equal(outcome, 'console-limit')
    assert.ok(performance.now() - start < 20_000)
  }
})

test('a document is printed as it would be whole, in pieces', () => {
  const value = {
    schema: 1,
    none: undefined,
    empty: [],
    nested: { list: [1, { a: [] }], text: 'a\nb' },
    lines: Array.from({ length: 9000 }, (_, i) => `line ${i} "\x1b`),
    objects: [{ frame: null, stack: ['x'] }, [], 'y'],
    odd: [undefined, Number.NaN],
  }
  const { io, out: pieces } = listeningIo()
  printJson(io, value)
  assert.equal(pieces.join('\n'), JSON.stringify(value, null, 2))
  assert.ok(pieces.length > 2)
  pieces.length = 0
  printJson(io, {})
  assert.deepEqual(pieces, ['{}'])
})
