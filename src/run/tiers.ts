import { BadInput } from '../bits/bad-input.ts'
import { TIERS, type Tier } from '../cpu/tier.ts'

/** How a core may execute its guest, for rooms that choose. */
export type { Compiled } from '../cpu/region/compiled.ts'
export { TIERS, type Tier }

/** The tier that a word names; undefined where nothing was said. Throws BadInput for any other word. */
export function tierOf(word: string | undefined): Tier | undefined {
  if (word === undefined) return undefined
  const tier = TIERS.find((name) => name === word)
  if (tier === undefined) throw new BadInput(`--tier ${word} is none; give one of ${TIERS.join(', ')}`)
  return tier
}
