import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prepareNative } from '../../bench/boot/native.ts'

for (const linux of ['A', 'B', 'D']) {
  test(`the C program that boots are measured beside comes to the same machine: generation ${linux}`, async (t) => {
    const native = await prepareNative({ linux, map: 'msi-h61m-p23-8g', memory: 0x2_0000 })
    if (native === null) return t.skip('there is no gcc')
    try {
      // It throws where a count, a record or an entry differs.
      assert.equal(native.run(0, 2).length, 2)
    } finally {
      native.remove()
    }
  })
}
