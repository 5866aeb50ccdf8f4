import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { checkMap, findMap, type MemoryMap, parseMap, shippedMaps } from '../../../src/run/maps/maps.ts'
import { E820, type E820Entry, type E820Type } from '../../../src/xen/abi.ts'
import { sharedData } from '../../tools/shared-data.ts'

const ranges = (map: MemoryMap) =>
  map.entries.map((entry) => `${entry.start.toString(16)}-${entry.end.toString(16)} ${entry.type}`)

const fails = (run: () => unknown, message: RegExp) =>
  assert.throws(
    run,
    (error: Error) =>
      error instanceof BadInput && message.test(error.message) && !error.message.includes('\n'),
  )

test('forty-seven maps are shipped, all sound, no name twice', () => {
  const maps = shippedMaps()
  assert.equal(maps.length, 47)
  assert.equal(new Set(maps.map((map) => map.name)).size, 47)
  for (const map of maps) assert.equal(checkMap(map), map)
  assert.equal(maps.filter((map) => map.kind === 'host').length, 34)
  assert.equal(maps.filter((map) => map.partial).length, 10)
})

test('a shipped map is found by name, and a slip of the finger is understood', () => {
  const map = findMap('seedlike-bacf7')
  assert.equal(map.nrPages, 0xbb800)
  assert.equal(map.vEnd, 0x1c00000)
  assert.equal(map.append, 'memmap=0xaef000$0xbad10000')
  assert.equal(map.kind, 'host')
  assert.deepEqual(ranges(findMap('amd1thole')).at(-1), 'fd00000000-10000000000 reserved')
  assert.equal(findMap('msi-h61m-p23-8g').nrPages, 0x1acb65)
  assert.equal(findMap('msi-h61m-p23-8g').vEnd, 0x16400000)
  fails(() => findMap('msi-h61m-p23-8'), /did you mean msi-h61m-p23-8g\?/)
  fails(() => findMap('?'), /'xenolith maps' lists them/)
})

const QEMU = ['0-9fc00 usable', '9fc00-a0000 reserved', '100000-7ffe0000 usable']

test('every way of printing a range gives the same map', () => {
  const logs: Record<string, string> = {
    'Xen to 4.13': `(XEN) Xen-e820 RAM map:
(XEN)  0000000000000000 - 000000000009fc00 (usable)
(XEN)  000000000009fc00 - 00000000000a0000 (reserved)
(XEN)  0000000000100000 - 000000007ffe0000 (usable)
(XEN) System RAM: 2047MB (2096636kB)`,
    'Xen from 4.14, with a journal before it': `Jan 02 03:04:05 host xencommons[1]: (XEN) [    0.000000] EFI RAM map:
Jan 02 03:04:05 host xencommons[1]: (XEN) [    0.000000]  [0000000000000000, 000000000009fbff] (usable)
Jan 02 03:04:05 host xencommons[1]: (XEN) [    0.000000]  [000000000009fc00, 000000000009ffff] (reserved)
Jan 02 03:04:05 host xencommons[1]: (XEN) [    0.000000]  [0000000000100000, 000000007ffdffff] (usable)`,
    'Linux to 3.4': `BIOS-provided physical RAM map:
 BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)
 BIOS-e820: 000000000009fc00 - 00000000000a0000 (reserved)
 BIOS-e820: 0000000000100000 - 000000007ffe0000 (usable)
e820 update range: 0000000000000000 - 0000000000010000 (usable) ==> (reserved)
e820 remove range: 00000000000a0000 - 0000000000100000 (usable)`,
    'Linux from 3.5': `[    0.000000] BIOS-provided physical RAM map:
[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
[    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007ffdffff] usable
[    0.000000] e820: remove [mem 0x000a0000-0x000fffff] usable
[    0.000000] init_memory_mapping: [mem 0x00000000-0x000fffff]`,
    'a list': `usable 0x00000000-0x0009fbff
reserved 0x0009fc00-0x0009ffff
usable 0x00100000-0x7ffdffff`,
  }
  for (const [name, log] of Object.entries(logs)) {
    assert.deepEqual(ranges(parseMap(log, 'boot.log')), QEMU, name)
    assert.deepEqual(ranges(parseMap(log.replaceAll('\n', '\r\n'), 'boot.log')), QEMU, `${name}, CRLF`)
  }
})

