import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Audit, auditMachine } from '../../../src/run/check/audit.ts'
import { agreeWith, asReleaseBuild } from '../../../src/run/script/agree.ts'
import { parseRecording } from '../../../src/run/script/script.ts'
import { sharedData } from '../../tools/shared-data.ts'

const folders = ['hand', 'hand-domu', 'fuzz', 'fuzz-domu'].flatMap((name) => sharedData('oracle', name) ?? [])
const skip =
  folders.length === 0 ? 'no recordings: set XENOLITH_SHARED to the folder that has data/oracle' : false

test('the machine does what real Xen did', { skip }, () => {
  let [compared, exempt] = [0, 0]
  for (const folder of folders) {
    const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
    for (const file of files.sort()) {
      const path = join(folder, file)
      // After every operation every count is what the tables make it.
      let audit: Audit | null = null
      const agreement = agreeWith(parseRecording(readFileSync(path, 'utf8'), path), (xen, line) => {
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
  }
  assert.ok(compared > 60_000, `${compared} operations`)
  assert.ok(exempt <= compared / 1000, `${exempt} of ${compared} are exempt`)
})

test('the release build does what the release build did', { skip }, () => {
  let [compared, exempt] = [0, 0]
  for (const folder of folders.filter((name) => name.includes('fuzz'))) {
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith('.jsonl')) continue
      const path = join(folder, file)
      const agreement = agreeWith(asReleaseBuild(parseRecording(readFileSync(path, 'utf8'), path)))
      const differences = agreement.differences.filter((difference) => difference.exempt === null)
      assert.deepEqual(differences, [], path)
      compared += agreement.compared
      exempt += agreement.differences.length
    }
  }
  assert.ok(compared > 60_000, `${compared} operations`)
  assert.ok(exempt <= compared / 1000, `${exempt} of ${compared} are exempt`)
})
