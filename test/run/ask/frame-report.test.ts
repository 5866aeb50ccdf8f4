import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE } from '../../../src/bits/address.ts'
import { reportFrame } from '../../../src/run/ask/frame-report.ts'
import { who } from '../../../src/run/ask/who.ts'
import { MMUEXT } from '../../../src/xen/abi.ts'
import { PvMachine } from '../../tools/pv-machine.ts'

const [RO, RW] = [0x65, 0x67]
const SLOTS = 512

test('a page that is mapped any number of times has a thousand holders listed, and the others counted', () => {
  const m = new PvMachine()
  const first = m.mfnOf(m.data)
  const target = first + 8
  for (const n of [1, 2, 3]) {
    const page = m.data + n * PAGE
    for (let slot = 0; slot < SLOTS; slot++) m.vcpu.store64(page + slot * 8, target * PAGE + RW, 0)
    assert.equal(m.map(0x200 + n, RO), 0)
    assert.equal(m.mmuext(MMUEXT.PIN_L1_TABLE, first + n), 0)
  }
  const report = reportFrame(m.xen, target)
  assert.ok(report !== null)
  const entries = report.holders.filter(({ kind }) => kind === 'entry')
  assert.equal(entries.length, 1000)
  assert.equal(report.more, 3 * SLOTS + 1 - 1000)
  assert.equal(report.holders.length + report.more, report.refCount)
})

test('a frame that changes its type without end has the last thousand changes told', () => {
  const changes = Array.from({ length: 1100 }, () => ['pin1 A', 'unpin A', 'clear A']).flat()
  const text = ['page A', 'ro A', ...changes].join('\n')
  const { history, earlier } = who({ script: { text, domain: 'dom0' } }, 'pfn:200')
  assert.equal(history.length, 1000)
  assert.ok(earlier >= 1200, `${earlier}`)
  assert.equal(history.at(-1)?.type, 'writable')
})
