import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE } from '../../src/bits/address.ts'
import { EINVAL } from '../../src/bits/errno.ts'
import { TYPE_COUNT } from '../../src/machine/frames.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { HYPERCALL, MMUEXT } from '../../src/xen/abi.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const RO = 0x65
const LINEAR = 0x25
const SLOTS = 512

test('a table may be used by others of its level 32768 times, and no more', () => {
  const m = new PvMachine()
  const page = (n: number): number => m.data + n * PAGE
  const first = m.mfnOf(m.data)
  // The test's pages are neighbours, in memory as in addresses.
  const mfn = (n: number): number => first + n
  const pin = (n: number): number => {
    assert.equal(m.map(0x200 + n, RO), 0)
    return m.mmuext(MMUEXT.PIN_L2_TABLE, mfn(n))
  }
  assert.equal(m.mfnOf(page(70)), mfn(70))
  m.vcpu.clearPage(page(1))
  assert.equal(pin(1), 0)
  const fill = (n: number, count: number): void => {
    m.vcpu.clearPage(page(n))
    for (let slot = 0; slot < count; slot++) m.vcpu.store64(page(n) + slot * 8, mfn(1) * PAGE + LINEAR, 0)
  }
  for (let n = 2; n < 66; n++) {
    fill(n, SLOTS)
    assert.equal(pin(n), 0, `${n}`)
  }
  fill(66, 1)
  assert.equal(pin(66), EINVAL)
  assert.deepEqual(recountMachine(m.xen), [])
})

test('a table whose type count is full cannot be locked, so none of its entries changes', () => {
  const m = new PvMachine()
  const first = m.mfnOf(m.data)
  const page = m.data + PAGE
  m.vcpu.clearPage(page)
  assert.equal(m.map(0x201, RO), 0)
  assert.equal(m.mmuext(MMUEXT.PIN_L1_TABLE, first + 1), 0)
  const update = (): number => {
    m.setSlots(0x200, [(first + 1) * PAGE + 8, (first + 2) * PAGE + RO])
    return m.call(HYPERCALL.mmu_update, m.data, 1, 0, 0x7ff0)
  }
  const record = m.xen.memory.record(first + 1)
  const word = m.xen.memory.u32[record]
  const full = (word | TYPE_COUNT) >>> 0
  m.xen.memory.u32[record] = full
  assert.equal(update(), EINVAL)
  assert.equal(m.xen.memory.u32[record], full)
  m.xen.memory.u32[record] = full - 1
  assert.equal(update(), 0)
  assert.equal(m.xen.memory.u32[record], full - 1)
  m.xen.memory.u32[record] = word
  assert.deepEqual(recountMachine(m.xen), [])
})
