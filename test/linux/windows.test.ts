import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BootOptions, type BootResult, boot } from '../../src/run/boot/boot.ts'
import { ending, mib } from '../tools/boot-tools.ts'
import { howMany, sampled } from '../tools/sample.ts'

/** A domU whose toolstack gives it no map: RAM from 0 to the end of its memory, and 8 MiB of slack. */
function domU(memory: number, options: BootOptions = {}): BootResult {
  return boot({ domain: 'domU', hasMap: options.map !== undefined, memory, vEnd: 60 << 20, ...options })
}

const crashes = (result: BootResult): boolean => {
  assert.notEqual(result.outcome, 'fault')
  if (result.outcome === 'refused') assert.equal(result.via, 'pin')
  return result.outcome === 'refused'
}

test('v_end 60 MiB: domUs of 0xbf801 to 0xbf824 pages crash, and their neighbours do not', () => {
  // K = 60 / 2 + 4 = 34, u = K + 2 = 36 = 0x24; the page is u + 1 = 37 below the end.
  assert.equal(ending(domU(0xbf800)), 'booted')
  assert.equal(ending(domU(0xbf801)), 'pin 0xbf7dc in call 1')
  assert.equal(ending(domU(0xbf812)), 'pin 0xbf7ed in call 1')
  assert.equal(ending(domU(0xbf824)), 'pin 0xbf7ff in call 1')
  assert.equal(ending(domU(0xbf825)), 'booted')
})

test('a buffer directly below the end crashes iff 1 <= pages mod 512 <= u, from the second region of a GiB on', () => {
  const regions = fc.integer({ min: 0x80, max: 0x3ff })
  const offsets = fc.oneof(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 0, max: 511 }))
  const vEnds = fc.integer({ min: 12, max: 25 }).map((n) => n * 4)
  fc.assert(
    fc.property(regions, offsets, vEnds, (region, offset, vEnd) => {
      const pages = region * 512 + offset
      const u = vEnd / 2 + 4 + 2
      const result = domU(pages, { vEnd: vEnd << 20 })
      // Below 1 GiB everything is hooked already, and the first region of a GiB has none before it in the same GiB.
      const inWindow = offset >= 1 && offset <= u && region > 512 && region % 512 !== 0
      assert.equal(crashes(result), inWindow, `0x${pages.toString(16)} pages, v_end ${vEnd} MiB`)
      if (inWindow) assert.equal(ending(result), `pin 0x${(pages - u - 1).toString(16)} in call 1`)
    }),
    { seed: 20110501, numRuns: howMany({ all: 60, few: 20 }) },
  )
})

test('32 KiB above a whole GiB: the first region of a GiB cannot crash', () => {
  assert.equal(ending(domU(0x40008)), 'booted')
  assert.equal(ending(domU(0x80008)), 'booted')
  assert.equal(ending(domU(0x40208)), 'pin 0x401e3 in call 1')
})

test('memory of whole MiB, up to 4 GiB, never crashes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 64, max: 4096 }), (size) => {
      assert.equal(ending(domU(mib(size))), 'booted', `${size} MiB`)
    }),
    { seed: 20110502, numRuns: howMany({ all: 15, few: 6 }), examples: [[4095], [4096]] },
  )
})

/** Above 4 GiB, these do not crash up to 8 GiB. */
const exceptions = [4097, 4098, 4099, 4100, 4101, 4102, 4103, 4104, 5127, 5128, 6151, 6152, 7175, 7176]

test('above 4 GiB only 4097-4104, 5127-5128, 6151-6152 and 7175-7176 MiB do not crash in the second call', () => {
  for (const size of exceptions) assert.equal(ending(domU(mib(size))), 'booted', `${size} MiB`)
  assert.equal(ending(domU(mib(4105))), 'pin 0x1000f3 in call 2')
  assert.equal(ending(domU(mib(5126))), 'pin 0x13fdf2 in call 2')
  assert.equal(ending(domU(mib(5129))), 'pin 0x1400f3 in call 2')
  assert.equal(ending(domU(mib(6150))), 'pin 0x17fdf2 in call 2')
  assert.equal(ending(domU(mib(6153))), 'pin 0x1800f3 in call 2')
  const sizes = fc.integer({ min: 4106, max: 8192 }).filter((size) => !exceptions.includes(size))
  fc.assert(
    fc.property(sizes, (size) => {
      const result = domU(mib(size))
      assert.equal(crashes(result), true, `${size} MiB`)
      assert.equal(result.call, 2, `${size} MiB`)
    }),
    { seed: 20110503, numRuns: howMany({ all: 6, few: 2 }) },
  )
})

