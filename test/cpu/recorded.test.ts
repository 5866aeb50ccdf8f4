import assert from 'node:assert/strict'
import { test } from 'node:test'
import { howMany } from '../tools/sample.ts'
import { Host, hostUnfit } from './host.ts'
import { Judge } from './judging.ts'
import { recordedResults } from './recorded.ts'
import { createSubject } from './subject.ts'

const { cases, results } = recordedResults()

test('the core does what a real processor was recorded to do', () => {
  const judge = new Judge(() => createSubject())
  judge.judge(cases, results, 0)
  assert.equal(judge.report(), '')
  assert.equal(judge.cases, cases.length)
})

test('the core does the same when each case is compiled before it runs', () => {
  const judge = new Judge(() => createSubject({ tier: 'region' }))
  judge.judge(cases.slice(0, howMany({ all: cases.length, few: 2000 })), results, 0)
  assert.equal(judge.report(), '')
})

test('the processor here does what was recorded', { skip: hostUnfit() }, () => {
  const host = new Host()
  const again = host.run(cases)
  host.close()
  let next = 0
  const judge = new Judge(() => ({ run: () => again[next++] }))
  judge.judge(cases, results, 0)
  assert.equal(judge.report(), '')
})
