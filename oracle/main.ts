import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { BadInput } from '../src/bits/bad-input.ts'
import type { Recording } from '../src/run/script/script.ts'
import { RANDOM_PROFILES, type RandomProfile, randomScript } from '../src/script/random-script.ts'
import { UNEXPLAINED } from './hypercalls/explained.ts'
import { compareHypercalls } from './hypercalls/main.ts'
import { reportLines } from './hypercalls/report.ts'
import { checkScript, judge, type Verdict } from './judge.ts'
import { type OracleOptions, readOptions, USAGE } from './options.ts'
import { shrinkLines } from './shrink.ts'
import { findTools, type Tools } from './tools.ts'

/** `npm run oracle`: scripts on real Xen and on the machine. options.ts has its options. */

/** A script to run: what it is called, in which domain, and its text when its turn comes. */
type Job = { readonly name: string; readonly domain: 'dom0' | 'domU'; readonly text: () => string }

/** Another speed of the emulated CPU, at which timers fire elsewhere. */
const OTHER_SHIFT = 4
/** Shrinking ends after that many boots, or that much time. */
const SHRINK_BOOTS = 80
const SHRINK_MS = 90_000

const debug = process.argv.includes('--debug')
try {
  const options = readOptions(process.argv.slice(2))
  if (options.help) console.log(USAGE)
  else if (options.hypercalls) process.exitCode = await showHypercalls(options)
  else process.exitCode = await runAll(options)
} catch (error) {
  if (debug) throw error
  const message = error instanceof Error ? error.message : String(error)
  console.error(`oracle: ${error instanceof BadInput ? message : `${message} (--debug shows where)`}`)
  process.exitCode = 2
}

/** How a kernel's hypercalls differ. 1 when there is a difference that docs/agreement.md does not explain. */
async function showHypercalls({ xen, all }: OracleOptions): Promise<number> {
  const comparison = await compareHypercalls(xen, (line) => console.error(line))
  for (const line of reportLines(comparison, all)) console.log(line)
  return comparison.kinds.has(UNEXPLAINED) ? 1 : 0
}

async function runAll(options: OracleOptions): Promise<number> {
  const jobs = jobsOf(options)
  // What cannot be read is said before anything boots.
  for (const file of options.files) checkScript(readScript(file), file)
  const tools = findTools(options.xen)
  const started = performance.now()
  let [scripts, compared, different, exempt, differing, unrepeated] = [0, 0, 0, 0, 0, 0]
  for (const job of jobs) {
    const verdict = await judgeBest(tools, job)
    scripts++
    compared += verdict.agreement.compared
    different += verdict.differences.length
    exempt += exemptOf(verdict)
    if (options.record !== null) record(options.record, job, verdict.recording)
    show(job, verdict, options)
    if (verdict.differences.length === 0) continue
    const again = await judge(tools, job.text(), { domain: job.domain, shift: OTHER_SHIFT })
    if (again.differences.length === 0) {
      unrepeated++
      console.error(
        `${job.name} in a ${job.domain}: the difference does not repeat when timers fire elsewhere`,
      )
      continue
    }
    differing++
    await explain(tools, job, verdict, options, differing === 1 ? options.save : null)
  }
  const seconds = Math.round((performance.now() - started) / 1000)
  const total = `Xen ${options.xen}, ${seconds} s: ${scripts} scripts, ${compared} operations compared, ${different} differ, ${exempt} exempt`
  console.error(
    `${total}; ${differing} scripts differ${unrepeated > 0 ? `, ${unrepeated} more did once and not again` : ''}`,
  )
  return differing === 0 ? 0 : 1
}

/**
 * A script's verdict. Nearly all that is exempt comes of a timer that fired in the middle of something long, and may keep the
 * rest of the script from being compared: then it fires elsewhere in a second run, and the run with less of it counts.
 */
