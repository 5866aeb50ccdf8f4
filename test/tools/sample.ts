import { randomNumbers } from '../../src/bits/random.ts'

/** Whether everything is judged, however long it takes: under CI. Else `npm test` takes samples, and stays quick. */
const IN_FULL = process.env.CI === 'true'

/** The `skip` of a test of which a quicker one shows the same but for its size. */
export const notInFull: string | false = IN_FULL ? false : 'CI=true judges it, too'

/**
 * A part of what is judged, the same one every time.
 * @param of one in so many is taken
 */
export function sampled<T>(all: readonly T[], of: number): readonly T[] {
  if (IN_FULL) return all
  const random = randomNumbers(of)
  return all.filter(() => random(of) === 0)
}

/** The first ones of what is judged, in an order in which these say most. */
export function firstOf<T>(all: readonly T[], few: number): readonly T[] {
  return IN_FULL ? all : all.slice(0, few)
}

/** How many random cases are made: all of them, or the first ones. */
export function howMany({ all, few }: { readonly all: number; readonly few: number }): number {
  return IN_FULL ? all : few
}
