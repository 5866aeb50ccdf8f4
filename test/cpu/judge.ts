import { parseArgs } from 'node:util'
import { nearest } from '../../src/bits/bad-input.ts'
import { TIERS, type Tier } from '../../src/cpu/tier.ts'
import { GROUP_NAMES, generateCases } from './cases/generate.ts'
import { Host, hostUnfit } from './host.ts'
import { Judge } from './judging.ts'
import { createSubject } from './subject.ts'

/**
 * The core against this machine's processor: `npm run judge` runs two million cases. `--cases` says how many, `--seed` and `--first`
 * which, `--groups integer,x87` takes only some kinds, `--tier region` compiles each before it runs, `--limit` shows more forms. What differs is run again; exit status 1 when
 * anything differs twice.
 */
type Settings = {
  cases: number
  seed: number
  first: number
  limit: number
  groups: readonly string[]
  tier: Tier
}

/** Cases that are held at a time. */
const BATCH = 20_000
const BAD_INPUT = 2

function settings(): Settings | string {
  const text = (fallback: number) => ({ type: 'string', default: String(fallback) }) as const
  const options = {
    cases: text(2_000_000),
    seed: text(1),
    first: text(0),
    limit: text(20),
    groups: { type: 'string' },
    tier: { type: 'string', default: 'interpreter' },
  } as const
  let values: Record<string, string | undefined>
  try {
    ;({ values } = parseArgs({ options }))
  } catch (error) {
    return (error as Error).message
  }
  const numbers = { cases: 0, seed: 0, first: 0, limit: 0 }
  for (const name of ['cases', 'seed', 'first', 'limit'] as const) {
    const value = values[name] as string
    if (!/^\d{1,9}$/.test(value)) return `--${name} takes a number below 1000000000, not "${value}"`
    numbers[name] = Number(value)
  }
  const tier = TIERS.find((name) => name === values.tier)
  if (tier === undefined) return `no tier "${values.tier}": there are ${TIERS.join(', ')}`
  const groups = values.groups?.split(',') ?? GROUP_NAMES
  const wrong = groups.find((name) => !GROUP_NAMES.includes(name))
  if (wrong === undefined) return { ...numbers, groups, tier }
  const near = nearest(wrong, GROUP_NAMES)
  return `no group "${wrong}": ${near === undefined ? `there are ${GROUP_NAMES.join(', ')}` : `did you mean ${near}?`}`
}

function run({ cases: total, seed, first, limit, groups, tier }: Settings): number {
  const host = new Host()
  const judge = new Judge(() => createSubject({ tier }))
  const start = performance.now()
  try {
    for (let done = 0; done < total; done += BATCH) {
      const cases = [...generateCases(seed, first + done, Math.min(BATCH, total - done), groups)]
      judge.judge(cases, host.run(cases), first + done, (one) => host.run([one])[0])
      if ((done / BATCH) % 25 === 24)
        console.error(`judge: ${done + cases.length} cases, ${judge.differing} differ`)
    }
  } finally {
    host.close()
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (judge.differing > 0) console.log(judge.report(limit))
  const once = judge.unrepeated > 0 ? ` (${judge.unrepeated} more did once and not again)` : ''
  console.log(
    `${judge.cases} cases in ${judge.forms.size} forms, ${judge.differing} differ${once}, ${seconds} s`,
  )
  return judge.differing === 0 ? 0 : 1
}

const wanted = settings()
const unfit = hostUnfit()
if (typeof wanted === 'string') {
  console.error(`judge: ${wanted}`)
  process.exitCode = BAD_INPUT
} else if (unfit !== false) {
  console.error(`judge: ${unfit}`)
  process.exitCode = BAD_INPUT
} else {
  process.exitCode = run(wanted)
}
