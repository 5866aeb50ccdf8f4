import { coreCount, type Explored, type ExplorePlan, explore } from '../src/explore/exports.ts'
import { HOLES } from '../src/xen/versions/holes.ts'
import { median } from './measure.ts'

/** The search for sequences that break safety: how fast, and what more cores are worth. */
export const name = 'explore'
export const about = 'the search: states and moves a second, what cores are worth, and each hole found again'

const ROUNDS = 3
const never = new AbortController().signal

const plan = (holes: string, rest: Partial<ExplorePlan>): ExplorePlan => ({
  space: { xen: '4.17', domain: 'dom0', pages: 3, holes },
  depth: 0,
  walks: 0,
  length: 40,
  seed: 1,
  all: false,
  ...rest,
})

/** A search and its seconds, the start of its threads included. */
async function timed(what: ExplorePlan, threads: number): Promise<Explored & { seconds: number }> {
  const start = performance.now()
  const explored = await explore(what, { threads, signal: never })
  return { ...explored, seconds: (performance.now() - start) / 1000 }
}

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const cores = coreCount()
  const rates: Record<'states' | 'moves' | 'walked' | 'scaling', number[]> = {
    states: [],
    moves: [],
    walked: [],
    scaling: [],
  }
  const exhaustive = plan('none', { depth: 4 })
  const walks = plan('none', { walks: 40_000 })
  for (let round = 0; round < ROUNDS; round++) {
    const all = await timed(exhaustive, cores)
    const one = await timed(exhaustive, 1)
    const walked = await timed(walks, cores)
    if (all.states !== one.states || all.findings.length > 0) throw new Error('the searches differ')
    rates.states.push(all.states / all.seconds)
    rates.moves.push(all.steps / all.seconds)
    rates.walked.push(walked.steps / walked.seconds)
    rates.scaling.push(one.seconds / all.seconds)
    report(
      `round ${round + 1} of ${ROUNDS}: ${all.states} states in ${all.seconds.toFixed(1)} s on ${cores} cores, ${one.seconds.toFixed(1)} s on one`,
    )
  }
  const found: Record<string, number> = {}
  for (const { advisory } of HOLES) {
    const { findings, states, steps, seconds } = await timed(
      plan(advisory, { depth: 4, walks: 200_000 }),
      cores,
    )
    const what =
      findings[0] === undefined
        ? 'not found'
        : `${findings[0].property} in ${findings[0].sequence.length} moves`
    report(`XSA-${advisory}: ${what}; ${states} states, ${steps} moves, ${seconds.toFixed(1)} s`)
    found[`found_${advisory}`] = findings.length
    found[`states_${advisory}`] = states
    found[`seconds_${advisory}`] = Math.round(seconds * 100) / 100
  }
  return {
    cores,
    states_per_s: Math.round(median(rates.states)),
    moves_per_s: Math.round(median(rates.moves)),
    walk_moves_per_s: Math.round(median(rates.walked)),
    all_cores_over_one_ratio: Math.round(median(rates.scaling) * 100) / 100,
    ...found,
  }
}
