import assert from 'node:assert/strict'
import { test } from 'node:test'
import { howMany } from '../tools/sample.ts'
import { KINDS, type Kind, lockStep, MODES } from './stress/lock-step.ts'

/** Programs of each kind in each mode; `npm run lockstep` takes any number of others. */
const PROGRAMS = howMany({ all: 60, few: 3 })
const FIRST = 20260701

for (const mode of MODES) {
  test(`both tiers in lock step: ${mode.name}`, () => {
    for (const kind of Object.keys(KINDS) as Kind[]) {
      for (let seed = FIRST; seed < FIRST + PROGRAMS; seed++) {
        const result = lockStep(kind, seed, mode)
        if (typeof result === 'string') assert.fail(`${kind} program ${seed}, ${mode.name}: ${result}`)
        assert.ok(result.steps >= 800)
      }
    }
  })
}
