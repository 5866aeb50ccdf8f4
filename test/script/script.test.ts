import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { recountMachine } from '../../src/run/check/recount.ts'
import { runScript, type ScriptResult } from '../../src/run/script/script.ts'
import { xenolith } from '../tools/tools.ts'

const folder = join(import.meta.dirname, '..', 'data', 'scripts')
const text = (result: ScriptResult): string =>
  [result.header, ...result.lines].map((line) => `${JSON.stringify(line)}\n`).join('')

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  for (const [xen, domain] of [
    ['4.17', 'dom0'],
    ['4.17', 'domU'],
    ['seed', 'dom0'],
  ] as const) {
    test(`${file} in a ${domain} under ${xen}`, () => {
      const script = readFileSync(join(folder, file), 'utf8')
      const result = runScript(script, {
        xen,
        domain,
        after: (machine, line) => assert.deepEqual(recountMachine(machine), [], line.op),
      })
      const expected = join(folder, file.replace('.txt', `.${xen}.${domain}.jsonl`))
      if (process.env.XENOLITH_UPDATE === '1') writeFileSync(expected, text(result))
      assert.equal(text(result), readFileSync(expected, 'utf8'))
    })
  }
}

test('with the frames of a transcript, a script gives the same transcript', () => {
  const script = readFileSync(join(folder, 'tables-of-tables.txt'), 'utf8')
  const free = runScript(script, { domain: 'domU' })
  const again = runScript(script, { domain: 'domU', frames: free })
  assert.deepEqual(again, free)
})

test('the release build answers the same and says less', () => {
  const script = readFileSync(join(folder, 'pinned-and-writable.txt'), 'utf8')
  const [debug, release] = ['4.17', '4.17-release'].map((xen) => runScript(script, { xen }).lines)
  assert.deepEqual(
    release.map(({ log: _, ...line }) => line),
    debug.map(({ log: _, ...line }) => line),
  )
  assert.ok(debug.some((line) => line.log !== undefined))
  assert.ok(release.every((line) => line.log === undefined))
})

test('bit 62 of an L1 entry is refused by debug builds only', () => {
  const last = (xen: string) => runScript('page T A\nro T\npin1 T\nmmu T[0] = A|P|b62', { xen }).lines.at(-1)
  assert.equal(last('4.17')?.rc, -22)
  assert.equal(last('4.17-release')?.rc, 0)
})

test('a domain whose kernel is gone dies, and the transcript ends there', () => {
  const { header, lines } = runScript('page A\nmmu KL2[0] = 0\nget A[0]')
  assert.equal(header.status, 'crash')
  assert.equal(lines.length, 2)
  assert.deepEqual(lines[1].log?.slice(-1), ['Domain 0 (vcpu#0) crashed on cpu#0:'])
})

test('a probe without its data dies of a trap', () => {
  const { header, lines } = runScript('page A\nmmu KL1K[265] = 0\ntlball\ntlball')
  assert.equal(header.status, 'die')
  assert.equal(lines.at(-1)?.trap, 'vec=14 err=0x0')
})

const bad: [script: string, message: RegExp][] = [
  ['pag A', /:1: 'pag' is no operation; did you mean page\?/],
  ['page A\npin1 B', /:2: 'B' is no page/],
  ['page A\nset A[x] = 0', /:2: 'x' is not a slot number/],
  ['page A\nset A[0] = A|PRW', /:2: 'PRW' is neither a page nor a flag/],
  ['page A\nset A[0]', /:2: the line ends after 'A\[0\]'; an entry/],
  ['page A\nro A A', /:2: 'A' is one word too many/],
  ['page A\nuvm here = A|P', /:2: 'here' is no address/],
  ['pages A 300', /:1: there are 256 scratch pages/],
  ['autoinfo perhaps', /:1: 'perhaps' is neither on nor off/],
  ['page 1A', /:1: '1A' is no name/],
  ['page A\npin1 A , pin9 A', /:2: 'pin9' is no operation of mmuext_op; did you mean pin[1-4]\?/],
]

for (const [script, message] of bad) {
  test(`bad input: ${JSON.stringify(script)}`, () => {
    assert.throws(() => runScript(script, { source: 'x.txt' }), { name: 'BadInput', message })
  })
}

test('xenolith script prints a transcript, for people and as JSON lines', () => {
  const file = join(folder, 'pinned-and-writable.txt')
  const plain = xenolith(['script', file])
  assert.equal(plain.status, 0)
  assert.match(plain.stdout, /^pin1 T +-> rc=-22 done=0\n {6}\(XEN\) arch\/x86\/mm\.c:2940:d0v0 Bad type /m)
  const json = xenolith(['script', '--json', '--domu', file])
  assert.equal(json.stdout, text(runScript(readFileSync(file, 'utf8'), { domain: 'domU' })))
})

test('xenolith script refuses bad files in one line', () => {
  const file = join(folder, 'pinned-and-writable.txt')
  for (const [words, message] of [
    [[join(folder, 'none.txt')], /^xenolith: cannot read .*none\.txt/],
    [['--frames', file, file], /^xenolith: .*:1: not a line of JSON/],
    [['--xen', '4.71', file], /^xenolith: --xen '4\.71' is not known/],
  ] as const) {
    const { status, stdout, stderr } = xenolith(['script', ...words])
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.match(stderr, message)
    assert.equal(stderr.trimEnd().split('\n').length, 1)
  }
})