async function judgeBest(tools: Tools, { text, domain }: Job): Promise<Verdict> {
  const verdict = await judge(tools, text(), { domain })
  if (verdict.differences.length > 0 || exemptOf(verdict) === 0) return verdict
  const other = await judge(tools, text(), { domain, shift: OTHER_SHIFT })
  return exemptOf(other) < exemptOf(verdict) ? other : verdict
}

/** Differences of the kinds that agree-exempt.ts tells of. */
function exemptOf({ agreement }: Verdict): number {
  return agreement.differences.filter((difference) => difference.exempt !== null).length
}

function* jobsOf(options: OracleOptions): Generator<Job> {
  for (const file of options.files) {
    yield { name: file, domain: options.domain, text: () => readScript(file) }
  }
  for (const seed of options.seeds) {
    for (const profile of options.profiles) yield randomJob(seed, profile, options.domain, options.ops)
  }
  const first = options.seed ?? Math.floor(Date.now() / 1000)
  if (options.fresh > 0)
    console.error(
      `fresh seeds from ${first} on: --xen ${options.xen} --fresh ${options.fresh} --seed ${first} repeats them`,
    )
  for (let i = 0; i * options.ops < options.fresh; i++) {
    const profile = RANDOM_PROFILES[Math.floor(i / 2) % RANDOM_PROFILES.length]
    yield randomJob(first + i, profile, i % 2 === 0 ? 'dom0' : 'domU', options.ops)
  }
}

function randomJob(seed: number, profile: RandomProfile, domain: 'dom0' | 'domU', ops: number): Job {
  return { name: `${profile}-${seed}`, domain, text: () => randomScript(seed, { profile, ops }) }
}

function readScript(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new BadInput(`cannot read ${file}: ${(error as Error).message}`)
  }
}

function transcript(recording: Recording): string {
  return [recording.header, ...recording.lines].map((line) => `${JSON.stringify(line)}\n`).join('')
}

function record(folder: string, { name, domain }: Job, recording: Recording): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, `${basename(name).replace(/\.txt$/, '')}.${domain}.jsonl`),
    transcript(recording),
  )
}

function show(job: Job, verdict: Verdict, options: OracleOptions): void {
  if (options.raw) for (const line of verdict.booted.lines) console.log(line)
  if (options.json) process.stdout.write(transcript(verdict.recording))
  const { compared } = verdict.agreement
  const exempt = exemptOf(verdict)
  const different = verdict.differences.length
  const seconds = (verdict.booted.totalMs / 1000).toFixed(1)
  console.error(
    `${job.name} in a ${job.domain}: ${compared} operations, ${different} differ, ${exempt} exempt, Xen's end: ${verdict.booted.end} (${seconds} s)`,
  )
}

/** Print a script that differs, as small as it can be made, and what differs in it. */
async function explain(
  tools: Tools,
  job: Job,
  verdict: Verdict,
  options: OracleOptions,
  save: string | null,
): Promise<void> {
  const upTo = verdict.differences[0].n
  const lines = verdict.recording.lines.slice(0, upTo).map((line) => line.op)
  let last = verdict
  const started = performance.now()
  const shows = async (some: readonly string[]): Promise<boolean> => {
    if (performance.now() - started > SHRINK_MS) return false
    const text = some.join('\n')
    try {
      checkScript(text, job.name)
    } catch {
      return false
    }
    const smaller = await judge(tools, text, { domain: job.domain })
    if (smaller.differences.length === 0) return false
    last = smaller
    return true
  }
  const small = options.shrink ? await shrinkLines(lines, shows, SHRINK_BOOTS) : lines
  console.log(`# ${job.name} in a ${job.domain}: this differs`)
  for (const line of small) console.log(line)
  for (const { op, ours, xens } of last.differences) console.log(`# ${op} | ours: ${ours} | Xen: ${xens}`)
  if (save !== null) writeFileSync(save, `${small.join('\n')}\n`)
}
