import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BootOptions } from '../../src/run/boot/boot.ts'
import { ownPages } from '../../src/run/boot/boot-plan.ts'
import { forecastOutcome } from '../../src/run/boot/forecast.ts'
import { bootOutcome } from '../../src/run/boot/outcome.ts'
import { shippedMaps } from '../../src/run/maps/maps.ts'
import { howMany, sampled } from '../tools/sample.ts'

/** Every generation with a buffer, releases between them, and single commits. */
const KERNELS: readonly BootOptions[] = [
  ...['A', 'B0', 'B', 'B+seed', 'C0', 'C', 'D', 'D2', 'low', 'E', '2.6.39-rc4', '3.7'].map((linux) => ({
    linux,
  })),
  { linux: 'B', with: ['b9269dc7bfdf'] },
  { linux: 'D', without: ['279b706bf800'] },
]
/** 2 GiB: enough for two GiBs of tables above the first, which is special. */
const MOST_PAGES = 0x80000

function differs(options: BootOptions): string | null {
  const forecast = forecastOutcome(options)
  if (forecast === null) return null
  const { outcome, signature, pfn } = bootOutcome(options)
  const same = forecast.outcome === outcome && forecast.signature === signature && forecast.pfn === pfn
  const both = JSON.stringify([forecast, { outcome, signature, pfn }])
  return same ? '' : `${JSON.stringify(options)}: ${both}`
}

test('on every shipped map the boot comes out as forecast', () => {
  let count = 0
  const maps = sampled(shippedMaps(), 3)
  for (const [i, map] of maps.entries()) {
    // Each map with some of the kernels, so that all pairs of a kernel and a neighbourhood of maps occur.
    for (const kernel of KERNELS.filter((_, k) => (k + i) % 4 === 0)) {
      const vEnd = (32 + 4 * ((i * 7) % 30)) << 20
      const memory = Math.min(ownPages(map), MOST_PAGES + 13 * i)
      const answer = differs({ ...kernel, map: map.name, memory, vEnd })
      if (answer === null) continue
      assert.equal(answer, '')
      count++
    }
  }
  assert.ok(count > maps.length * 2.5, `only ${count} of the boots were forecast`)
})

test('whatever the sizes, command line and holes of a guest, the boot comes out as forecast', () => {
  const machine = fc.record({
    kernel: fc.constantFrom(...KERNELS),
    // Around multiples of 2 MiB, where single pages decide.
    memory: fc
      .tuple(fc.integer({ min: 40, max: 1100 }), fc.integer({ min: -3, max: 40 }))
      .map(([regions, pages]) => regions * 512 + pages),
    vEnd: fc.integer({ min: 6, max: 24 }).map((n) => n * (4 << 20)),
    hole: fc.option(
      fc.tuple(fc.integer({ min: 0x20000, max: 0x90000 }), fc.integer({ min: 1, max: 0x8000 })),
    ),
    append: fc.constantFrom('', 'acpi=off', 'mem=900M', 'memmap=4M$0x30000000', 'memmap=1234K$0x7000000'),
    dom0: fc.boolean(),
  })
  const numRuns = howMany({ all: 250, few: 80 })
  let count = 0
  fc.assert(
    fc.property(machine, ({ kernel, memory, vEnd, hole, append, dom0 }) => {
      const usable = (start: number, end: number) => ({
        start: start * 4096,
        end: end * 4096,
        type: 'usable' as const,
      })
      const end = memory + 0x10000
      const [from, length] = hole ?? [end, 0]
      const entries = [
        usable(0, Math.min(from, end)),
        ...(from + length < end ? [usable(from + length, end)] : []),
      ]
      const map = {
        name: 'made',
        kind: dom0 ? 'host' : 'guest',
        entries,
        partial: false,
        source: 'made',
      } as const
      const domain = dom0 ? ('dom0' as const) : ('domU' as const)
      const answer = differs({ ...kernel, map, domain, memory, vEnd, append })
      if (answer === null) return
      count++
      assert.equal(answer, '')
    }),
    { seed: 20110501, numRuns },
  )
  assert.ok(count > numRuns * 0.8, `only ${count} of ${numRuns} were forecast`)
})

test('it is silent where single entries decide', () => {
  const machine = { map: 'msi-h61m-p23-8g', memory: 0x60000, vEnd: 64 << 20 }
  assert.equal(forecastOutcome({ ...machine, linux: 'C0', append: 'memtest=4' }), null)
  assert.equal(forecastOutcome({ ...machine, linux: 'B', holes: '148' }), null)
  // The seed's own scenario swaps frames.
  assert.equal(forecastOutcome({}), null)
})
