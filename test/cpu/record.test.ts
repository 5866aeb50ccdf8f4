import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type CpuCase, initialState, NO_TARGET, NO_VECTOR, SPACE } from './case.ts'
import { Host, hostUnfit } from './host.ts'
import { HEADER, headerText } from './native/header.ts'
import { RECORD, RECORD_HEAD, readResult, recordBytes, writeCase } from './record.ts'

const unfit = hostUnfit()

/** Code with rax 5, rbx 7, the stack in the middle of the data, and ST(0) and xmm1 as a process starts with. */
function codeCase(code: readonly number[], usesFpu = false): CpuCase {
  const state = initialState(64)
  state.gpr.set([5, 0], 0)
  state.gpr.set([7, 0], 6)
  state.gpr.set([SPACE.data + 0x1000, 0], 8)
  const loose = { rflags: 0, gpr: 0, fsw: 0, data: [] }
  return {
    form: 'test',
    code: Uint8Array.from(code),
    codeAt: 0x100,
    target: NO_TARGET,
    dataAt: 0xfe0,
    state,
    usesFpu,
    loose,
  }
}

test('the record has no gaps, and the harness reads the same one', () => {
  let at = 0
  for (const field of RECORD) {
    assert.equal(field.at, at, field.name)
    at += field.bytes
  }
  assert.equal(at, RECORD_HEAD)
  assert.equal(readFileSync(HEADER, 'utf8'), headerText())
})

test('a case survives the way through a record', () => {
  const one = codeCase([0x90], true)
  one.state.xmm[63] = 0xfedcba98
  one.state.st[127] = 0x12
  one.state.data[63] = 0x34
  one.state.fsw = 0x3800
  const view = new DataView(new ArrayBuffer(recordBytes(one)))
  assert.equal(writeCase(one, 1, view, 0), view.byteLength)
  const { state, vector } = readResult(view, 0)
  assert.deepEqual(state, one.state)
  assert.equal(vector, NO_VECTOR)
})

test('the processor runs cases, and says what it refused and where', { skip: unfit }, () => {
  const host = new Host(true)
  const run = (code: readonly number[], usesFpu = false) => {
    const [{ vector, errorCode, addressLow, ripLow, state }] = host.run([codeCase(code, usesFpu)])
    return { vector, errorCode, addressLow, ripLow, rax: state.gpr[0], mxcsr: state.mxcsr }
  }
  const calm = { vector: NO_VECTOR, errorCode: 0, addressLow: 0, ripLow: 0x1000_0103, rax: 5, mxcsr: 0x1f80 }
  const at = { ...calm, ripLow: 0x1000_0100 }
  try {
    // add rax, rbx; then ud2; a load from address 5; int3; int 0x20; hlt.
    assert.deepEqual(run([0x48, 0x01, 0xd8]), { ...calm, rax: 12 })
    assert.deepEqual(run([0x0f, 0x0b]), { ...at, vector: 6 })
    assert.deepEqual(run([0x8b, 0x00]), { ...at, vector: 14, errorCode: 4, addressLow: 5 })
    assert.deepEqual(run([0xcc]), { ...at, vector: 3, ripLow: 0x1000_0101 })
    assert.deepEqual(run([0xcd, 0x20]), { ...at, vector: 13, errorCode: 0x102 })
    assert.deepEqual(run([0xf4]), { ...at, vector: 13 })
    // sqrtsd xmm0, xmm1 of zero; divsd xmm0, xmm1 of zeros leaves "invalid" in mxcsr.
    assert.deepEqual(run([0xf2, 0x0f, 0x51, 0xc1], true), { ...calm, ripLow: 0x1000_0104 })
    assert.deepEqual(run([0xf2, 0x0f, 0x5e, 0xc1], true), { ...calm, ripLow: 0x1000_0104, mxcsr: 0x1f81 })
  } finally {
    host.close()
  }
})

test('the harness notices a case that writes beside its data', { skip: unfit }, () => {
  const host = new Host()
  const one = codeCase([0x50])
  one.state.gpr[8] = SPACE.data + 0x100
  try {
    assert.throws(() => host.run([one]), /memory beside a case was written/)
  } finally {
    host.close()
  }
})
