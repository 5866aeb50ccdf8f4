import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Audit, auditMachine } from '../../../src/run/check/audit.ts'
import { type Agreement, agreeWith, asReleaseBuild } from '../../../src/run/script/agree.ts'
import { parseRecording } from '../../../src/run/script/script.ts'
import { sharedData } from '../../tools/shared-data.ts'

/** Recordings of real Xen: folders of the shared data, the version, and how many operations there are at least. */
const RECORDED = [
  { folder: 'oracle', xen: '4.17', debug: 60_000, release: 60_000 },
  { folder: 'oracle-4.14', xen: '4.14', debug: 14_000, release: 10_000 },
  { folder: 'oracle-4.20', xen: '4.20', debug: 14_000, release: 10_000 },
]
const KINDS = ['hand', 'hand-domu', 'fuzz', 'fuzz-domu']

/** The recordings in folders, in order. */
function recordingsIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .map((name) => join(folder, name)),
  )
}

/** All of them agree, but for what no model can have, which is one in a thousand at most. */
function assertAgreement(
  paths: readonly string[],
  least: number,
  agreementOf: (path: string) => Agreement,
): void {
  let [compared, exempt] = [0, 0]
  for (const path of paths) {
    const agreement = agreementOf(path)
    assert.deepEqual(
      agreement.differences.filter((difference) => difference.exempt === null),
      [],
      path,
    )
    compared += agreement.compared
    exempt += agreement.differences.length
  }
  assert.ok(compared > least, `${compared} operations`)
  assert.ok(exempt <= compared / 1000, `${exempt} of ${compared} are exempt`)
}

for (const { folder, xen, debug, release } of RECORDED) {
  const folders = KINDS.flatMap((kind) => sharedData(folder, kind) ?? [])
  const skip =
    folders.length === 0 ? `no recordings: set XENOLITH_SHARED to the folder that has data/${folder}` : false

  test(`the machine does what real Xen ${xen} did`, { skip }, () => {
    assertAgreement(recordingsIn(folders), debug, (path) => {
      // After every operation every count is what the tables make it.
      let audit: Audit | null = null
      const agreement = agreeWith(parseRecording(readFileSync(path, 'utf8'), path), (machine, line) => {
        audit ??= new Audit(machine)
        if (!audit.isWell()) assert.fail(`${path}: ${line.op}: ${auditMachine(machine)}`)
      })
      assert.ok((audit as Audit | null)?.isWholeWell() !== false, path)
      return agreement
    })
  })

  test(`the release build of ${xen} does what the release build did`, { skip }, () => {
    const random = folders.filter((name) => name.includes('fuzz'))
    assertAgreement(recordingsIn(random), release, (path) =>
      agreeWith(asReleaseBuild(parseRecording(readFileSync(path, 'utf8'), path))),
    )
  })
}
