import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BadInput, bootOptions, type RawBootOptions } from '../../../src/run/boot/boot-options.ts'

test('nothing typed is nothing asked', () => {
  assert.deepEqual(bootOptions({}), {})
})

test('all options at once', () => {
  const raw: RawBootOptions = {
    linux: 'B',
    with: ['a38647837a41,279B706BF800'],
    without: ['b9269dc7bfdf'],
    xen: 'seed',
    map: 'msi-h61m-p23-8g',
    domu: true,
    memory: '0x60008p',
    kernelSize: '26M',
    initrdSize: '0',
    append: 'memmap=4M$0xbf900000 mem=3G',
    mfn: ['bacf7=b1d89,0xbacf8=0xB1D8A', 'bacf9=b1d8b'],
  }
  assert.deepEqual(bootOptions(raw), {
    linux: 'B',
    with: ['a38647837a41', '279b706bf800'],
    without: ['b9269dc7bfdf'],
    xen: 'seed',
    map: 'msi-h61m-p23-8g',
    domain: 'domU',
    memory: 0x60008,
    kernelSize: 27262976,
    initrdSize: 0,
    append: 'memmap=4M$0xbf900000 mem=3G',
    mfn: [
      [0xbacf7, 0xb1d89],
      [0xbacf8, 0xb1d8a],
      [0xbacf9, 0xb1d8b],
    ],
  })
})

const memories: [text: string, pages: number][] = [
  ['3072M', 786432],
  ['1572896K', 393224],
  ['0x60008p', 393224],
  ['1572896', 393224],
  ['0x1acb65p', 0x1acb65],
  ['0x1acb65P', 0x1acb65],
  ['8g', 2097152],
  ['1T', 2 ** 28],
  ['4096B', 1],
  // A hex number has no suffix of bytes: the b is a digit.
  ['0x1000b0', 0x1000b0 / 4],
  ['4096T', 2 ** 40],
]
for (const [text, pages] of memories) {
  test(`--memory ${text} is ${pages} pages`, () => assert.equal(bootOptions({ memory: text }).memory, pages))
}

test('a memory in pages comes back as it was typed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (pages) => {
      assert.equal(bootOptions({ memory: `${pages}p` }).memory, pages)
      assert.equal(bootOptions({ memory: `0x${pages.toString(16)}p` }).memory, pages)
    }),
  )
})

test('whatever is typed gives options or BadInput of one line that names the option', () => {
  const keys = ['linux', 'memory', 'vEnd', 'kernelSize', 'initrdSize', 'append', 'map', 'xen'] as const
  const noise = fc.oneof(fc.string(), fc.stringMatching(/^(0x)?[0-9a-f]{0,20}[bkmgtp]{0,2}$/))
  fc.assert(
    fc.property(fc.constantFrom(...keys), noise, (key, text) => {
      try {
        const { memory = 1, vEnd = 2 ** 22 } = bootOptions({ [key]: text })
        assert.ok(Number.isSafeInteger(memory) && memory > 0)
        assert.ok(Number.isSafeInteger(vEnd) && vEnd > 0 && vEnd % 2 ** 22 === 0)
      } catch (error) {
        assert.ok(error instanceof BadInput)
        assert.match(error.message, new RegExp(`^--${key.replace(/[A-Z]/, (c) => `-${c.toLowerCase()}`)}`))
      }
    }),
  )
})

const refused: [raw: RawBootOptions, message: RegExp][] = [
  [{ memory: '0' }, /^--memory 0 leaves the guest no page/],
  [{ memory: '3' }, /^--memory 3 is not a whole number of 4 KiB pages; round it to 1p$/],
  [{ memory: '8193B' }, /round it to 2p$/],
  [{ memory: '-5M' }, /^--memory '-5M' is not a size/],
  [{ memory: 'NaN' }, /^--memory 'NaN' is not a size/],
  [{ memory: 'Infinity' }, /is not a size/],
  [{ memory: '1e3M' }, /is not a size/],
  [{ memory: '1.5G' }, /is not a size; write a whole number/],
  [{ memory: '0x' }, /is not a size/],
  [{ memory: '' }, /^--memory '' is not a size/],
  [{ memory: '3072MB' }, /is not a size/],
  [{ memory: '010M' }, /octal/],
  [{ memory: '4097T' }, /52 bits/],
  [{ memory: `${'9'.repeat(400)}p` }, /52 bits/],
  [{ vEnd: '0' }, /^--v-end 0 is not a multiple of 4 MiB above 0; the next is 0x400000$/],
  [{ vEnd: '0x10400001' }, /the next is 0x10800000$/],
  [{ vEnd: '0x10200000' }, /the next is 0x10400000$/],
  [{ vEnd: '0x10400000', kernelSize: '26M' }, /^--v-end and --kernel-size exclude each other/],
  [{ vEnd: '0x10400000', initrdSize: '0' }, /^--v-end and --initrd-size exclude each other/],
  [{ initrdSize: '12M' }, /^--initrd-size needs --kernel-size/],
  [{ kernelSize: '0' }, /^--kernel-size 0: an image has at least one byte/],
  [{ dom0: true, domu: true }, /^--dom0 and --domu exclude each other/],
  [{ with: ['xyz'] }, /^--with 'xyz' is not a commit/],
  [{ with: ['a38647837a41,'] }, /^--with '' is not a commit/],
  [{ without: ['abc'] }, /^--without 'abc' is not a commit/],
  [{ with: ['a38647837a41'], without: ['A38647837A41'] }, /both name a38647837a41/],
  [{ mfn: ['bacf7'] }, /^--mfn 'bacf7' is not PFN=MFN/],
  [{ mfn: ['bacf7=b1d89=1'] }, /is not PFN=MFN/],
  [{ mfn: ['bacf7=b1d89=zz'] }, /is not PFN=MFN/],
  [{ mfn: ['bacf7=q'] }, /is not PFN=MFN/],
  [{ mfn: ['1=2', '1=3'] }, /^--mfn names pfn 1 twice/],
  [{ mfn: ['1=2,3=2'] }, /^--mfn names mfn 2 twice/],
  [{ mfn: ['1=10000000000'] }, /40 bits/],
  [{ append: 'a\nb' }, /^--append has a character/],
  [{ append: 'x'.repeat(1024) }, /^--append has 1024 characters/],
  [{ linux: ' ' }, /^--linux is empty/],
  [{ map: '' }, /^--map is empty/],
]
for (const [raw, message] of refused) {
  const typed = JSON.stringify(raw)
  test(`refused: ${typed.length > 70 ? `${typed.slice(0, 70)}…` : typed}`, () => {
    assert.throws(
      () => bootOptions(raw),
      (error) => error instanceof BadInput && message.test(error.message) && !error.message.includes('\n'),
    )
  })
}
