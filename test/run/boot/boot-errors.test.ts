import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { type BootOptions, boot } from '../../../src/run/boot/boot.ts'
import type { MemoryMap } from '../../../src/run/maps/maps.ts'
import type { E820Entry } from '../../../src/xen/abi.ts'
import { ending, mib } from '../../tools/boot-tools.ts'

function host(...entries: E820Entry[]): MemoryMap {
  return { name: 'test', kind: 'host', partial: false, source: 'a test', entries }
}
const ram = (start: number, end: number): E820Entry => ({ start, end, type: 'usable' })
const domU = { domain: 'domU', memory: 0x8000 } as const

const complaints: [options: BootOptions, message: string | RegExp][] = [
  [{ ...domU, vEnd: 0x10000000 }, "v_end 0x10000000 lies beyond the guest's memory, which ends at 0x8000000"],
  [{ ...domU, vEnd: 0x3a00000 }, 'v_end 0x3a00000 is not a multiple of 4 MiB'],
  [
    { ...domU, vEnd: 0x400000 },
    'v_end 0x400000 is too small: kernel and p2m list of 0x8000 pages end at 0x1800000; use at least that',
  ],
  [
    { ...domU, memory: 100 },
    "v_end 0x1800000 lies beyond the guest's memory of 0x64 pages; give it more memory or a smaller v_end",
  ],
  [
    { memory: 0x400000 },
    'a guest of 0x400000 pages is too large for the machine, which has 0x1fa8a1 pages of RAM',
  ],
  [{ ...domU, memory: 0x8000000 }, /^a p2m list of 0x8000000 pages does not fit the kernel's window/],
  [{ ...domU, memory: Number.NaN }, 'memory NaN is not a whole number'],
  [{ ...domU, memory: -1 }, 'memory -1 is not a whole number'],
  [{ ...domU, memory: 0x8000 + 0.5 }, 'memory 32768.5 is not a whole number'],
  [{ ...domU, vEnd: Number.POSITIVE_INFINITY }, 'vEnd Infinity is not a whole number'],
  [{ ...domU, mfn: [[-1, 5]] }, 'mfn -1 is not a whole number'],
  [{ ...domU, kernelSize: 100 }, /^a kernel of 0x64 bytes has no room for its own tables/],
  [
    { map: 'msi-h61m-p23-8' },
    'no map is named "msi-h61m-p23-8": did you mean msi-h61m-p23-8g?; \'xenolith maps\' lists them',
  ],
  [{ linux: 'b0' }, /^no Linux "b0": did you mean B0\?/],
  [{ xen: 'seeed' }, /did you mean seed\?/],
  [{ with: ['a38647837a42'] }, /did you mean a38647837a41\?/],
  [{ map: host(ram(2 ** 32, 2 ** 33)) }, 'test: no usable RAM below 4 GiB, where a PV kernel is loaded'],
  [{ map: host(ram(0, 0x100000)) }, /^test: the map has no RAM between 1 MiB and 4 GiB/],
  [{ map: host() }, 'test: the map is empty; it needs at least one range of RAM'],
  [
    { map: host(ram(0, 0x10000000), ram(0x8000000, 0x20000000)) },
    'test: entry 2: 0x8000000-0x20000000 overlaps 0x0-0x10000000 of entry 1',
  ],
  [{ mfn: [[0xbacf7, 0xbad90]] }, '--mfn bacf7=bad90: frame 0xbad90 is not RAM of this machine'],
  [{ mfn: [[0xbacf7, 5]] }, '--mfn bacf7=5: frame 0x5 is not RAM of this machine'],
  [
    { mfn: [[0x9999999, 0x200]] },
    '--mfn 9999999=200: the guest has no pfn 0x9999999; its pages end at 0x1acb65',
  ],
]

for (const [options, message] of complaints) {
  test(`refused in one line: ${message}`, () => {
    assert.throws(
      () => boot(options),
      (error: Error) => {
        assert.ok(error instanceof BadInput)
        assert.doesNotMatch(error.message, /\n/)
        if (typeof message === 'string') assert.equal(error.message, message)
        else assert.match(error.message, message)
        return true
      },
    )
  })
}

test('a map in any order is the same map', () => {
  const entries = [ram(0x10000000, 0x20000000), ram(0, 0x9f000), ram(0x100000, 0x10000000)]
  const sorted = entries.toSorted((a, b) => a.start - b.start)
  const result = boot({ map: host(...entries), memory: mib(256) })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(result, boot({ map: host(...sorted), memory: mib(256) }))
})

/** A few ranges with gaps between them, RAM first, in units of 64 KiB up to about 640 MiB. */
const smallMaps = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 600 })),
      size: fc.integer({ min: 1, max: 4000 }),
      type: fc.constantFrom('usable', 'usable', 'reserved', 'ACPI data', 'ACPI NVS', 'unusable'),
      odd: fc.constantFrom(0, 0, 0, 0x400, 0x1000),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => {
    const entries: E820Entry[] = []
    let at = 0
    for (const { gap, size, type, odd } of parts) {
      const start = at + gap * 0x10000
      at = start + size * 0x10000 + odd
      entries.push({ start, end: at, type: type as E820Entry['type'] })
    }
    return entries
  })

const anyOptions = fc.record(
  {
    linux: fc.constantFrom('A', 'B0', 'B', 'B+seed', 'C0', 'C', 'D', 'D2', 'low', '2.6.39-rc4', '3.8'),
    xen: fc.constantFrom('seed', '4.17'),
    domain: fc.constantFrom('dom0' as const, 'domU' as const),
    memory: fc.oneof(fc.integer({ min: 0, max: 0x28000 }), fc.integer({ min: 0x5000, max: 0x18000 })),
    vEnd: fc.oneof(
      fc.integer({ min: 5, max: 60 }).map((n) => n * 0x400000),
      fc.nat(),
    ),
    kernelSize: fc.integer({ min: 0, max: 0x4000000 }),
    initrdSize: fc.integer({ min: 0, max: 0x4000000 }),
    append: fc.constantFrom('', 'memtest=1', 'mem=64M', 'mem=16M', 'memmap=4M$64M', 'acpi=off', 'memmap=x'),
    mfn: fc.array(fc.tuple(fc.nat(0x20000), fc.nat(0x20000)), { maxLength: 3 }),
  },
  { requiredKeys: ['memory'] },
)

test('whatever the options, boot() returns a result or throws BadInput', () => {
  const outcomes = new Set<string>()
  fc.assert(
    fc.property(anyOptions, fc.option(smallMaps, { nil: undefined }), (options, entries) => {
      const map = entries && host(...entries)
      // Without a map a dom0 is on the machine of the seed, and a domU needs none.
      try {
        const result = boot({ ...options, ...(map && { map }) })
        outcomes.add(result.outcome)
        assert.ok(['booted', 'refused', 'fault'].includes(result.outcome))
        assert.equal(result.outcome === 'booted', result.via === null)
        assert.equal(result.console.length, result.sources.length)
        assert.doesNotThrow(() => JSON.stringify(result))
      } catch (error) {
        if (!(error instanceof BadInput)) throw error
        assert.doesNotMatch(error.message, /\n/)
        outcomes.add('BadInput')
      }
    }),
    { seed: 20110506, numRuns: 250, interruptAfterTimeLimit: 60_000 },
  )
  assert.deepEqual([...outcomes].sort(), ['BadInput', 'booted', 'fault', 'refused'])
})
