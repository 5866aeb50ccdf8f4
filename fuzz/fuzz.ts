import { corpusOf, keep } from './corpus.ts'
import { HANGS, type Verdict } from './judge.ts'
import type { FuzzOptions } from './options.ts'
import { PATIENCE, Runner } from './runner.ts'
import { shrinkInput } from './shrink.ts'
import type { Target } from './target.ts'

/** A fault: the first input that showed it, made small and kept. */
export type Found = {
  readonly target: string
  readonly signature: string
  readonly message: string
  readonly file: string
}

export type FuzzResult = {
  readonly cases: ReadonlyMap<string, number>
  readonly found: readonly Found[]
  /** Findings that were like one before. */
  readonly alike: number
  /** Findings that an input did not show again by itself. */
  readonly unconfirmed: number
}

/** A target has the processes for so long before the next one gets its turn. */
const MOST_TURN_MS = 5000
const LEAST_TURN_MS = 300
/** One input is made smaller for no longer than this. */
const SHRINK_MS = 60_000
const SHRINK_RUNS = 1500
/** What is known to hang is waited for no longer than this. */
const SHRINK_HANG_SECONDS = 2.5

/**
 * Run random inputs of targets in turn, for a time or a number of cases.
 *
 * @param registry address of the module that the targets come from
 * @param say told of what is found, line by line
 * @param patience how long is too long
 */
export async function fuzz(
  options: Omit<FuzzOptions, 'files' | 'help'>,
  registry: string,
  say: (line: string) => void,
  patience = PATIENCE,
): Promise<FuzzResult> {
  const { targets, seconds, seed, jobs } = options
  const began = performance.now()
  const untilMs = began + seconds * 1000
  const turnMs = Math.min(MOST_TURN_MS, Math.max(LEAST_TURN_MS, (seconds * 1000 * jobs) / targets.length))
  const cases = new Map(targets.map(({ name }) => [name, 0]))
  const known = new Set<string>()
  const found: Found[] = []
  let alike = 0
  let unconfirmed = 0

  /** One process: its share of the cases of every target, each in its turn. */
  const work = async (job: number): Promise<void> => {
    const runner = new Runner(registry, patience)
    const next = new Map(targets.map(({ name }) => [name, job]))
    const isOver = (target: Target): boolean => next.get(target.name)! >= options.cases
    try {
      // Processes begin with different targets, so that a short run gets to all of them.
      for (let turn = Math.floor((job * targets.length) / jobs); ; turn++) {
        const target = targets[turn % targets.length]
        const left = untilMs - performance.now()
        if (left <= 0 || targets.every(isOver)) return
        if (isOver(target)) continue
        const until = performance.now() + Math.min(turnMs, left)
        while (performance.now() < until && !isOver(target)) {
          const end = await runner.cases(target, {
            seed,
            from: next.get(target.name)!,
            step: jobs,
            ms: until - performance.now(),
            end: options.cases,
          })
          next.set(target.name, end.next)
          cases.set(target.name, cases.get(target.name)! + end.cases)
          if (end.found === null) continue
          const { input, n } = end.found
          if (known.has(`${target.name}: ${end.found.verdict.signature}`)) {
            alike++
            continue
          }
          const verdict = await confirmed(runner, target, end.found)
          if (verdict === null) {
            unconfirmed++
            say(`once and not again in ${target.name}, seed ${seed}, case ${n}: ${end.found.verdict.message}`)
            continue
          }
          const mark = `${target.name}: ${verdict.signature}`
          if (known.has(mark)) {
            alike++
            continue
          }
          known.add(mark)
          say(`FOUND in ${target.name}, case ${n}: ${verdict.message}`)
          for (const line of verdict.stack.split('\n').slice(0, 12))
            if (line.trim() !== '') say(`    ${line.trim()}`)
          const small = options.shrink ? await smaller(runner, target, input, verdict) : input
          const file = keep(target, small, verdict.signature, options.save)
          found.push({ target: target.name, signature: verdict.signature, message: verdict.message, file })
          say(`  ${small.length} bytes of ${input.length} are kept; again: npm run fuzz -- --replay ${file}`)
        }
      }
    } finally {
      runner.close()
    }
  }
  await Promise.all(Array.from({ length: jobs }, (_, job) => work(job)))
  return { cases, found, alike, unconfirmed }
}

/**
 * What a process does depends on all that it has run, and on what else the machine does. So a finding counts when the input shows
 * one again by itself, in a process of its own. What broke when it was made was made a second time to get here.
 */
async function confirmed(
  runner: Runner,
  target: Target,
  {
    input,
    isMade,
    verdict,
  }: {
    readonly input: Uint8Array
    readonly isMade: boolean
    readonly verdict: Verdict & { readonly isFine: false }
  },
): Promise<(Verdict & { readonly isFine: false }) | null> {
  if (!isMade) return verdict
  runner.restart()
  const again = await runner.judge(target, input)
  return again.isFine ? null : again
}

/** The smallest input that shows the same, as far as there is time. */
async function smaller(
  runner: Runner,
  target: Target,
  input: Uint8Array,
  verdict: Verdict & { readonly isFine: false },
): Promise<Uint8Array> {
  const until = performance.now() + SHRINK_MS
  const isHang = verdict.signature === HANGS
  const most = Math.min(SHRINK_HANG_SECONDS, runner.most(target, 1) / 2)
  let runs = 0
  const shows = async (some: Uint8Array): Promise<boolean | null> => {
    if (performance.now() > until || runs++ > SHRINK_RUNS) return null
    const other = await runner.judge(target, some, isHang ? most : undefined)
    return !other.isFine && other.signature === verdict.signature
  }
  return shrinkInput(input, { cut: target.cut, shows })
}

/** A file of a corpus that still shows a fault. */
export type Failed = { readonly file: string; readonly message: string; readonly stack: string }

/** Run everything that is kept of some targets. */
export async function replayCorpus(
  targets: readonly Target[],
  registry: string,
  folder?: string,
): Promise<{ readonly files: number; readonly failed: readonly Failed[] }> {
  const inputs = targets.flatMap((target) =>
    corpusOf(target, folder).map(({ file, input }) => ({ target, file, input })),
  )
  return { files: inputs.length, failed: await replay(inputs, registry) }
}

/** Run inputs that are given, each with its target. */
export async function replay(
  inputs: readonly { readonly target: Target; readonly file: string; readonly input: Uint8Array }[],
  registry: string,
): Promise<readonly Failed[]> {
  const failed: Failed[] = []
  const runner = new Runner(registry)
  try {
    for (const { target, file, input } of inputs) {
      const verdict = await runner.judge(target, input)
      if (!verdict.isFine) failed.push({ file, message: verdict.message, stack: verdict.stack })
    }
  } finally {
    runner.close()
  }
  return failed
}
