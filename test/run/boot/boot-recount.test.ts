import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BootOptions } from '../../../src/run/boot/boot.ts'
import { planBoot } from '../../../src/run/boot/boot-plan.ts'
import { runBoot } from '../../../src/run/boot/boot-run.ts'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { sampled } from '../../tools/sample.ts'

/** After a boot, whatever its end, every count that Xen keeps is what the tables themselves say. */
const boots: Record<string, BootOptions> = {
  'the seed, refused': {},
  'the seed repaired': { linux: 'C' },
  'tables low': { linux: 'A' },
  'tables one by one, and memory repopulated': { linux: 'E', map: 'toshiba-tosqci-amd-8g' },
  'a store refused': { linux: 'B0', map: 'seedlike-bacf7', xen: '4.17' },
  'a fault': { linux: 'C0', map: 'seedlike-bacf7', xen: '4.17' },
  'a domU': { linux: 'D', domain: 'domU', memory: 0x48000 },
}

for (const [name, options] of sampled(Object.entries(boots), 4)) {
  test(`counts after a boot: ${name}`, () => {
    const { xen } = runBoot(planBoot(options))
    assert.deepEqual(recountMachine(xen), [])
  })
}
