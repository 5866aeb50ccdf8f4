import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostileMachine } from '../../../src/run/check/hostile.ts'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { howMany } from '../../tools/sample.ts'

/** Hypercalls of the test; the bench makes a hundred times as many. */
const CALLS = howMany({ all: 100_000, few: 25_000 })

for (const [xen, domain] of [
  ['4.17', 'dom0'],
  ['4.17', 'domU'],
  ['seed', 'dom0'],
] as const) {
  test(`${CALLS} random hypercalls in a ${domain} under ${xen} end in results or in the domain's end`, () => {
    const machine = hostileMachine(xen, domain, 20260101)
    for (let i = 0; i < CALLS; i++) {
      machine.call()
      if (i % 5000 === 0) assert.deepEqual(recountMachine(machine.xen), [], `after call ${i}`)
    }
    assert.deepEqual(recountMachine(machine.xen), [])
    assert.ok(machine.calls.size > 20, `${machine.calls.size} different hypercalls returned something`)
  })
}
