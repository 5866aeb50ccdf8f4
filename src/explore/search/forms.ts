import * as v from 'valibot'
import { listOf, text, whole } from '../../files/checked.ts'
import { MOST_MOVES } from '../../run/search/moves.ts'
import { brokenBy, type Finding } from './finding.ts'
import type { Walker } from './space.ts'

/** What searches are in files and messages: whoever reads one back says by these what it has to be. */

/** How far a search may be told to go. */
export const MOST = { depth: 64, walks: 1e9, length: 100_000, seed: 2 ** 32 - 1, pages: 5 } as const

export const SpaceForm = v.strictObject({
  xen: text(64),
  domain: v.picklist(['dom0', 'domU']),
  pages: whole(1, MOST.pages),
  holes: v.exactOptional(text(200)),
  moves: v.exactOptional(text(2 ** 22)),
  source: v.exactOptional(text(4096)),
})

export const FindingForm = v.strictObject({
  property: text(64),
  says: text(2000),
  holes: listOf(text(16), 32),
  sequence: listOf(whole(0, MOST_MOVES - 1), MOST.length),
})

/** A finding as it comes out now; null where nothing is broken, or something else. */
export function brokenAgain(walker: Walker, finding: Finding): Finding | null {
  const { property, holes, sequence } = finding
  const isKnown = sequence.every((move) => move < walker.moves.lines.length)
  if (!isKnown || !holes.every((hole) => walker.machine.open.includes(hole))) return null
  const broken = brokenBy(walker, sequence, holes)
  return broken?.property === property ? { ...finding, says: broken.says } : null
}
