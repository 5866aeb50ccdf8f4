import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runRandomBytes } from '../../bench/cpu/random-bytes.ts'

test('random bytes neither break the core nor change memory that they may not write', () => {
  const first = runRandomBytes(7, 300_000)
  assert.ok(first.instructions >= 300_000 && first.exceptions > 1000)
  const again = runRandomBytes(7, 300_000)
  assert.deepEqual([again.instructions, again.exceptions], [first.instructions, first.exceptions])
})