test("a guest's own map, in both ways", () => {
  const old = parseMap(' Xen: 0000000000000000 - 0000000000100000 (usable)\n', 'old.txt')
  const newer = parseMap(
    '[    0.000000] Xen: [mem 0x0000000000000000-0x00000000000fffff] usable',
    'dir/new.txt',
  )
  assert.deepEqual(old.entries, newer.entries)
  assert.equal(newer.kind, 'guest')
  assert.equal(newer.name, 'new')
})

test('of several maps the host map is taken, and the builder says how large dom0 is', () => {
  const log = `(XEN) Xen-e820 RAM map:
(XEN)  0000000000000000 - 00000000bffe0000 (usable)
(XEN)  Phys-Mach map: ffffffff813b9000->ffffffff81995000
(XEN)  TOTAL:         ffffffff80000000->ffffffff81c00000
about to get started...
BIOS-provided physical RAM map:
 Xen: 0000000000000000 - 00000000bb800000 (usable)
user-defined physical RAM map:
 user: 0000000000000000 - 00000000bad10000 (usable)
`
  const map = parseMap(log, 'console.log')
  assert.deepEqual(ranges(map), ['0-bffe0000 usable'])
  assert.equal(map.kind, 'host')
  assert.equal(map.nrPages, 0xbb800)
  assert.equal(map.vEnd, 0x1c00000)
  assert.equal(map.source, 'console.log: Xen-e820 RAM map at line 2; not used: Xen at line 7, user at line 9')
  const second = parseMap(`${log}${log.replaceAll('bffe0000', 'cffe0000')}`, 'console.log')
  assert.deepEqual(ranges(second), ['0-bffe0000 usable'])
})

test('types that nobody knows are reserved, and the source says so', () => {
  const map = parseMap(
    'BIOS-e820: [mem 0x0-0xfffff] usable\nBIOS-e820: [mem 0x100000-0x1fffff] type 20\nBIOS-e820: [mem 0x200000-0x2fffff] persistent (type 7)',
    'efi.log',
  )
  assert.deepEqual(ranges(map), ['0-100000 usable', '100000-200000 reserved', '200000-300000 reserved'])
  assert.equal(
    map.source,
    'efi.log: BIOS-e820 at line 1; type 20 taken as reserved; persistent (type 7) taken as reserved',
  )
})

test('JSON is taken as one record, a file of one map, or bare entries', () => {
  const entries = [{ start: '0x0', end: 0x40000000, type: 'usable' }]
  const record = {
    name: 'mine',
    kind: 'guest',
    entries,
    nrPages: '0x40000',
    vEnd: 0x1c00000,
    append: 'mem=1G',
  }
  assert.deepEqual(parseMap(JSON.stringify(record), 'x.json'), {
    name: 'mine',
    kind: 'guest',
    entries: [{ start: 0, end: 0x40000000, type: 'usable' }],
    partial: false,
    source: 'x.json',
    nrPages: 0x40000,
    vEnd: 0x1c00000,
    append: 'mem=1G',
  })
  assert.equal(parseMap(JSON.stringify({ maps: [record] }), 'x.json').name, 'mine')
  assert.equal(parseMap(JSON.stringify(entries, null, 2), 'maps/bare.json').name, 'bare')
})

