import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Audit, auditMachine } from '../../../src/run/check/audit.ts'
import { type Agreement, agreeWith, asReleaseBuild } from '../../../src/run/script/agree.ts'
import { parseRecording } from '../../../src/run/script/script.ts'
import { type RecordedFile, recordings } from '../../tools/recordings.ts'
import { sampled } from '../../tools/sample.ts'

/** Recordings of real Xen by version: the first ones were of 4.17. */
const RECORDED = [
  { folder: 'oracle', xen: '4.17' },
  { folder: 'oracle-4.14', xen: '4.14' },
  { folder: 'oracle-4.20', xen: '4.20' },
]

/** All of them agree, but for what no model can have. */
function assertAgreement(
  files: readonly RecordedFile[],
  least: number,
  exemptOf: number,
  agreementOf: (file: RecordedFile) => Agreement,
): void {
  let [compared, exempt] = [0, 0]
  for (const file of files) {
    const agreement = agreementOf(file)
    assert.deepEqual(
      agreement.differences.filter((difference) => difference.exempt === null),
      [],
      file.path,
    )
    compared += agreement.compared
    exempt += agreement.differences.length
  }
  // Fewer would mean that something has not been compared.
  assert.ok(compared > least, `${compared} operations`)
  assert.ok(exempt <= compared / exemptOf, `${exempt} of ${compared} are exempt`)
}

for (const { folder, xen } of RECORDED) {
  /** Scripts by hand, one rule each, are all taken; of the random ones a part. */
  const fuzz = sampled([...recordings(`${folder}/fuzz`), ...recordings(`${folder}/fuzz-domu`)], 10)
  const hand = [...recordings(`${folder}/hand`), ...recordings(`${folder}/hand-domu`)]
  const expected = fuzz.length * 300

  test(`the machine does what real Xen ${xen} did`, () => {
    assertAgreement([...hand, ...fuzz], expected, 500, ({ path, text }) => {
      // After every operation every count is what the tables make it.
      let audit: Audit | null = null
      const agreement = agreeWith(parseRecording(text, path), (machine, line) => {
        audit ??= new Audit(machine)
        if (!audit.isWell()) assert.fail(`${path}: ${line.op}: ${auditMachine(machine)}`)
      })
      assert.ok((audit as Audit | null)?.isWholeWell() !== false, path)
      return agreement
    })
  })

  test(`the release build of ${xen} does what the release build did`, () => {
    assertAgreement(fuzz, expected, 1000, ({ path, text }) =>
      agreeWith(asReleaseBuild(parseRecording(text, path))),
    )
  })
}
