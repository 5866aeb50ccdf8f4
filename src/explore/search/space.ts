import { defaultMoves, type Moves, parseMoves } from '../../run/search/moves.ts'
import { SearchMachine, type SearchSpec } from '../../run/search/search-machine.ts'

/** What is searched: which Xen, which guest, and what it may do. Plain data, the same for every thread. */
export type Space = SearchSpec & {
  readonly pages: number
  /** The moves as script lines; the usual ones on that many pages when it is not said. */
  readonly moves?: string
  /** What errors call the moves. */
  readonly source?: string
}

/** A machine on which the space can be walked. A thread has but one. */
export type Walker = { readonly moves: Moves; readonly machine: SearchMachine }

/**
 * The moves of a space: its own lines, or the usual ones for its pages. Throws BadInput for lines that cannot be read.
 */
export function movesOf(space: Space): Moves {
  return parseMoves(
    space.moves ?? defaultMoves(space.pages, space.domain === 'domU'),
    space.source ?? 'moves',
  )
}

let opened: { readonly key: string; readonly walker: Walker } | null = null

/** This thread's machine for a space. Throws BadInput for one that there cannot be. */
export function walkerOf(space: Space): Walker {
  const key = JSON.stringify(space)
  if (opened?.key !== key) {
    const moves = movesOf(space)
    opened = { key, walker: { moves, machine: new SearchMachine(space, moves) } }
  }
  return opened.walker
}
