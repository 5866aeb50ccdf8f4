import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { encodeTypeWord, printTypeWord, TYPE_LAYOUTS } from '../../src/bits/type-word.ts'
import { CAUSES } from '../../src/explain/causes/index.ts'
import { explainText } from '../../src/explain/explain.ts'
import { logDigest } from '../../src/explain/log/digest.ts'
import { textReport } from '../../src/explain/report/text-report.ts'
import { boot } from '../../src/run/boot/boot.ts'
import { runScript } from '../../src/run/script/script.ts'
import { xenolith } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-explain-'))
after(() => rmSync(folder, { recursive: true }))

const first = (text: string) => explainText(text).causes[0]?.class

// ---- What the project's own machine prints ----

/** What each generation's end is, as a debug build and as a release build show it. */
const ENDS: readonly (readonly [linux: string, debug: string, release: string])[] = [
  ['A', 'not-mmu', 'not-mmu'],
  ['B0', 'rw-mapping-refused', 'ro-page-write'],
  ['B', 'writable-alias-then-pin', 'writable-alias-then-pin'],
  ['B+seed', 'writable-alias-then-pin', 'writable-alias-then-pin'],
  ['C0', 'ro-page-write', 'ro-page-write'],
  ['C', 'not-mmu', 'not-mmu'],
  ['D', 'not-mmu', 'not-mmu'],
  ['D2', 'not-mmu', 'not-mmu'],
  ['low', 'not-mmu', 'not-mmu'],
  ['E', 'not-mmu', 'not-mmu'],
]
for (const [linux, debug, release] of ENDS) {
  test(`the console of generation ${linux} is explained, of each profile of Xen`, () => {
    assert.equal(first(boot({ linux, xen: 'seed' }).console.join('\n')), debug)
    assert.equal(first(boot({ linux, xen: '4.17' }).console.join('\n')), debug)
    assert.equal(first(boot({ linux, xen: '4.17-release' }).console.join('\n')), release)
  })
}

/** Scripts that are refused, and what their consoles are about. */
const SCRIPTS: readonly (readonly [what: string, script: string, cause: string])[] = [
  [
    'a page with a writable mapping is pinned',
    'page A B\nset B[0] = A|P|RW|US|A|D\nro B\npin1 B\nro A\npin1 A\n',
    'writable-alias-then-pin',
  ],
  ['a page is pinned twice', 'page A\nro A\npin1 A\npin1 A\n', 'double-pin'],
  ['a page is unpinned that was not pinned', 'page A\nunpin A\n', 'unpin-of-unpinned'],
]
for (const [what, script, cause] of SCRIPTS) {
  test(`a script's console is explained: ${what}`, () => {
    const { lines } = runScript(script, { xen: '4.17' })
    const console_ = lines.flatMap(({ log }) => log ?? []).map((line) => `(XEN) ${line}`)
    assert.ok(console_.length > 0, 'the script is refused with a line')
    assert.equal(first(console_.join('\n')), cause, console_.join('\n'))
  })
}

// ---- Words ----

test('the type words of a message are read in the layout of each version, by the words or by the prefix', () => {
  const prefixes: Readonly<Record<string, string>> = {
    '3.0': 'mm.c:1:d3',
    '3.4': 'mm.c:1:d3',
    '4.0': 'mm.c:1:d3',
    '4.10': 'mm.c:1:d3v0',
    '4.17': 'arch/x86/mm.c:1:d3v0',
  }
  for (const layout of TYPE_LAYOUTS) {
    const saw = printTypeWord(layout, { type: 'writable', flags: ['validated'], count: 3 })
    const exp = printTypeWord(layout, { type: 'l3', flags: [], count: 0 })
    const text = `(XEN) ${prefixes[layout.name]} Bad type (saw ${saw} != exp ${exp}) for mfn 1234 (pfn 5678)`
    const words = explainText(text).decoded.typeWords
    assert.deepEqual(
      words.map(({ word, type, count, flags }) => ({ word, type, count, flags })),
      [
        { word: saw, type: 'writable', count: 3, flags: ['validated'] },
        { word: exp, type: 'l3', count: 0, flags: [] },
      ],
      layout.name,
    )
  }
})

