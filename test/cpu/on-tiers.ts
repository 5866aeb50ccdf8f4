import { test } from 'node:test'
import type { CpuOptions } from '../../src/cpu/cpu.ts'
import { TIERS } from '../../src/cpu/tier.ts'
import { SmallMachine } from './small-machine.ts'

/** Makes a machine of the tier that a test is about. */
export type MakeMachine = (options?: CpuOptions, taken?: number) => SmallMachine

/** A test on each tier: on `region`, whatever is run is compiled first, from where the run begins. */
export function onTiers(name: string, body: (machine: MakeMachine) => void): void {
  for (const tier of TIERS) {
    const make: MakeMachine = (options, taken) => {
      const machine = new SmallMachine({ tier, threshold: 1, ...options }, taken)
      machine.compiles = tier === 'region'
      return machine
    }
    test(`${name} (${tier})`, () => body(make))
  }
}
