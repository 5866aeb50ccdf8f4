import { parseArgs } from 'node:util'
import { GROUP_NAMES, generateCases } from './cases/generate.ts'
import { Host } from './host.ts'
import { Judge } from './judging.ts'
import { createSubject } from './subject.ts'

/**
 * The core against this machine's processor: `npm run judge -- --cases 2000000 --seed 1`. `--first` starts at another case,
 * `--groups integer,x87` takes only some kinds, `--limit` shows more forms. Exit status 1 when anything differs.
 */
const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '2000000' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '0' },
    groups: { type: 'string', default: GROUP_NAMES.join(',') },
    limit: { type: 'string', default: '20' },
  },
})
const total = Number(values.cases)
const first = Number(values.first)
const groups = values.groups === GROUP_NAMES.join(',') ? GROUP_NAMES : values.groups.split(',')
/** Cases that are held at a time. */
const BATCH = 20_000

const host = new Host()
const judge = new Judge(createSubject)
const start = performance.now()
for (let done = 0; done < total; done += BATCH) {
  const cases = [...generateCases(Number(values.seed), first + done, Math.min(BATCH, total - done), groups)]
  judge.judge(cases, host.run(cases), first + done)
}
host.close()
const seconds = ((performance.now() - start) / 1000).toFixed(1)
console.log(judge.report(Number(values.limit)))
console.log(`${judge.cases} cases in ${judge.forms.size} forms, ${judge.differing} differ, ${seconds} s`)
process.exitCode = judge.differing === 0 ? 0 : 1