test('a word that two versions read differently makes the log ambiguous, and says so', () => {
  // 4000… is L4 in the four-bit layout and L2 in the three-bit ones; without prefix and with a type that fits both.
  const saw = encodeTypeWord(TYPE_LAYOUTS[2], { type: 'l2', flags: ['validated'], count: 1 }).toString(16)
  const text = `(XEN) Bad type (saw ${saw.padStart(16, '0')} != exp 4000000000000000) for mfn 1234 (pfn 5678)`
  const report = explainText(text)
  assert.equal(report.verdict, 'ambiguous')
  assert.ok(report.wouldTell.some((line) => line.includes('version of Xen decides')))
})

test('digits that a camera took for letters are put right', () => {
  const text =
    '{XEN) mm.c:2466:d0 Bad type (saw 74OO0O0000000001 != exp lOO0000000000000) for mfn bId89 (pfn bacf7)'
  const { decoded, causes } = explainText(text)
  assert.equal(causes[0].class, 'writable-alias-then-pin')
  assert.deepEqual(
    decoded.typeWords.map(({ word }) => word),
    ['7400000000000001', '1000000000000000'],
  )
  assert.match(causes[0].title, /mfn b1d89/)
})

test('an error in a register, a poison, a domain and the flags of an entry are said in words', () => {
  const { decoded } = explainText(
    [
      '(XEN) mm.c:907:d16 Error getting mfn 100000 (pfn 5555555555555555) from L1 entry 8000000100000673 for l1e_owner=16, pg_owner=32753',
      '(XEN) mm.c:1758:d16 Bad L1 flags 800000',
      '(XEN) rax: 00000000ffffffea   rbx: ffff8800bacf7000   rcx: deadbeefdeadf00d',
    ].join('\n'),
  )
  assert.deepEqual(
    decoded.errors.map(({ name, where }) => [name, where]),
    [['-EINVAL', 'rax']],
  )
  assert.ok(decoded.registers.some(({ name, says }) => name === 'rbx' && says.endsWith('pfn bacf7')))
  assert.ok(decoded.poison.some(({ word }) => word === '5555555555555555'))
  assert.ok(decoded.domains.some(({ id, says }) => id === '32753' && says.includes('DOMID_IO')))
  assert.ok(decoded.flags.some(({ flags }) => flags.some((flag) => flag.startsWith('NX (bit 63)'))))
  assert.ok(decoded.entries.some(({ mfn, flags }) => mfn === '100000' && flags.includes('RW')))
})

// ---- The output ----

const CRASH = [
  'Nov 22 10:11:12 kestrel kernel: about to get started...',
  'Nov 22 10:11:12 kestrel kernel: eth0: 00:16:3e:12:34:56 on kestrel, config in /home/alice/vm.cfg',
  '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)',
  '(XEN) mm.c:3027:d0 Error while pinning mfn b1d89',
  '(XEN) domain_crash_sync called from entry.S',
  '(XEN) Domain 0 (vcpu#0) crashed on cpu#0:',
].join('\n')

test('the text is at most 80 columns wide and begins with the cause in one sentence', () => {
  const lines = textReport(explainText(CRASH)).flatMap((line) => line.split('\n'))
  assert.deepEqual(
    lines.filter((line) => line.length > 80),
    [],
  )
  assert.match(lines.slice(0, lines.indexOf('')).join(' '), /^Xen refused pfn bacf7 .*\.$/)
})

test('--sarif names every cause as a rule, and the lines of the log as places', () => {
  const file = join(folder, 'crash one.log')
  writeFileSync(file, CRASH)
  const { status, stdout } = xenolith(['explain', '--sarif', file])
  assert.equal(status, 0)
  const [run] = JSON.parse(stdout).runs
  assert.equal(run.tool.driver.rules.length, CAUSES.length)
  const [result] = run.results
  assert.equal(result.ruleId, 'writable-alias-then-pin')
  assert.equal(run.tool.driver.rules[result.ruleIndex].id, result.ruleId)
  assert.equal(result.level, 'error')
  assert.ok(result.locations[0].physicalLocation.artifactLocation.uri.endsWith('crash%20one.log'))
  assert.equal(result.locations[0].physicalLocation.region.startLine, 3)
})

