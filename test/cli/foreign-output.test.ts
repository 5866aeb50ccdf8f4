import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { main } from '../../src/cli/main.ts'
import { HOSTILE, HOSTILE_CHARACTERS, HOSTILE_SEQUENCES, unsafeIn } from '../tools/hostile-text.ts'
import { listeningIo } from '../tools/listening-io.ts'
import { firstOf, sampled } from '../tools/sample.ts'
import { kernelOf, speaking } from '../tools/tiny-kernel.ts'
import { root, xenolith } from '../tools/tools.ts'

/** Somebody else's text at every place that a verb prints: whatever it is, a terminal takes no word of it for its own. */

/** Escapes, C1, a direction, a bell, a carriage return and a forged line, as a file can be named by them. */
const NAME = '\x1b[2J\x9b31m\u202e\x07\r\nxenolith: all is well <b>&"'
const folder = mkdtempSync(join(tmpdir(), 'xenolith-\x1b[31m\u202e-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
function written(content: string | Uint8Array, end = ''): string {
  const path = join(folder, `${++files}${NAME}${end}`)
  writeFileSync(path, content)
  return path
}

async function printed(words: readonly string[], colour = false) {
  // What a guest says comes from a thread of its own, which writes to the process's own streams.
  if (words[0] === 'boot' && words.some((word) => word === '--batch' || /^\d+M$/.test(word))) {
    const { status, stdout, stderr } = xenolith(words, colour ? { FORCE_COLOR: '1' } : {})
    return { status: status ?? -1, out: stdout, err: stderr.trimEnd() }
  }
  const { io, out, err } = listeningIo(colour)
  const status = await main(words, undefined, () => io)
  return { status, out: out.join('\n'), err: err.join('\n') }
}

/** Runs a command with colours and without; nothing that it prints acts on a terminal, and a message is a line. */
async function harmless(words: readonly string[], statuses: readonly number[] = [0]): Promise<string> {
  const plain = await printed(words)
  assert.ok(statuses.includes(plain.status), `status ${plain.status}: ${plain.err || plain.out.slice(-500)}`)
  assert.deepEqual(unsafeIn(plain.out), [], plain.out)
  assert.deepEqual(unsafeIn(plain.err), [], plain.err)
  if (plain.status === 2) assert.match(plain.err, /^xenolith: [^\n]+$/)
  // The progress of sweeps tells how long they take; what is coloured are lines that the plain run has, too.
  const coloured = await printed(words, true)
  assert.deepEqual(unsafeIn(withoutStyles(coloured.out)), [])
  assert.ok(!plain.out.startsWith('xenolith: all is well') && !plain.out.includes('\nxenolith: all is well'))
  return plain.out
}

/** What our own styles put around a line, and nothing else. */
function withoutStyles(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of the three styles
  return text.replace(/^\x1b\[(?:1|2|33)m|\x1b\[(?:22|39)m$/gm, '')
}

const LOG = [
  '(XEN) Xen version 4.1.2 (builder@example.org) Mon Oct 24 10:00:00 UTC 2011',
  `[    0.000000] Linux version 2.6.39-rc2 ${HOSTILE}`,
  `(XEN) mm.c:2424:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 12d431 (pfn 9c3a2) ${HOSTILE}`,
  '(XEN) mm.c:2985:d0 Error while pinning mfn 12d431',
  `(XEN) mm.c:2985:d0 Error while pinning mfn 12d431 &#27;[2J&#x9b;31m&#7;&#x202e;&#8;`,
  `(XEN) domain_crash called from ${HOSTILE}:1`,
  `WARNING: at ${NAME.replaceAll('\n', '')}:1 f`,
  `kernel BUG at ${HOSTILE_SEQUENCES.join('')}:12!`,
  `RIP: e033:[<ffffffff810062f3>] ${HOSTILE}`,
  `(XEN) Assertion '${HOSTILE}' failed at mm.c:1`,
  '(XEN) Domain 0 (vcpu#0) crashed on cpu#0:',
].join('\n')

test('explain: a log, its name, and what is read out of it', async () => {
  const log = written(LOG)
  for (const format of [[], ['--json'], ['--sarif'], ['--redact']]) {
    await harmless(['explain', ...format, log], [0, 1, 3])
    await harmless(['explain', ...format, log, written(`${HOSTILE}\n`)], [0, 1, 3])
  }
  // Every character at every place of a line that becomes a record.
  for (const text of sampled([...HOSTILE_CHARACTERS, ...HOSTILE_SEQUENCES], 4)) {
    const lines = LOG.split('\n').map((line) =>
      line.replace(/ (?=\S+$)/, ` ${text}`).replace(/:(?=\d)/, `${text}:`),
    )
    await harmless(['explain', written(lines.join('\n'))], [0, 1, 3])
  }
})

test('explain: an escape in entities is none when it is read', async () => {
  const log = join(folder, 'entities.log')
  writeFileSync(log, '(XEN) mm.c:2985:d0 Error while pinning mfn 12d431 &#27;[2J&#x9b;31m&#7;&#8;red\n')
  const { causes } = JSON.parse(await harmless(['explain', '--json', log], [0, 3]))
  assert.equal(causes[0].evidence[0].text, '(XEN) mm.c:2985:d0 Error while pinning mfn 12d431 red')
})

const MAP = {
  name: HOSTILE,
  kind: 'host',
  source: HOSTILE,
  era: HOSTILE,
  entries: [
    { start: 0, end: 0x9f000, type: 'usable' },
    { start: 0x100000, end: 0x1_0000_0000 - 0x1000_0000, type: 'usable' },
    { start: 0xf000_0000, end: 0xf800_0000, type: '\x1b[2J\u202e\x9b31m\u{e0041}' },
  ],
}

test('maps: a map and its name', async () => {
  const map = written(JSON.stringify(MAP), '.json')
  const log = written(
    `BIOS-e820: [mem 0x0-0x9efff] usable\nBIOS-e820: [mem 0x100000-0xfffffff] ${HOSTILE}\n`,
    '.log',
  )
  for (const file of [map, log]) {
    await harmless(['maps', file])
    await harmless(['maps', '--json', file])
  }
  for (const broken of [
    '{',
    '[]',
    `{"kind":"${NAME.replace(/[\p{Cc}"]/gu, '')}\u009b","entries":[]}`,
    '[{"start":"\u009b"}]',
    HOSTILE,
  ])
    await harmless(['maps', written(broken, '.json')], [2])
})

test('boot: a map, and whatever cannot be an option', async () => {
  const map = written(JSON.stringify(MAP), '.json')
  await harmless(['boot', '--map', map, '--memory', '512M'])
  await harmless(['boot', '--map', map, '--memory', '512M', '--json'])
  const trace = join(folder, 'boot.jsonl')
  await harmless(['boot', '--map', map, '--memory', '512M', '--trace', trace])
  for (const verb of ['who', 'why', 'replay']) {
    const words = {
      who: ['who', '--trace', trace, '--frame', '0x100'],
      why: ['why', '--trace', trace],
      replay: ['replay', trace],
    }
    await harmless(words[verb as keyof typeof words], [0, 1, 2])
  }
  const options = [
    'map',
    'memory',
    'linux',
    'xen',
    'holes',
    'append',
    'mfn',
    'v-end',
    'kernel',
    'ramdisk',
    'restore',
    'expect',
  ]
  for (const option of firstOf(options, 4))
    for (const text of [NAME, '\x1b[2J', '\u202e']) await harmless(['boot', `--${option}`, text], [2])
  for (const word of [NAME, `--${NAME}`, `-${NAME}`]) {
    await harmless([word], [2])
    await harmless(['boot', word], [2])
    await harmless(['explain', word], [2])
    await harmless(['help', word], [2])
  }
})

test('boot: a configuration, and a guest that knows every code', async () => {
  await harmless(['boot', written(`name = "${HOSTILE}"\n${NAME.slice(-3)}`, '.cfg')], [2])
  await harmless(['boot', written(`type = "\u202e\x1b[2J"\nkernel = "x"`, '.cfg')], [2])
  const text = `\x1b[0;32mgreen\x1b[0m ${HOSTILE}\n`
  const kernel = written(kernelOf(speaking(text, 0)))
  const config = written(
    `name = "odd"\nkernel = "${join(folder, 'k')}"\nvif = [ "\x9b" ]\nmemory = 64\n`,
    '.cfg',
  )
  writeFileSync(join(folder, 'k'), kernelOf(speaking(text, 0)))
  const out = await harmless(['boot', '--kernel', kernel, '--memory', '64M', '--batch', '--name', 'odd'])
  assert.match(out, /^green \\x00-\\x01-\\x07/m)
  await harmless(['boot', '--kernel', kernel, '--memory', '64M', '--json'])
  const report = join(folder, 'report.xml')
  await harmless(['boot', config, '--batch', '--junit', report])
  assertMarkup(readFileSync(report, 'utf8'))
  const raw = xenolith(['boot', '--kernel', kernel, '--memory', '64M', '--batch', '--raw']).stdout
  assert.equal(raw.split('\n')[0], text.split('\n')[0])
})

test('script: its lines, its errors and what the transcript has of them', async () => {
  const script = written(`page A\necho ${HOSTILE}\npin1 A # ${HOSTILE}\ninfo A\n`)
  for (const format of [[], ['--json'], ['--check']]) await harmless(['script', ...format, script], [0, 1])
  const trace = join(folder, 'script.jsonl')
  await harmless(['script', '--trace', trace, script])
  await harmless(['replay', trace], [0, 1])
  for (const line of [
    HOSTILE,
    `page ${HOSTILE}`,
    `page A\nset A[${NAME.replaceAll('\n', '')}] = 0`,
    `pin1 \u202e`,
  ])
    await harmless(['script', written(line)], [2])
})

test('who, why and replay: a trace that somebody made', async () => {
  for (const text of [
    HOSTILE,
    JSON.stringify({ kind: 'header', schema: HOSTILE }),
    '{"kind":"header","schema":1,"run":{"boot":{"map":"\u009b\u202e"}}}',
    `{"kind":"header","schema":1,"run":{"boot":{"linux":"\u009b"}}}\n{"kind":"\u202e"}`,
  ]) {
    const trace = written(text)
    await harmless(['replay', trace], [0, 1, 2])
    await harmless(['why', '--trace', trace], [0, 1, 2])
    await harmless(['who', '--trace', trace, '--frame', NAME], [0, 1, 2])
  }
})

test('sweep: maps by their files, in every format', async () => {
  const map = written(JSON.stringify(MAP), '.json')
  const results = join(folder, 'results.jsonl')
  const words = [
    'sweep',
    '--map',
    map,
    '--linux',
    'B',
    '--memory',
    '512M',
    '--v-end',
    '0x2000000',
    '--threads',
    '1',
    '--no-shrink',
  ]
  await harmless([...words, '--out', results], [0, 1])
  for (const format of ['--json', '--jsonl', '--junit', '--sarif', '--html']) {
    const out = await harmless(['sweep', 'merge', format, results], [0, 1])
    if (format === '--junit') assertMarkup(out)
  }
  await harmless(['sweep', written(`{"map":"${HOSTILE_CHARACTERS.at(-1)}","\u202e":1}`)], [2])
  await harmless(['sweep', written(HOSTILE)], [2])
  await harmless(['sweep', 'merge', written(HOSTILE)], [2])
  await harmless(['sweep', '--resume', written(HOSTILE)], [2])
})

test('explore: moves and checkpoints', async () => {
  await harmless(['explore', '--moves', written(`page A\n${HOSTILE}`)], [2])
  await harmless(['explore', '--resume', written(HOSTILE)], [2])
  await harmless(['worker', '--queue', NAME], [2])
})

/** Well-formed as far as this can be seen without a parser: characters of XML 1.0, tags that close, quotes that end. */
function assertMarkup(text: string): void {
  assert.match(text, /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u)
  assert.deepEqual(unsafeIn(text), [])
  const open: string[] = []
  for (const [, close, name, empty] of text
    .replace(/<\?[^?]*\?>/, '')
    .matchAll(/<(\/?)([a-z-]+)(?:\s+[a-z]+="[^"<]*")*\s*(\/?)>/g)) {
    if (close) assert.equal(open.pop(), name)
    else if (!empty) open.push(name)
  }
  assert.deepEqual(open, [])
  const bare = text.replace(/<\?[^?]*\?>|<\/?[a-z-]+(?:\s+[a-z]+="[^"<]*")*\s*\/?>/g, '')
  assert.doesNotMatch(bare, /<|&(?!(?:amp|lt|gt|quot|#39);)/)
}

test('a message that quotes megabytes is short', async () => {
  const { status, err } = await printed(['script', written(`page A\nset A[0] = ${'9'.repeat(1e6)}\n`)])
  assert.equal(status, 2)
  assert.ok(err.length < 5000)
  assert.match(err, /:2: '9{100}.* \.\.\. .*9' is not /)
})

test('the page puts text into text nodes and attributes alone', () => {
  const files = readdirSync(`${root}web/src`, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.tsx?$/.test(file),
  )
  assert.ok(files.length > 20)
  for (const file of files)
    assert.doesNotMatch(
      readFileSync(`${root}web/src/${file}`, 'utf8'),
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|createContextualFragment|\beval\(/,
      file,
    )
})

test('the judge of this file sees what it must', () => {
  for (const text of [...HOSTILE_CHARACTERS.filter((c) => c !== '\n'), '\ud800'])
    assert.equal(unsafeIn(`a${text}b`).length, 1)
  assert.notEqual(stripVTControlCharacters(HOSTILE), HOSTILE)
})
