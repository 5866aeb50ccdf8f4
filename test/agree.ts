import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { agreeWith } from '../src/run/agree.ts'
import { parseRecording } from '../src/run/script.ts'

/**
 * `npm run agree -- DIR…`: runs every recording of real Xen in the folders on the machine and compares. One line a
 * difference; `--verbs` adds a table by verb, `--exempt` the exempt ones too. The last line counts. Exit 0 only when
 * nothing but exempt differences is left.
 */
const words = process.argv.slice(2)
const flags = new Set(words.filter((word) => word.startsWith('--')))
const verbs = new Map<string, { compared: number; agree: number; exempt: number }>()
const rules = new Map<string, number>()
let [compared, exempt, different] = [0, 0, 0]

for (const folder of words.filter((word) => !word.startsWith('--'))) {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.jsonl')) continue
    const path = join(folder, file)
    const agreement = agreeWith(parseRecording(readFileSync(path, 'utf8'), path))
    compared += agreement.compared
    for (const [verb, count] of agreement.byVerb) {
      const sum = verbs.get(verb) ?? { compared: 0, agree: 0, exempt: 0 }
      for (const key of ['compared', 'agree', 'exempt'] as const) sum[key] += count[key]
      verbs.set(verb, sum)
    }
    for (const difference of agreement.differences) {
      if (difference.exempt !== null) {
        exempt++
        rules.set(difference.exempt, (rules.get(difference.exempt) ?? 0) + 1)
        if (!flags.has('--exempt')) continue
      } else different++
      const why = difference.exempt === null ? '' : ` (exempt: ${difference.exempt})`
      console.log(
        `${path}:${difference.n}: ${difference.op}${why}\n  ours: ${difference.ours}\n  Xen:  ${difference.xens}`,
      )
    }
  }
}

if (flags.has('--verbs')) {
  for (const [verb, count] of [...verbs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${verb} ${count.compared} ${count.agree} ${count.exempt}`)
  }
}
for (const [rule, count] of rules) console.log(`exempt by "${rule}": ${count}`)
console.log(`${compared} operations compared, ${compared - exempt - different} agree, ${exempt} exempt`)
process.exitCode = different === 0 ? 0 : 1
