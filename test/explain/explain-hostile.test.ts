import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { numberedLines } from '../../src/explain/log/read-log.ts'
import { redacted } from '../../src/explain/report/redact.ts'
import { parseMapLog } from '../../src/run/maps/map-log.ts'
import { parseScript } from '../../src/script/parse.ts'
import { explained } from '../tools/explain-tools.ts'
import { Random } from '../tools/random.ts'
import { sampled } from '../tools/sample.ts'
import { root, xenolith } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-hostile-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0

function written(content: string | Uint8Array): string {
  const path = join(folder, `input-${++files}.log`)
  writeFileSync(path, content)
  return path
}

/** Explains a file through the CLI; whatever it holds, the end is one of the documented ones and says little. */
function ends(path: string, expected: readonly number[], what = path) {
  const { status, stderr } = xenolith(['explain', path])
  assert.ok(
    status !== null && expected.includes(status),
    `${what}: status ${status}, ${stderr.slice(0, 500)}`,
  )
  assert.doesNotMatch(stderr, /^\s+at \S+ \(|\bnode:internal\b|\bTypeError\b|\bRangeError\b/m, what)
  assert.ok(stderr.split('\n').length <= 6, `${what}: ${stderr.slice(0, 500)}`)
}

const ANY_VERDICT = [0, 1, 3]

test('an empty file has no evidence', () => {
  ends(written(''), [1, 2])
  ends(written('\n\n\r\n   \n'), [1, 2])
})

test('a binary is no log', () => {
  const elf = Buffer.alloc(65_536)
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])
  for (let i = 64; i < elf.length; i++) elf[i] = (i * 7 + (i >> 3)) & (i & 64 ? 0xff : 0x0f)
  elf.write('.text\0.rodata\0.shstrtab\0xen_start_kernel\0Linux version %s\0', 4096, 'latin1')
  ends(written(elf), [1, 2])
})

for (const seed of [1, 2, 3, 4, 5]) {
  test(`random bytes end well (seed ${seed})`, () => {
    const random = new Random(seed)
    const bytes = Uint8Array.from({ length: 100_000 }, () => random.between(0, 256))
    ends(written(bytes), [1, 2], `random bytes, seed ${seed}`)
  })
}

test('a line of 64 MiB ends', () => {
  ends(written(Buffer.alloc(64 << 20, 'x')), [...ANY_VERDICT, 2], 'a line of 64 MiB')
})

test('a line of 64 MiB that begins as a message ends', () => {
  const line = Buffer.alloc(64 << 20, '(XEN) mm.c:2466:d0 Bad type (saw ')
  ends(written(line), [...ANY_VERDICT, 2], 'a long line of beginnings')
})

test('a hundred thousand half messages end', () => {
  ends(written('Bad type (saw\n'.repeat(100_000)), ANY_VERDICT)
  ends(written('(XEN) mm.c:2466:d0 Bad type (saw\n'.repeat(100_000)), ANY_VERDICT)
})

test('a folder and a missing file are errors of use', () => {
  ends(folder, [2])
  ends(join(folder, 'missing.log'), [2])
})

test('deep quoting and lines of escape codes end', () => {
  ends(
    written(`${'> '.repeat(10_000)}(XEN) mm.c:3027:d0 Error while pinning mfn b1d89\n`.repeat(20)),
    ANY_VERDICT,
  )
  ends(written(`${'>'.repeat(200_000)}\n${'> '.repeat(200_000)}\n`), ANY_VERDICT)
  ends(written('\x1b[0m\x1b[31m\x1b[2J\n'.repeat(20_000)), [1])
  ends(written(`${'\x1b['.repeat(100_000)}\n${'='.repeat(100_000)}\n${'&'.repeat(100_000)}\n`), ANY_VERDICT)
  ends(written(`${' '.repeat(500_000)}x\n${'\t'.repeat(500_000)}x\n${'0'.repeat(500_000)}\n`), ANY_VERDICT)
})

/** What each carrier, message and field begins with, without the end that it needs: where a reader looks for it in vain. */
const BEGINNINGS = [
  ...[
    '\r',
    '\t',
    ' ',
    '\x1b[',
    '\x9b',
    '&#27;',
    '=',
    '=\r\n',
    '> ',
    'JB> ',
    '<p ',
    '[0',
    '[',
    '(',
    '-',
    '+0x',
  ],
  ...['a@', 'a-', '-a.', '.a', "'", '#', '\t#', ',', 'ffffffff81000000 ', '00000000 - 00000000 ('],
  ...['[00000000, 00000000] (', '[mem 0x0-0x0] ', 'a RAM map: ', 'Xen: ', 'BIOS-e820: ', '(XEN) ', '<4>'],
  ...['1 of ', 'call 1: op=1 ', 'call 1: op=1 args=', 'Dom0 kernel: ', 'kernel ', 'non-RAM ', '-- cut '],
  ...['--[ Xen-4.1', 'Xen version 4.1', 'Linux version 2.6.', "Assertion '", 'mm.c:2466:d0 ', 'Bad page '],
  ...['Bad type (saw ', 'Error mfn 1: rd=', 'Unhandled ', 'L1[0x0] = ', 'RIP: e033:[<', 'Command line: '],
  ...['init_memory_mapping: ', 'domain_crash called from ', 'serial: a ', 'host : ', 'x+0x1/0x2 '],
]
const LENGTH = 65_536

