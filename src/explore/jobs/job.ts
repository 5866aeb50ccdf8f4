import { BadInput } from '../../bits/bad-input.ts'
import { type Pool, runInOrder } from './pool.ts'

/**
 * A long run cut into pieces that depend on nothing but the job and their number: they can be carried out in any order, on
 * any machine and more than once, with the same result. All of it is plain data.
 */
export type Job = {
  /** What is to be done: a name in KINDS. */
  readonly kind: string
  /** What the pieces have in common. */
  readonly spec: unknown
  readonly pieces: number
}

/** One piece of a job, as a worker gets it. */
export type PieceTask = { readonly kind: string; readonly spec: unknown; readonly piece: number }

type KindModule = { run(spec: never, piece: number): unknown }

/** The kinds of jobs. A new one is a module that exports `run(spec, piece)`, and a line here. */
const KINDS: Readonly<Record<string, () => Promise<KindModule>>> = {
  sweep: () => import('../sweep/piece.ts'),
  'real-sweep': () => import('../sweep/real-piece.ts'),
  walks: () => import('../search/walk-piece.ts'),
  shrink: () => import('../sweep/shrink.ts'),
}

/** Carry out one piece here and now. */
export async function runPiece({ kind, spec, piece }: PieceTask): Promise<unknown> {
  const load = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (load === undefined) throw new Error(`there is no kind of job "${kind}"`)
  return (await load()).run(spec as never, piece)
}

/** Part `index` of `of`, counted from 1, of a job that several machines share. */
export type Shard = { readonly index: number; readonly of: number }

/** The pieces of a shard in order: every `of`-th, so that easy and hard regions spread evenly. */
export function* piecesOf(job: Job, shard: Shard, from = 0): Generator<number> {
  for (let piece = shard.index - 1 + from * shard.of; piece < job.pieces; piece += shard.of) yield piece
}

/** How many pieces a shard has. */
export function pieceCountOf(job: Job, { index, of }: Shard): number {
  return Math.max(0, Math.ceil((job.pieces - (index - 1)) / of))
}

/**
 * Carry out a shard on this machine's threads and hand the results over in the order of the pieces.
 *
 * @param from how many of the shard's pieces are done already
 */
export async function runShard(
  pool: Pool<PieceTask, unknown>,
  job: Job,
  shard: Shard,
  from: number,
  signal: AbortSignal,
  take: (result: unknown, piece: number) => void,
): Promise<void> {
  const tasks = piecesOf(job, shard, from)
  await runInOrder(pool, tasksOf(job, tasks), signal, (result, { piece }) => take(result, piece) ?? true)
}

function* tasksOf({ kind, spec }: Job, pieces: Iterable<number>): Generator<PieceTask> {
  for (const piece of pieces) yield { kind, spec, piece }
}

/** `i/n`: part i of n, from 1. Throws BadInput. */
export function parseShard(text: string | undefined): Shard {
  if (text === undefined) return { index: 1, of: 1 }
  const match = /^(\d{1,9})\/(\d{1,9})$/.exec(text)
  const [index, of] = match === null ? [0, 0] : [Number(match[1]), Number(match[2])]
  if (index < 1 || index > of)
    throw new BadInput(`--shard '${text}' is not part i of n from 1 on; write for example 2/4`)
  return { index, of }
}
