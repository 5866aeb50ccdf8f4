import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { foreignJson, foreignLines, foreignMarkup, foreignText } from '../../src/bits/foreign-text.ts'
import { HOSTILE, HOSTILE_CHARACTERS, HOSTILE_SEQUENCES, unsafeIn } from '../tools/hostile-text.ts'

test('what could act on a terminal is shown as an escape', () => {
  assert.equal(foreignText('a\x1b[2J\x07'), 'a\\x1b[2J\\x07')
  assert.equal(foreignText('\u202etxt'), '\\u202etxt')
  assert.equal(foreignText('\u{e0041}'), '\\u{e0041}')
  assert.equal(foreignText('\ud800x'), '\\ud800x')
  assert.equal(foreignText('one\ntwo\r'), 'one\\x0atwo\\x0d')
  assert.equal(foreignLines('one\ntwo\r\n'), 'one\ntwo\\x0d\n')
  assert.equal(foreignText(`e${'\u0301'.repeat(9)}x`), `e${'\u0301'.repeat(8)}\\u0301x`)
  for (const text of [...HOSTILE_CHARACTERS, ...HOSTILE_SEQUENCES])
    assert.deepEqual(unsafeIn(foreignText(text)), [])
})

test('what people write stays', () => {
  for (const text of ['plain\ttext', 'Übergröße', '日本語', 'עברית', 'e\u0301', '😀', '→ … “x”', '\\x1b'])
    assert.equal(foreignText(text), text)
})

const ANY = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(...HOSTILE_CHARACTERS, '\n', '\ud800', '\udc00', '\u0301'),
        fc.string({ maxLength: 3 }),
      ),
      {
        maxLength: 40,
      },
    )
    .map((parts) => parts.join('')),
)
const RUNS = { seed: 20260201, numRuns: 2000 }

test('nothing unsafe is left, and what is fit stays as it is', () => {
  const property = fc.property(ANY, (text) => {
    const once = foreignText(text)
    assert.deepEqual(unsafeIn(once), [])
    assert.ok(!once.includes('\n'))
    assert.equal(foreignText(once), once)
    const lines = foreignLines(text)
    assert.deepEqual(unsafeIn(lines), [])
    assert.equal(lines, text.split('\n').map(foreignText).join('\n'))
  })
  fc.assert(property, RUNS)
})

test('JSON keeps its data', () => {
  const property = fc.property(fc.dictionary(ANY, ANY, { maxKeys: 3 }), (value) => {
    const text = foreignJson(JSON.stringify(value, null, 2))
    assert.deepEqual(unsafeIn(text), [])
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
  })
  fc.assert(property, RUNS)
})

test('markup has no tag of somebody else, and only characters of XML 1.0', () => {
  const text = foreignMarkup(`${HOSTILE}\n&amp;'"`)
  assert.doesNotMatch(text, /[<>"']/)
  assert.match(text, /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u)
})

test('a long text of anything takes no second', () => {
  for (const unit of ['\x1b', '\u0301', 'a', '\ud800', '\u202e', '\n', '😀']) {
    const text = unit.repeat(2 ** 17)
    const before = process.cpuUsage()
    foreignText(text)
    foreignLines(text)
    foreignJson(text)
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 1e6, `${JSON.stringify(unit)}: ${(user + system) / 1e6} s of work`)
  }
})
