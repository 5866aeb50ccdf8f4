import { closeSync, openSync, writeSync } from 'node:fs'
import { Random } from '../test/tools/random.ts'
import { judge, type Verdict } from './judge.ts'
import { mibOf, type Target, WORN } from './target.ts'

/**
 * The process that runs inputs. It may hang, die or eat the memory: whoever started it watches over it, and reads in a file
 * which case it is at.
 */

/** What it is asked: cases by their numbers for so many milliseconds, the input of a case, or an input that is given. */
export type Request =
  | {
      readonly ask: 'cases'
      readonly target: string
      readonly seed: number
      readonly from: number
      readonly step: number
      readonly ms: number
      /** One past the last number. */
      readonly end: number
    }
  | { readonly ask: 'input'; readonly target: string; readonly seed: number; readonly n: number }
  | { readonly ask: 'judge'; readonly target: string; readonly input: Uint8Array }

/** The answer to each. `next` is the case to go on with. */
export type Answer = {
  readonly cases: number
  readonly next: number
  readonly input: Uint8Array | null
  readonly verdict: Verdict | null
}

/** Of so many cases, one is run twice. */
const TWICE_EVERY = 4

const [registry, progressFile] = process.argv.slice(2)
const { TARGETS } = (await import(registry)) as { TARGETS: readonly Target[] }
const progress = openSync(progressFile, 'w')
process.on('exit', () => closeSync(progress))
const prepared = new Set<Target>()
const seedsOf = new Map<Target, readonly Uint8Array[]>()

process.on('message', async (request: Request) => {
  const target = TARGETS.find(({ name }) => name === request.target)
  if (target === undefined) throw new Error(`no target ${request.target}`)
  if (!prepared.has(target)) await target.prepare?.()
  prepared.add(target)
  process.send?.(await answerTo(target, request))
})
process.send?.({ cases: 0, next: 0, input: null, verdict: null } satisfies Answer)

async function answerTo(target: Target, request: Request): Promise<Answer> {
  if (request.ask === 'judge') {
    const { input } = request
    return { cases: 1, next: 0, input, verdict: await judge(target, input, true) }
  }
  if (request.ask === 'input') {
    return { cases: 0, next: 0, input: inputOf(target, request.seed, request.n), verdict: null }
  }
  const { seed, step, ms, end } = request
  const until = performance.now() + ms
  let cases = 0
  let n = request.from
  for (; n < end && performance.now() < until; n += step) {
    tell(n)
    const input = inputOf(target, seed, n)
    const verdict = await judge(target, input, Math.floor(n / step) % TWICE_EVERY === 0)
    cases++
    if (!verdict.isFine) return { cases, next: n + step, input, verdict }
    if (isWorn(target)) {
      globalThis.gc?.()
      if (isWorn(target)) return { cases, next: n + step, input: null, verdict: null }
    }
  }
  return { cases, next: n, input: null, verdict: null }
}

function isWorn(target: Target): boolean {
  return process.memoryUsage.rss() > mibOf(target) * WORN * 2 ** 20
}

/** The input of a case: the seeds come first, then what is random. */
function inputOf(target: Target, seed: number, n: number): Uint8Array {
  let seeds = seedsOf.get(target)
  if (seeds === undefined) {
    seeds = target.seeds()
    seedsOf.set(target, seeds)
  }
  return seeds[n] ?? target.make(new Random(seed, `${target.name} ${n}`))
}

/** Which case comes now, for whoever finds this process hanging. */
function tell(n: number): void {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(n)
  writeSync(progress, bytes, 0, 8, 0)
}
