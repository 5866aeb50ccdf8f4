import { randomNumbers } from '../../src/bits/random.ts'

/**
 * A part of what is judged, the same one every time, so that `npm test` stays quick; all of it under CI.
 * @param of one in so many is taken
 */
export function sampled<T>(all: readonly T[], of: number): readonly T[] {
  if (process.env.CI === 'true') return all
  const random = randomNumbers(of)
  return all.filter(() => random(of) === 0)
}
