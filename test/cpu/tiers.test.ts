import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/bits/random.ts'
import { howMany } from '../tools/sample.ts'
import { KINDS, type Kind, lockStep, MODES, sliceDifference } from './stress/lock-step.ts'
import { makeOrdinaryProgram } from './stress/ordinary-program.ts'
import { pathOf } from './stress/path.ts'
import { type Outcome, outcomeOf, ProgramRun } from './stress/run-program.ts'

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

test('the first difference is told, and the way to it', () => {
  const program = makeOrdinaryProgram(randomNumbers(2))
  const run = new ProgramRun(program, {})
  run.slice(20)
  const right = outcomeOf(run)
  const other = (change: Partial<Outcome>): string =>
    sliceDifference(right, { ...right, ...change }) ?? 'none'
  const register = (n: number): string =>
    other({ registers: right.registers.with(n, right.registers[n] ^ 1) })
  const byte = (at: number, bit: number): string =>
    other({ memory: right.memory.with(at, right.memory[at] ^ bit) })
  assert.equal(other({}), 'none')
  assert.match(register(7), /^rbx \(high half\) is 1 instead of 0$/)
  assert.match(register(32 + 64 + 2), /^rflags is /)
  assert.match(byte(4096 * 5 + 3, 1), /^byte 3 of data 0 is /)
  assert.equal(other({ instructions: 99 }), `99 instructions instead of ${right.instructions}`)
  assert.equal(other({ exits: [...right.exits, '1 0 hlt'] }), '"1 0 hlt" is one exit too many')
  // Whether an entry of the table has been used is nobody's business, what it maps is.
  assert.equal(byte(8 * 8, 0x20), 'none')
  assert.match(byte(8 * 8, 0x40), /^byte 40 of the page table/)
  const path = pathOf(program, {}, [10], 10)
  assert.equal(path.length, 10)
  assert.match(path[0], /^ {2}1000[0-9a-f]{4} {2}[0-9a-f]+ +[a-z]/)
})