test('--redact takes out the host, the MAC and the user, and leaves what the log is about', () => {
  const file = join(folder, 'redact.log')
  writeFileSync(file, CRASH)
  for (const format of [[], ['--json'], ['--sarif']]) {
    const { stdout } = xenolith(['explain', '--redact', ...format, file])
    assert.doesNotMatch(stdout, /kestrel|00:16:3e|alice/)
    assert.match(stdout, /bacf7/)
  }
})

test('several logs are told apart, and the status is that of the one that asks for most', () => {
  const [crash, plain, unclear] = ['crash.log', 'plain.log', 'unclear.log'].map((name) => join(folder, name))
  writeFileSync(crash, CRASH)
  writeFileSync(plain, 'nothing of the kind\n')
  writeFileSync(
    unclear,
    '(XEN) mm.c:908:d1 Error getting mfn 29b2b (pfn 29b2b) from L1 entry 0000000029b2b067 for l1e_owner=1, pg_owner=1\n',
  )
  assert.equal(xenolith(['explain', plain]).status, 1)
  assert.equal(xenolith(['explain', plain, crash]).status, 0)
  const all = xenolith(['explain', '--json', plain, crash, unclear])
  assert.equal(all.status, 3)
  const { reports } = JSON.parse(all.stdout)
  assert.deepEqual(
    reports.map(({ verdict }: { verdict: string }) => verdict),
    ['no-xen-evidence', 'explained', 'ambiguous'],
  )
  // Ambiguous means that all readings are there, and what would tell them apart.
  assert.ok(reports[2].causes.length >= 3)
  assert.ok(reports[2].wouldTell.length > 0)
})

test('a bare xenolith explains what comes on standard input', () => {
  const { status, stdout } = xenolith([], {}, CRASH)
  assert.equal(status, 0)
  assert.match(stdout, /^Xen refused pfn bacf7/)
})

test('UTF-16 is read, and what is compressed is refused with the tool that undoes it', () => {
  const [wide, packed] = [join(folder, 'wide.txt'), join(folder, 'packed.gz')]
  writeFileSync(wide, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(CRASH, 'utf16le')]))
  writeFileSync(packed, gzipSync(CRASH))
  assert.match(xenolith(['explain', wide]).stdout, /^Xen refused pfn bacf7/)
  const { status, stderr } = xenolith(['explain', packed])
  assert.equal(status, 2)
  assert.match(stderr, /zcat .*packed\.gz \| xenolith explain/)
})

// ---- Logs of any size ----

test('trouble in the middle of a long log is kept, with its line number, and what is left out is said', () => {
  const healthy = boot({ linux: 'C' }).console.map((line) => `[    1.000000] ${line}`)
  const quiet = Array.from({ length: 200 }, (_, i) => `[${i}.000000] eth${i}: link is up, usable`)
  const block = Buffer.from(`${[...healthy, ...quiet].join('\n')}\n`)
  const blocks = Math.ceil(9e6 / block.length)
  const digest = logDigest()
  let before = 0
  for (let i = 0; i < blocks; i++) {
    if (i === blocks >> 1) {
      before = i * (healthy.length + quiet.length)
      digest.push(Buffer.from(`${CRASH}\n`))
    }
    // In pieces whose borders cut lines.
    for (let at = 0; at < block.length; at += 4093) digest.push(block.subarray(at, at + 4093))
  }
  const { lines, damage, bytes } = digest.end()
  assert.equal(bytes, blocks * block.length + CRASH.length + 1)
  const bad = lines.find(({ text }) => text.includes('Bad type'))
  assert.equal(bad?.number, before + 3)
  assert.ok(lines.reduce((sum, { text }) => sum + text.length, 0) < 4.5 * 2 ** 20)
  assert.ok(damage.some(({ what }) => what.includes('were not kept')))
})

test('a digest has the lines of a log whatever the pieces it came in', () => {
  const text = `${CRASH}\n\nlast line without an end`
  const whole = logDigest()
  whole.push(Buffer.from(text))
  const expected = whole.end().lines
  for (const size of [1, 2, 7, 64]) {
    const digest = logDigest()
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += size) digest.push(bytes.subarray(at, at + size))
    assert.deepEqual(digest.end().lines, expected)
  }
  assert.equal(expected.at(-1)?.text, 'last line without an end')
})
