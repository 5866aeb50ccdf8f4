import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readKallsyms } from '../../src/guest/symbols/kallsyms.ts'
import { readSystemMap, SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import { Random } from '../tools/random.ts'
import { COUNT, FORMS, names, recent, VA } from '../tools/tiny-kallsyms.ts'

for (const [form, content] of FORMS) {
  test(`symbols ${form}`, () => {
    const random = new Random(5)
    const noise = (bytes: number): Buffer =>
      Buffer.from(Array.from({ length: bytes }, () => random.between(0, 255)))
    const symbols = readKallsyms(Buffer.concat([noise(8000), ...content, noise(800)]))
    assert.ok(symbols)
    assert.equal(symbols.text(VA + 10 * 0x40 + 5), `${names[10].slice(1)}+0x5/0x40`)
    assert.equal(symbols.text(VA + 700 * 0x40), `${names[700].slice(1)}+0x0/0x40`)
    assert.equal(symbols.find(VA + 999 * 0x40 + 9)?.name, names[999].slice(1))
    const isPerCpu = content.includes(recent.base) && form.includes('4.6')
    if (isPerCpu) assert.equal(symbols.size, COUNT - 3)
  })
}

test('what has no symbols has none', () => {
  const random = new Random(6)
  const noise = Buffer.from(Array.from({ length: 200_000 }, () => random.between(0, 3)))
  assert.equal(readKallsyms(noise), null)
  assert.equal(readKallsyms(new Uint8Array(3)), null)
  // An index with nothing before it.
  assert.equal(readKallsyms(recent.index), null)
  assert.equal(readKallsyms(Buffer.concat([recent.tokens, recent.index])), null)
})

test('a System.map', () => {
  const text = 'ffffffff81000000 T _text\n0000000000000010 A cpu_area\nffffffff81000040 t next\n'
  const symbols = readSystemMap(text)
  assert.equal(symbols?.size, 2)
  assert.equal(symbols?.text(VA + 0x41), 'next+0x1/0x0')
  assert.equal(symbols?.text(VA - 1), undefined)
  assert.equal(readSystemMap('The real System.map is in the linux-image-dbg package\n'), null)
  assert.equal(readSystemMap(new SymbolTable([[VA, 'x']]).toSystemMap())?.find(VA)?.name, 'x')
})