test('what cannot be a map is refused in one line that names the place', () => {
  const bios = (...lines: string[]) => lines.map((line) => ` BIOS-e820: ${line}`).join('\n')
  const json = (...entries: unknown[]) => JSON.stringify(entries)
  const log: [string, RegExp][] = [
    ['', /^m\.txt: no memory map found/],
    ['just some words\n', /^m\.txt: no memory map found/],
    [
      bios('0000000000000000 - 0000000000000000 (usable)'),
      /^m\.txt: line 1: the end of 0x0-0x0 is not above/,
    ],
    [
      bios('0000000000000000 - 0000000000100000 (usable)', '0000000000080000 - 0000000000200000 (reserved)'),
      /^m\.txt: line 2: 0x80000-0x200000 overlaps 0x0-0x100000 of line 1$/,
    ],
    [
      bios('0000000000000000 - 0000000000100000 (usable)', '00000000001000zz - 0000000000200000 (usable)'),
      /^m\.txt: line 2: cannot read the range/,
    ],
    [
      bios('0000000000000000 - 0000000000100000 (usable)', '0000000000100000 - 00000'),
      /^m\.txt: line 2: cannot read/,
    ],
    [bios('0000000000000000 - 0000000000100000 (reserved)'), /^m\.txt: no usable RAM below 4 GiB/],
    [bios('0000000000000000 - ffffffffffffffff (usable)'), /^m\.txt: line 1: .* beyond the 52 bits/],
    ['[\n  {"start": 0,\n  "end" 1}]', /^m\.txt: line 3: this is not valid JSON$/],
    ['{"name": "x",\n "entries": [', /^m\.txt: line 2: this is not valid JSON$/],
    ['{}', /^m\.txt: the map has no list "entries"$/],
    ['{"maps": []}', /^m\.txt: the file holds 0 maps/],
    ['{"maps": 4}', /^m\.txt: "maps" is not a list$/],
    ['{"entries": [], "kind": "moon"}', /^m\.txt: kind "moon" is neither/],
    ['[]', /^m\.txt: the map is empty/],
    ['[{"start": null}]', /^m\.txt: entry 1: "start" must be a number/],
    [json({ start: 0, end: 'x', type: 'usable' }), /^m\.txt: entry 1: "end" must be a number/],
    [json({ start: 0, end: 1.5, type: 'usable' }), /^m\.txt: entry 1: "end" must be a number/],
    [json({ start: 0, end: 4096 }), /^m\.txt: entry 1: "type" is missing$/],
    [json({ start: 8192, end: 4096, type: 'usable' }), /^m\.txt: entry 1: the end of 0x2000-0x1000/],
  ]
  for (const [text, message] of log) fails(() => parseMap(text, 'm.txt'), message)
  const high: MemoryMap = {
    name: 'high',
    kind: 'host',
    entries: [{ start: 2 ** 32, end: 2 ** 33, type: 'usable' }],
    partial: false,
    source: '',
  }
  fails(() => checkMap(high), /^high: no usable RAM below 4 GiB/)
})

const types = Object.keys(E820) as E820Type[]
const anyMap = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 ** 34 }), fc.nat(2 ** 20), fc.constantFrom(...types)), {
    maxLength: 20,
  })
  .map((parts) => {
    const entries: E820Entry[] = [{ start: 0, end: 0x9f000, type: 'usable' }]
    for (const [length, gap, type] of parts) {
      const start = entries.at(-1)!.end + gap
      entries.push({ start, end: start + length, type })
    }
    return entries
  })

test('what is printed is read back, and no text makes the parser fail in any other way', () => {
  const hex = (address: number) => address.toString(16).padStart(16, '0')
  fc.assert(
    fc.property(anyMap, (entries) => {
      const open = entries.map((e) => ` BIOS-e820: ${hex(e.start)} - ${hex(e.end)} (${e.type})`)
      const closed = entries.map((e) => `(XEN)  [${hex(e.start)}, ${hex(e.end - 1)}] (${e.type})`)
      const mem = entries.map((e) => `Xen: [mem 0x${hex(e.start)}-0x${hex(e.end - 1)}] ${e.type}`)
      for (const lines of [open, ['Xen-e820 RAM map:', ...closed], mem])
        assert.deepEqual(parseMap(lines.join('\n'), 'x').entries, entries)
      assert.deepEqual(parseMap(JSON.stringify({ entries }), 'x').entries, entries)
    }),
    { seed: 417, numRuns: 200 },
  )
  const scrap = fc.constantFrom(
    '[',
    '{',
    '"start"',
    ':',
    '0',
    ' BIOS-e820: ',
    '[mem 0x0-0xfff] usable',
    '\n',
    'maps',
    '}',
    ']',
    ',',
  )
  fc.assert(
    fc.property(fc.array(scrap, { maxLength: 12 }), (parts) => {
      try {
        parseMap(parts.join(''), 'x')
      } catch (error) {
        assert.ok(error instanceof BadInput, String(error))
      }
    }),
    { seed: 417, numRuns: 2000 },
  )
})

const folder = sharedData('e820')

test('every recorded map can be read', {
  skip: folder ? false : 'shared data is not here: the samples above stand in',
}, () => {
  const files = readdirSync(folder!)
  assert.equal(files.length, 25)
  for (const file of files) {
    const map = parseMap(readFileSync(join(folder!, file), 'utf8'), file)
    assert.deepEqual(map.entries, findMap(map.name).entries)
    assert.equal(map.kind, findMap(map.name).kind)
  }
})
