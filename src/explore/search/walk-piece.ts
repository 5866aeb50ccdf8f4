import type { Job, Shard } from '../jobs/job.ts'
import type { Space } from './space.ts'
import walk, { type WalkResult, type WalkTask } from './worker.ts'

/** Random walks as a job: a piece is WALKS_A_PIECE of them, by their numbers. */
export type WalksSpec = {
  readonly space: Space
  readonly seed: number
  readonly walks: number
  readonly length: number
}

export const WALKS_A_PIECE = 32

/** The random walks of a search, cut into pieces. */
export function walksJob(spec: WalksSpec): Job {
  return { kind: 'walks', spec, pieces: Math.ceil(spec.walks / WALKS_A_PIECE) }
}

/** The walks of one piece, by their numbers. */
export function walkTask({ space, seed, walks, length }: WalksSpec, piece: number): WalkTask {
  const first = piece * WALKS_A_PIECE
  return { kind: 'walks', space, seed, first, count: Math.min(WALKS_A_PIECE, walks - first), length }
}

/** Carry out a piece: what a job's module has to have. */
export function run(spec: WalksSpec, piece: number): WalkResult {
  return walk(walkTask(spec, piece))
}

/** Walks of a shard. */
export function walksOf({ walks }: WalksSpec, { index, of }: Shard): number {
  const pieces = Math.ceil(walks / WALKS_A_PIECE)
  const own = Math.max(0, Math.ceil((pieces - (index - 1)) / of))
  const hasLast = own > 0 && (pieces - 1) % of === index - 1
  return own * WALKS_A_PIECE - (hasLast ? pieces * WALKS_A_PIECE - walks : 0)
}
