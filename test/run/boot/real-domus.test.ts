import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boot } from '../../../src/run/boot/boot.ts'
import { bootOptions } from '../../../src/run/boot/boot-options.ts'
import { forecastOutcome } from '../../../src/run/boot/forecast.ts'
import { recorded } from '../../tools/recordings.ts'

/** What the console of a real kernel of 2011 as a domU says. */
type Raw = {
  name: string
  linux: string
  memory: string
  kernel_size: string
  initrd_size: number
  outcome: string
  refused: { pfn: string; saw: string; exp: string } | null
  lines: string[]
}

const { boots } = JSON.parse(recorded('real-boots/domu-2011.json')) as { boots: Raw[] }
const TOLD = /direct mapping tables|setting RW|NODE_DATA \[/

for (const real of boots) {
  test(`a real domU of 2011: ${real.name}`, () => {
    const options = bootOptions({
      linux: real.linux,
      xen: '4.17',
      domu: true,
      // What gave these guests their memory gave them no map.
      noE820: true,
      memory: real.memory,
      kernelSize: real.kernel_size,
      initrdSize: String(real.initrd_size),
    })
    const result = boot(options)
    assert.equal(result.outcome, real.outcome)
    const { pfn, saw, exp } = result
    if (real.refused !== null) assert.deepEqual({ pfn, saw, exp }, real.refused)
    assert.deepEqual(
      result.console.filter((line) => TOLD.test(line)),
      real.lines.filter((line) => TOLD.test(line)),
    )
    const forecast = forecastOutcome(options)
    assert.equal(forecast?.outcome, result.outcome)
    assert.equal(forecast?.pfn ?? null, result.pfn)
  })
}
