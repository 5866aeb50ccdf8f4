import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { type BootOptions, type BootResult, boot } from '../../../src/run/boot/boot.ts'
import { bootOptions } from '../../../src/run/boot/boot-options.ts'
import { forecastOutcome } from '../../../src/run/boot/forecast.ts'
import { ending, mib } from '../../tools/boot-tools.ts'

/**
 * What became of kernels of the exact trees on the machine that executes code, as domUs of so many MiB: with the map that xl gives,
 * and with none. The model is not that machine: it has its own code for all that a kernel does.
 */
const REAL: readonly (readonly [linux: string, size: number, withMap: string, without: string])[] = [
  ['2.6.39-rc4', 512, 'booted', 'booted'],
  ['2.6.39-rc4', 1024, 'booted', 'booted'],
  ['2.6.39-rc4', 1025, 'booted', 'refused 0x400e8'],
  ['2.6.39-rc4', 1408, 'booted', 'refused 0x57fe8'],
  ['2.6.39-rc4', 1472, 'booted', 'refused 0x5bfe8'],
  ['2.6.39-rc4', 2049, 'booted', 'refused 0x800e8'],
  ['2.6.39-rc4', 3072, 'booted', 'booted'],
  ['2.6.39-rc4', 4096, 'booted', 'booted'],
  ['2.6.39-rc4', 4100, 'booted', 'booted'],
  ['2.6.39-rc4', 4104, 'booted', 'booted'],
  ['2.6.39-rc4', 5000, 'refused 0x137ff7', 'refused 0x137ff3'],
  ['2.6.39-rc7', 512, 'fault 0x1fffb', 'booted'],
  ['2.6.39-rc7', 1024, 'fault 0x3fffb', 'booted'],
  ['2.6.39-rc7', 1025, 'fault 0x400fb', 'booted'],
  ['2.6.39-rc7', 1408, 'fault 0x57ffb', 'booted'],
  ['2.6.39-rc7', 1472, 'fault 0x5bffb', 'refused 0x5b51c'],
  ['2.6.39-rc7', 2049, 'fault 0x800fb', 'refused 0x7f4f6'],
  ['2.6.39-rc7', 3072, 'fault 0xbfffb', 'refused 0xbf1f7'],
  ['2.6.39-rc7', 4096, 'fault 0xffffb', 'refused 0xfeff6'],
  ['2.6.39-rc7', 4100, 'refused 0xff3eb', 'refused 0xff3eb'],
  ['2.6.39-rc7', 4104, 'fault 0x1007fb', 'fault 0x1007fb'],
  ['2.6.39-rc7', 5000, 'fault 0x1387fb', 'fault 0x1387fb'],
  ['2.6.39', 512, 'booted', 'booted'],
  ['2.6.39', 1024, 'booted', 'booted'],
  ['2.6.39', 1025, 'booted', 'booted'],
  ['2.6.39', 1472, 'booted', 'booted'],
  ['2.6.39', 2049, 'booted', 'booted'],
  ['2.6.39', 4096, 'booted', 'booted'],
  ['2.6.39', 4100, 'booted', 'booted'],
  ['2.6.39', 4104, 'booted', 'booted'],
  ['2.6.39', 5000, 'booted', 'booted'],
]

const said = ({ outcome, pfn = null }: { outcome: string; pfn?: string | null }): string =>
  pfn === null ? outcome : `${outcome} ${pfn}`

for (const [linux, size, withMap, without] of REAL) {
  test(`a domU of ${size} MiB, ${linux}: model and forecast end as the kernel does, with a map and without`, () => {
    for (const [noE820, real] of [
      [false, withMap],
      [true, without],
    ] as const) {
      const options = bootOptions({
        linux,
        xen: '4.17',
        domu: true,
        noE820,
        memory: `${size}M`,
        // The kernels' own sizes, and their initrd's.
        kernelSize: '0x3b3000',
        initrdSize: '1985024',
      })
      assert.equal(said(boot(options)), real)
      assert.equal(said(forecastOutcome(options) ?? { outcome: 'none' }), real)
    }
  })
}

/** The same kernels, of rc7, with a map that ends at another size than their memory. */
const GROWING: readonly (readonly [size: number, most: number, real: string])[] = [
  [512, 520, 'booted'],
  [512, 1024, 'booted'],
  [512, 2057, 'refused 0x1f6f9'],
  [2049, 2057, 'refused 0x7f4f6'],
]

