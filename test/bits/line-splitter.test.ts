import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineSplitter, MOST_LINE } from '../../src/bits/line-splitter.ts'
import { Random } from '../tools/random.ts'

function split(...pieces: (string | Uint8Array)[]): { lines: string[]; rest: string } {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line))
  for (const piece of pieces) splitter.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
  return { lines, rest: splitter.rest }
}

test('lines come without their ends, whatever pieces they come in', () => {
  assert.deepEqual(split('a\nb\r\n\n', 'c'), { lines: ['a', 'b', ''], rest: 'c' })
  assert.deepEqual(split('a\r', '\r\nb\rc', '\n'), { lines: ['a', 'b\rc'], rest: '' })
  assert.deepEqual(split(Uint8Array.of(0xc3), Uint8Array.of(0xa4, 10)), { lines: ['ä'], rest: '' })
  assert.deepEqual(split(Uint8Array.of(0xc3, 10, 0xa4)), { lines: ['\ufffd'], rest: '\ufffd' })
  assert.deepEqual(split('\ufeffa\n\ufeffb\n'), { lines: ['\ufeffa', '\ufeffb'], rest: '' })
})

test('random pieces of a text give the lines of the text', () => {
  const random = new Random(3)
  for (let round = 0; round < 50; round++) {
    const text = Array.from({ length: 400 }, () => random.pick(['a', 'é', '\r', '\n', '🙂', ' '])).join('')
    const bytes = Buffer.from(text)
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const count = random.between(0, 9)
      pieces.push(bytes.subarray(at, at + count))
      at += count
    }
    const { lines, rest } = split(...pieces)
    assert.deepEqual([...lines, rest].join('\n'), text.replace(/\r+(?=\n|$)/g, ''))
  }
})

test('a line without end is broken, and many pieces of it cost no more than one', () => {
  assert.deepEqual(
    split('x'.repeat(MOST_LINE * 2 + 5), '\n').lines.map((line) => line.length),
    [MOST_LINE, MOST_LINE, 5],
  )
  assert.deepEqual(
    split('x'.repeat(MOST_LINE), '\n').lines.map((line) => line.length),
    [MOST_LINE, 0],
  )
  const start = performance.now()
  const single = Uint8Array.of(13)
  let lines = 0
  const splitter = new LineSplitter(() => lines++)
  for (let i = 0; i < 3_000_000; i++) splitter.push(single)
  assert.equal(lines, 2)
  assert.ok(performance.now() - start < 5000)
})
