import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explained, firstClass } from '../tools/explain-tools.ts'
import { realLogs, xenMessages } from '../tools/log-data.ts'
import { MUTATION_KINDS, mutateLog } from '../tools/mutate-log.ts'
import { compatibleReleases } from '../tools/xen-releases.ts'

/** Mutations of each kind of each log. */
const MUTATIONS = 20

const logs = realLogs()
const skip = logs === null ? 'no real logs: set XENOLITH_SHARED to the folder that has data/logs' : false

for (const log of logs ?? []) {
  test(`the first cause of ${log.file} is ${log.class}`, () => {
    const report = explained(log.text, log.file)
    assert.equal(firstClass(report), log.class, report.causes.map((cause) => cause.title).join('; '))
  })

  if (log.decoded_type_words !== undefined) {
    test(`the type words of ${log.file} are read as the people of the time read them`, () => {
      const words = explained(log.text, log.file).decoded.typeWords
      for (const wanted of log.decoded_type_words ?? []) {
        const { type, count, ...flags } = wanted.saw_decoded
        const saw = words.find((word) => bare(word.word) === wanted.saw)
        assert.ok(saw !== undefined, `${wanted.saw} is in the report`)
        assert.equal(saw.type, type, wanted.saw)
        assert.equal(saw.count, count, wanted.saw)
        for (const [flag, set] of Object.entries(flags)) {
          assert.equal(saw.flags.includes(flag), set, `${flag} of ${wanted.saw}`)
        }
        const exp = words.find((word) => bare(word.word) === wanted.exp)
        assert.equal(exp?.type, wanted.exp_decoded, wanted.exp)
      }
    })
  }

  if (log.xen_fingerprint !== null) {
    const fingerprint = log.xen_fingerprint
    test(`the Xen of ${log.file} is told from its lines`, () => {
      const { xen } = explained(log.text, log.file)
      assert.ok(xen !== null && xen !== undefined, 'the report names a Xen')
      assert.ok(
        compatibleReleases(xen, fingerprint),
        `${xen.version} (${xen.from} to ${xen.to}), while the source says ${fingerprint}`,
      )
    })
  }
}

for (const kind of MUTATION_KINDS) {
  test(`the first cause survives mutations: ${kind}`, { skip }, () => {
    const messages = xenMessages()
    const failures: string[] = []
    let mutated = 0
    for (const log of logs ?? []) {
      for (let seed = 1; seed <= MUTATIONS; seed++) {
        const mutation = mutateLog(kind, log, seed, messages)
        if (mutation === null) continue
        mutated++
        const got = firstClass(explained(mutation.text, log.file))
        if (got === log.class) continue
        failures.push(
          `${log.file}, ${kind}, seed ${seed} (${mutation.description}): ${got}, not ${log.class}`,
        )
      }
    }
    assert.ok(mutated >= 10 * MUTATIONS, `${mutated} mutations`)
    assert.equal(failures.length, 0, `${failures.length} of ${mutated}:\n${failures.join('\n')}\n`)
  })
}

function bare(word: string): string {
  return word.replace(/^0x/, '').padStart(16, '0')
}
