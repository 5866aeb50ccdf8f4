import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Audit, auditMachine } from '../../../src/run/check/audit.ts'
import { agreeWith, asReleaseBuild } from '../../../src/run/script/agree.ts'
import { parseRecording } from '../../../src/run/script/script.ts'
import { recordings } from '../../tools/recordings.ts'
import { sampled } from '../../tools/sample.ts'

/** Scripts by hand, one rule each, are all taken; of the random ones a part. */
const fuzz = sampled([...recordings('oracle/fuzz'), ...recordings('oracle/fuzz-domu')], 4)
const files = [...recordings('oracle/hand'), ...recordings('oracle/hand-domu'), ...fuzz]
/** Operations in as many files: fewer would mean that something has not been compared. */
const expected = fuzz.length * 300

test('the machine does what real Xen did', () => {
  let [compared, exempt] = [0, 0]
  for (const { path, text } of files) {
    // After every operation every count is what the tables make it.
    let audit: Audit | null = null
    const agreement = agreeWith(parseRecording(text, path), (xen, line) => {
      audit ??= new Audit(xen)
      if (!audit.isWell()) assert.fail(`${path}: ${line.op}: ${auditMachine(xen)}`)
    })
    assert.ok((audit as Audit | null)?.isWholeWell() !== false, path)
    compared += agreement.compared
    exempt += agreement.differences.filter((difference) => difference.exempt !== null).length
    assert.deepEqual(
      agreement.differences.filter((difference) => difference.exempt === null),
      [],
      path,
    )
  }
  assert.ok(compared > expected, `${compared} operations`)
  assert.ok(exempt <= compared / 500, `${exempt} of ${compared} are exempt`)
})

test('the release build does what the release build did', () => {
  let [compared, exempt] = [0, 0]
  for (const { path, text } of fuzz) {
    const agreement = agreeWith(asReleaseBuild(parseRecording(text, path)))
    const differences = agreement.differences.filter((difference) => difference.exempt === null)
    assert.deepEqual(differences, [], path)
    compared += agreement.compared
    exempt += agreement.differences.length
  }
  assert.ok(compared > expected, `${compared} operations`)
  assert.ok(exempt <= compared / 1000, `${exempt} of ${compared} are exempt`)
})