test('64 KB of any beginning are read in a second', () => {
  for (const beginning of sampled(BEGINNINGS, 4)) {
    const line = beginning.repeat(LENGTH / beginning.length)
    const lines = `${beginning}\n`.repeat(LENGTH / 4 / (beginning.length + 1))
    for (const text of [line, `${line}x`, lines, `(XEN) ${line}`]) {
      const before = process.cpuUsage()
      explained(text)
      redacted(numberedLines(text))
      parseScript(text)
      try {
        parseMapLog(text, 'a map')
      } catch {
        // A range that is cut short is told so.
      }
      const { user, system } = process.cpuUsage(before)
      assert.ok(user + system < 1e6, `${JSON.stringify(beginning)}: ${(user + system) / 1e6} s of work`)
    }
  }
})

test('256 KiB of short lines are read in seconds', () => {
  // A line of each kind that costs something beyond its own reading: another boot, another record, another carrier.
  const lines = [
    '(XEN) Xen version 4.1',
    'Linux version 2.6.39',
    'Bad page 1',
    'a@b.c',
    '&#27;[2J',
    '(XEN) a\r(XEN) b',
  ]
  for (const line of lines) {
    const text = `${line}\n`.repeat(2 ** 18 / line.length)
    const before = process.cpuUsage()
    explained(text)
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 3e6, `${line}: ${(user + system) / 1e6} s of work`)
  }
})

/** A log of a refused pin with what surrounds one, of frames and addresses of no real machine. */
const REFUSED = `(XEN) Xen version 4.1.2 (builder@example.org) (gcc version 4.6.1) Mon Oct 24 10:00:00 UTC 2011
(XEN)  Xen-e820 RAM map:
(XEN)  0000000000000000 - 000000000009f000 (usable)
(XEN)  0000000000100000 - 00000000bfff0000 (usable)
[    0.000000] Linux version 2.6.39-rc2 (builder@example.org) (gcc version 4.6.1)
mapping kernel into physical memory
about to get started...
(XEN) mm.c:2424:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 12d431 (pfn 9c3a2)
(XEN) mm.c:2985:d0 Error while pinning mfn 12d431
(XEN) traps.c:466:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]
(XEN) Pagetable walk from ffff88009c3a2000:
(XEN)  L4[0x110] = 000000012d003067 0000000000001a03
(XEN)  L3[0x002] = 0000000000000000 ffffffffffffffff
(XEN) domain_crash_sync called from entry.S
(XEN) Domain 0 (vcpu#0) crashed on cpu#0:
(XEN) ----[ Xen-4.1.2  x86_64  debug=y  Not tainted ]----
(XEN) CPU:    0
(XEN) RIP:    e033:[<ffffffff810062f3>]
(XEN) RFLAGS: 0000000000000282   EM: 1   CONTEXT: pv guest
(XEN) rax: 00000000ffffffea   rbx: 000000012d431000   rcx: ffffffff81001147
`

const CUTS = 60

test(`a log cut at any of ${CUTS} places ends`, () => {
  // Some of them as a user would; all of them in one process, which is a hundred times as fast.
  for (let i = 0; i < CUTS; i++) {
    const part = REFUSED.slice(0, Math.floor((REFUSED.length * (i + 1)) / CUTS))
    assertVerdict(part)
    if (i % 10 === 4) ends(written(part), ANY_VERDICT, `the first ${part.length} characters`)
  }
})

function assertVerdict(text: string) {
  const { verdict } = explained(text)
  assert.ok(['explained', 'no-xen-evidence', 'ambiguous'].includes(verdict), `verdict ${verdict}`)
}

test('any text has a verdict', () => {
  const seed = 20260102
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), assertVerdict), { seed, numRuns: 500 })
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), assertVerdict), {
    seed,
    numRuns: 200,
  })
})

test('any shuffle of pieces of a log has a verdict', () => {
  const pieces = REFUSED.split(/(?<=[ \n[\](<>:=])/).filter((piece) => piece !== '')
  const noise = fc.constantFrom(
    ' ',
    '\n',
    '\r\n',
    '> ',
    '\x1b[1m',
    '=3D',
    '=\n',
    '&lt;',
    '-',
    '0x',
    'ffffffffffffffff',
  )
  const text = fc
    .array(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...pieces) }, noise), { maxLength: 200 })
    .map((parts) => parts.join(''))
  fc.assert(fc.property(text, assertVerdict), { seed: 20260103, numRuns: 500 })
})

test('numbers out of all bounds in every message have a verdict', () => {
  const hex = fc.stringMatching(/^-?[0-9a-fx]{1,40}$/)
  const words = fc.array(hex, { minLength: 1, maxLength: 5 })
  const text = words.map((hexes) => {
    let i = 0
    return REFUSED.replace(/\b(?:[0-9a-f]{5,}|\d+)\b/g, () => hexes[i++ % hexes.length])
  })
  fc.assert(fc.property(text, assertVerdict), { seed: 20260104, numRuns: 200 })
})

test('standard input is read when it is piped in', () => {
  const { status, stderr } = xenolith(['explain'], {}, REFUSED)
  assert.ok(status === 0 || status === 3, `status ${status}, ${stderr}`)
  assert.equal(xenolith(['explain', '--no-such-option', `${root}README.md`], {}, '').status, 2)
})