test('rc1 to rc4 put the extra region right above memory: nearly every size above 1 GiB crashes', () => {
  const rc4 = (size: number): BootResult => domU(mib(size), { linux: '2.6.39-rc4' })
  for (const size of [1023, 1024, 2047, 2048, 3071, 3072, 4095, 4096, 4097, 4104])
    assert.equal(ending(rc4(size)), 'booted', `${size} MiB`)
  assert.equal(ending(rc4(1025)), 'pin 0x400d8 in call 1')
  assert.equal(ending(rc4(2046)), 'pin 0x7fdd7 in call 1')
  assert.equal(ending(rc4(2049)), 'pin 0x800d8 in call 1')
  assert.equal(ending(rc4(3070)), 'pin 0xbfdd7 in call 1')
  assert.equal(ending(rc4(4094)), 'pin 0xffddb in call 1')
  assert.equal(ending(rc4(4105)), 'pin 0x1000f3 in call 2')
  const sizes = fc.integer({ min: 1025, max: 4094 }).filter((size) => (size + 1) % 1024 > 1)
  fc.assert(
    fc.property(sizes, (size) => {
      const result = rc4(size)
      assert.equal(crashes(result), true, `${size} MiB`)
      assert.equal(result.call, 1, `${size} MiB`)
    }),
    { seed: 20110504, numRuns: howMany({ all: 10, few: 4 }) },
  )
})

test('a map of its own changes nothing for a domU: the toolstack gives it the same', () => {
  for (const memory of [0xbf800, 0xbf810]) {
    const entries = [{ start: 0, end: memory * 4096 + (8 << 20), type: 'usable' as const }]
    const map = { name: 'flat', kind: 'guest' as const, partial: false, source: 'a test', entries }
    assert.equal(ending(domU(memory, { map })), ending(domU(memory)))
  }
})

test('the workaround: a domU from 4104 MiB on faults in the second tail, others boot; with the hook all boot', () => {
  for (const size of [256, 1024, 3072, 3712]) {
    assert.equal(ending(domU(mib(size), { linux: 'C' })), 'booted', `${size} MiB`)
  }
  // The vmemmap's tables have used up the first tail, and take the rest from the second.
  assert.equal(ending(domU(mib(4096), { linux: 'C' })), 'update_va_mapping 0xfeff9 in call null')
  // From 4097 to 4103 MiB the second buffer has no room above 4 GiB, and NODE_DATA lies in nobody's tail.
  assert.equal(ending(domU(mib(4097), { linux: 'C' })), 'booted')
  assert.equal(ending(domU(mib(4103), { linux: 'C' })), 'booted')
  assert.equal(ending(domU(mib(4104), { linux: 'C' })), 'fault 0x1007fb')
  assert.equal(ending(domU(mib(4105), { linux: 'C' })), 'fault 0x1008fb')
  assert.equal(ending(domU(mib(5000), { linux: 'C' })), 'fault 0x1387fb')
  fc.assert(
    fc.property(fc.integer({ min: 256, max: 6000 }), (size) => {
      assert.equal(ending(domU(mib(size), { linux: 'D' })), 'booted', `${size} MiB`)
    }),
    { seed: 20110505, numRuns: howMany({ all: 12, few: 4 }), examples: [[7680], [9216]] },
  )
})

/** How much memory, MiB, still boots on a host with islands above the buffer, and how much does not, and where. */
const islands: [map: string, boots: number[], crashes: number[], pfn: string][] = [
  ['msi-h61m-p23-8g', [2048, 2880, 2944], [3008, 3072, 4096], '0xbacc7'],
  ['asus-sabertooth-990fx-16g', [2944, 3008], [3072, 3136, 6144], '0xbaafd'],
  ['toshiba-tosqci-amd-8g', [3456, 3520], [3584, 3648, 6144], '0xdf6cf'],
  ['dell-latitude-e6420-16g', [3136, 3200], [3264, 3328, 4096], '0xca5fe'],
]

for (const [map, boots, refused, pfn] of sampled(islands, 2)) {
  test(`islands push the buffer down: ${map} crashes once dom0 has the memory below them`, () => {
    for (const size of boots) assert.equal(ending(boot({ map, memory: mib(size) })), 'booted', `${size} MiB`)
    for (const size of refused) {
      const result = boot({ map, memory: mib(size) })
      assert.equal(ending(result), `pin ${pfn} in call 1`, `${size} MiB`)
    }
  })
}
