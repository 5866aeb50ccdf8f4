import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/bits/random.ts'
import { TIERS } from '../../src/cpu/tier.ts'
import { stressProgram } from './stress/run-program.ts'
import { makeProgram } from './stress/wild-program.ts'

/** Random programs that change their own code; under CI more of them. */
const PROGRAMS = process.env.CI === 'true' ? 150 : 12
const FIRST = 20260301

for (const tier of TIERS) {
  test(`programs that change themselves run the same in slices of any size, whatever is kept of them (${tier})`, () => {
    for (let seed = FIRST; seed < FIRST + PROGRAMS; seed++) {
      const random = randomNumbers(seed)
      const core = { tier, threshold: 1 }
      assert.equal(stressProgram(makeProgram(random), random, core), null, `seed ${seed}`)
    }
  })
}
