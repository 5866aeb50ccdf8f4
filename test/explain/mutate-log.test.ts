import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realLogs, xenMessages } from '../tools/log-data.ts'
import { MUTATION_KINDS, mutateLog } from '../tools/mutate-log.ts'

const logs = realLogs()
const skip = logs === null ? 'no real logs: set XENOLITH_SHARED to the folder that has data/logs' : false

test('a mutation follows from its seed, and changes the log', { skip }, () => {
  const messages = xenMessages()
  for (const log of logs ?? []) {
    for (const kind of MUTATION_KINDS) {
      for (let seed = 1; seed <= 12; seed++) {
        const mutation = mutateLog(kind, log, seed, messages)
        assert.deepEqual(mutateLog(kind, log, seed, messages), mutation)
        if (kind === 'prefix' || mutation === null) continue
        assert.notEqual(
          mutation.text,
          log.text,
          `${log.file}, ${kind}, seed ${seed}: ${mutation.description}`,
        )
      }
    }
  }
})

test('a log in the words of another version has only messages of that version, at its lines', {
  skip,
}, () => {
  const messages = xenMessages()
  let lines = 0
  for (const log of logs ?? []) {
    for (let seed = 1; seed <= 40; seed++) {
      const mutation = mutateLog('version', log, seed, messages)
      if (mutation === null) continue
      const version = mutation.description.slice('as Xen '.length, -' has it'.length)
      for (const line of mutation.text.split('\n')) {
        const found = /([\w./-]+\.[chS]):(\d+):d\d+(?:v\d+)? (.*)$/.exec(line)
        if (found === null) continue
        lines++
        const [, file, number, printed] = found
        // An entry that somebody left out of the log.
        const body = printed.replace(/ \.\.\.$/, ' 8000000000000063')
        const stands = messages.some(
          (message) =>
            message.lines?.[version]?.some(
              ([path, first, last]) =>
                path.endsWith(file) && first <= Number(number) && Number(number) <= last,
            ) && new RegExp(`^(?:${message.regex})$`).test(body),
        )
        assert.ok(stands, `Xen ${version} has no ${line}`)
      }
    }
  }
  assert.ok(lines > 1000, `${lines} lines`)
})