for (const [size, most, real] of GROWING) {
  test(`a domU of ${size} MiB that may have ${most}: model and forecast end as the kernel does`, () => {
    const options = bootOptions({
      linux: '2.6.39-rc7',
      xen: '4.17',
      domu: true,
      memory: `${size}M`,
      maxmem: `${most}M`,
      kernelSize: '0x3b3000',
      initrdSize: '1985024',
    })
    assert.equal(said(boot(options)), real)
    assert.equal(said(forecastOutcome(options) ?? { outcome: 'none' }), real)
  })
}

const domU = (options: BootOptions): BootResult => boot({ domain: 'domU', vEnd: 28 << 20, ...options })
const heading = (result: BootResult): string[] =>
  result.console.filter((line) => /^ Xen: .*usable/.test(line))

test('the map ends at the memory, or at what the domU may come to have; without one the kernel makes its own', () => {
  const plain = domU({ memory: 0x10000 })
  assert.equal(plain.machine.mapEnd, '0x10000')
  assert.match(heading(plain).at(-1) ?? '', /0000000010000000 \(usable\)$/)
  const more = domU({ memory: 0x10000, maxMemory: 0x20000 })
  assert.equal(more.machine.mapEnd, '0x20000')
  // What lies above its memory becomes the extra region, above 4 GiB.
  assert.match(heading(more).at(-1) ?? '', /0000000100000000 - 0000000110000000 \(usable\)$/)
  assert.equal(more.buffers.length, 2)
  const none = domU({ memory: 0x10000, hasMap: false })
  assert.equal(none.machine.mapEnd, null)
  assert.match(heading(none).at(-1) ?? '', /0000000100000000 - 0000000100800000 \(usable\)$/)
  assert.equal(boot({ linux: 'A' }).machine.mapEnd, null)
})

test("a larger maxmem gives generation C its second call back, and with that the first tail's release", () => {
  assert.equal(domU({ linux: 'C', memory: mib(512) }).outcome, 'fault')
  assert.equal(domU({ linux: 'C', memory: mib(512), maxMemory: mib(520) }).outcome, 'booted')
  assert.equal(
    ending(domU({ linux: 'C', memory: mib(2049), maxMemory: mib(2057) })),
    'update_va_mapping 0x7f4f6 in call null',
  )
})

test("the workaround's own refusal is the vmemmap's: configured without one the same kernel boots", () => {
  const machine: BootOptions = { linux: 'C', memory: mib(2049), hasMap: false }
  const refused = domU(machine)
  assert.equal(refused.via, 'update_va_mapping')
  assert.equal(refused.machine.memoryModel, 'sparsemem-vmemmap')
  for (const memoryModel of ['sparsemem', 'flatmem'] as const) {
    const result = domU({ ...machine, memoryModel })
    assert.equal(result.outcome, 'booted', memoryModel)
    assert.equal(result.machine.memoryModel, memoryModel)
    assert.equal(
      forecastOutcome({ domain: 'domU', vEnd: 28 << 20, ...machine, memoryModel })?.outcome,
      'booted',
    )
  }
  // The first tail decides: with a longer initial mapping it has room for all tables.
  assert.equal(domU({ ...machine, vEnd: 64 << 20 }).outcome, 'booted')
  // NODE_DATA comes before all that.
  assert.equal(domU({ linux: 'C', memory: mib(512), memoryModel: 'flatmem' }).outcome, 'fault')
})

test('what does not fit together is said in one line', () => {
  const bad: [BootOptions, RegExp][] = [
    [{ hasMap: false }, /^--no-e820 is for a domU/],
    [{ maxMemory: 0x200000 }, /^--maxmem is for a domU/],
    [{ domain: 'domU', map: 'ec2-domu-7680m', hasMap: false }, /^--no-e820 and --map exclude/],
    [{ domain: 'domU', map: 'ec2-domu-7680m', maxMemory: 0x200000 }, /^--maxmem and --map exclude/],
    [{ domain: 'domU', hasMap: false, maxMemory: 0x80000 }, /^--no-e820 and --maxmem exclude/],
    [
      { domain: 'domU', memory: 0x8000, maxMemory: 0x7fff },
      /^the guest's memory of 32768 pages is more than the 32767/,
    ],
    [{ domain: 'domU', maxMemory: 0.5 }, /^maxMemory 0.5 is not a whole number/],
  ]
  for (const [options, message] of bad) {
    assert.throws(
      () => boot(options),
      (error: Error) => error instanceof BadInput && message.test(error.message),
      JSON.stringify(options),
    )
  }
  assert.throws(
    () => bootOptions({ config: 'slab' }),
    /^BadInput: --config 'slab' is no configuration of a model; there are sparsemem-vmemmap, sparsemem, flatmem$/,
  )
  assert.throws(() => bootOptions({ maxmem: '5000B' }), /--maxmem 5000B is not a whole/)
})
