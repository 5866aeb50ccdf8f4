/** What the other rooms and the package take from here. */
import { BadInput } from '../bits/bad-input.ts'
import { movesOf, type Space } from './search/space.ts'

export type { SearchSpec } from '../run/search/search-machine.ts'
export { onInterrupt } from './jobs/interrupt.ts'
export { coreCount } from './jobs/pool.ts'
export { Progress } from './jobs/progress.ts'
export type { Finding } from './search/finding.ts'
export {
  type Explored,
  type ExplorePlan,
  type ExploreRun,
  explore,
  planOf,
  resume,
} from './search/search.ts'
export type { Space } from './search/space.ts'

/** The lines of a script that makes these moves, its pages first. */
export function scriptOf(space: Space, sequence: readonly number[]): string[] {
  const { setup, lines } = movesOf(space)
  return [...setup.map(({ text }) => text), ...sequence.map((move) => lines[move].text)]
}

/** A whole number that was typed, or undefined when nothing was. Throws BadInput for anything else. */
export function wholeNumber(
  option: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined
  const n = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
  if (n >= least && n <= most) return n
  throw new BadInput(`${option} ${text}: give a whole number from ${least} to ${most}`)
}
