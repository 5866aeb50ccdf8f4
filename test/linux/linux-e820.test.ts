import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addRegion,
  anyMapped,
  e820Lines,
  endOfRam,
  ramLimits,
  removeRange,
  sanitize,
  trimBiosRange,
  updateRange,
} from '../../src/linux/memory/e820.ts'
import { E820, type E820Entry, type E820Type } from '../../src/xen/abi.ts'

const usable = (start: number, end: number): E820Entry => ({ start, end, type: 'usable' })
const reserved = (start: number, end: number): E820Entry => ({ start, end, type: 'reserved' })

test('sanitize lets the higher type win, merges neighbours, sorts and drops empty entries', () => {
  const map = [
    usable(0x5000, 0x9000),
    reserved(0x6000, 0x7000),
    usable(0x9000, 0xa000),
    reserved(0x100, 0x100),
    { start: 0x6800, end: 0x8000, type: 'ACPI NVS' as const },
    usable(0, 0x1000),
  ]
  assert.deepEqual(sanitize(map), [
    usable(0, 0x1000),
    usable(0x5000, 0x6000),
    reserved(0x6000, 0x6800),
    { start: 0x6800, end: 0x8000, type: 'ACPI NVS' },
    usable(0x8000, 0xa000),
  ])
})

test('updateRange and removeRange touch entries of their type only, and split them', () => {
  const map = [usable(0, 0x10), reserved(0x10, 0x20), usable(0x20, 0x40)]
  assert.deepEqual(updateRange(map, 8, 0x30, 'usable', 'reserved'), [
    usable(0, 8),
    reserved(8, 0x10),
    reserved(0x10, 0x20),
    reserved(0x20, 0x30),
    usable(0x30, 0x40),
  ])
  assert.deepEqual(removeRange(map, 0x28, 0x30, 'usable'), [
    usable(0, 0x10),
    reserved(0x10, 0x20),
    usable(0x20, 0x28),
    usable(0x30, 0x40),
  ])
  assert.deepEqual(addRegion(map, 5, 5, 'usable'), map)
})

test('the end of RAM rounds down, and a straddling entry gives the limit', () => {
  const map = [usable(0, 0x9fc00), usable(0x100000, 0x7fe6d800)]
  assert.equal(endOfRam(map), 0x7fe6d)
  assert.equal(endOfRam([usable(0x100000, 0x1_4000_0000)], 0x100000), 0x100000)
  assert.equal(endOfRam([usable(0x1_0000_0000, 0x1_4000_0000)], 0x100000), 0)
})

test('max_low_pfn is max_pfn up to 4 GiB and the last RAM below 4 GiB above', () => {
  assert.deepEqual(ramLimits([usable(0, 0x40000000)]), {
    maxPfn: 0x40000,
    maxLowPfn: 0x40000,
    lines: ['last_pfn = 0x40000 max_arch_pfn = 0x400000000'],
  })
  assert.equal(ramLimits([usable(0, 0x1_0000_0000)]).lines.length, 1)
  assert.deepEqual(ramLimits([usable(0, 0xbffe0000), usable(0x1_0000_0000, 0x1_4000_0000)]), {
    maxPfn: 0x140000,
    maxLowPfn: 0xbffe0,
    lines: [
      'last_pfn = 0x140000 max_arch_pfn = 0x400000000',
      'last_pfn = 0xbffe0 max_arch_pfn = 0x400000000',
    ],
  })
})

test('any entry of any type touches a range that it overlaps, and not its neighbour', () => {
  const map = [reserved(0xfd00000000, 0x10000000000)]
  assert.equal(anyMapped(map, 0xfcc0000000, 0xfd00000000), false)
  assert.equal(anyMapped(map, 0xfd00000000, 0xfd40000000), true)
  assert.equal(anyMapped(map, 0x10000000000, 0x10040000000), false)
})

test('trimBiosRange reserves 64 KiB and removes the BIOS area', () => {
  const { map, lines } = trimBiosRange([usable(0, 0x40000000)])
  assert.deepEqual(map, [reserved(0, 0x10000), usable(0x10000, 0xa0000), usable(0x100000, 0x40000000)])
  assert.deepEqual(lines, [
    'e820 update range: 0000000000000000 - 0000000000010000 (usable) ==> (reserved)',
    'e820 remove range: 00000000000a0000 - 0000000000100000 (usable)',
  ])
})

test('lines are those of the kernel', () => {
  assert.deepEqual(
    e820Lines([usable(0, 0x9f000), { start: 0xbad80000, end: 0xbadc9000, type: 'ACPI NVS' }], 'Xen'),
    [
      ' Xen: 0000000000000000 - 000000000009f000 (usable)',
      ' Xen: 00000000bad80000 - 00000000badc9000 (ACPI NVS)',
    ],
  )
})

const types = Object.keys(E820) as E820Type[]
const entries = fc.array(
  fc
    .tuple(fc.nat(60), fc.nat(20), fc.constantFrom(...types))
    .map(([start, length, type]) => ({ start, end: start + length, type })),
  { maxLength: 12 },
)

test('sanitize agrees with a byte by byte count, and is its own fixed point', () => {
  fc.assert(
    fc.property(entries, (map) => {
      const sane = sanitize(map)
      for (let address = 0; address < 82; address++) {
        const covers = (entry: E820Entry) => entry.start <= address && address < entry.end
        const expected = Math.max(0, ...map.filter(covers).map((entry) => E820[entry.type]))
        const found = sane.filter(covers)
        assert.equal(found.length, expected === 0 ? 0 : 1)
        if (expected) assert.equal(E820[found[0].type], expected)
      }
      for (let i = 1; i < sane.length; i++) {
        assert.ok(sane[i - 1].end <= sane[i].start)
        assert.ok(sane[i - 1].end < sane[i].start || sane[i - 1].type !== sane[i].type)
      }
      assert.deepEqual(sanitize(sane), sane)
    }),
    { seed: 820, numRuns: 500 },
  )
})
