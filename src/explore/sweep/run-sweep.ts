import { type Job, type PieceTask, pieceCountOf, runShard, type Shard } from '../jobs/job.ts'
import { openPool, type Pool } from '../jobs/pool.ts'
import type { Done } from '../jobs/progress.ts'
import { pieceCount, pieceSize, type Row, type SweepSpec } from './piece.ts'
import type { RealSweepSpec } from './real-piece.ts'
import type { Results } from './results.ts'
import type { ShrinkSpec, Smallest } from './shrink.ts'
import { machineCount } from './space.ts'
import { isFailure } from './summary.ts'

/** A sweep as a job of pieces. */
export function sweepJob(spec: SweepSpec): Job {
  return { kind: 'sweep', spec, pieces: pieceCount(spec.space) }
}

/** A sweep of real kernels as one: its threads get the files, which they share, from this one. */
export function realSweepJob(spec: SweepSpec, more: Omit<RealSweepSpec, 'space'>): Job {
  const job: RealSweepSpec = { space: spec.space, ...more }
  return { kind: 'real-sweep', spec: job, pieces: pieceCount(spec.space) }
}

/** Threads that carry out pieces of any job. */
export function openWorkers(threads: number): Pool<PieceTask, unknown> {
  return openPool<PieceTask, unknown>('../jobs/piece-worker', import.meta, threads)
}

/** Where a sweep is: enough to go on from. `rows` are those of the shard's first `done` pieces. */
export type SweepState = {
  readonly spec: SweepSpec
  readonly shard: Shard
  readonly done: number
  readonly rows: Row[]
}

/** Who is told while a sweep runs. */
export type SweepWatch = {
  /** Of every row, in the order of the machines. */
  readonly row?: (row: Row) => void
  readonly progress?: (done: Done) => void
  /** Of the state after every piece: it can be saved. */
  readonly state?: (state: SweepState) => void
}

/**
 * Boot the machines of a shard, from a state on, on threads. Ends early, with what is done, when the signal is aborted.
 *
 * @param job the sweep's own, where it is of real kernels
 */
export async function runSweep(
  pool: Pool<PieceTask, unknown>,
  from: SweepState,
  signal: AbortSignal,
  { row: tell, progress, state: tellState }: SweepWatch = {},
  job = sweepJob(from.spec),
): Promise<SweepState> {
  const machines = machinesOf(from)
  const state = { ...from, rows: [...from.rows], done: from.done }
  let failures = state.rows.filter(isFailure).length
  const report = (): void =>
    progress?.({ stage: 'sweep', done: state.rows.length, of: machines, unit: 'machines', found: failures })
  for (const row of state.rows) tell?.(row)
  report()
  await runShard(pool, job, from.shard, from.done, signal, (result) => {
    for (const row of result as Row[]) {
      state.rows.push(row)
      if (isFailure(row)) failures++
      tell?.(row)
    }
    state.done++
    report()
    tellState?.(state)
  })
  return state
}

/** How many machines a shard has. */
export function machinesOf({ spec, shard }: Pick<SweepState, 'spec' | 'shard'>): number {
  const job = sweepJob(spec)
  const pieces = pieceCountOf(job, shard)
  const all = machineCount(spec.space)
  const hasLast = pieces > 0 && (job.pieces - 1) % shard.of === shard.index - 1
  const size = pieceSize(spec.space)
  return pieces * size - (hasLast ? job.pieces * size - all : 0)
}

/** Whether every piece of the sweep's shard is done. */
export function isComplete(state: SweepState): boolean {
  return state.done === pieceCountOf(sweepJob(state.spec), state.shard)
}

/** Shrink the first failure of each signature, on threads. */
export async function shrinkGroups(
  pool: Pool<PieceTask, unknown>,
  { spec, rows }: Results,
  signal: AbortSignal,
  progress?: (done: Done) => void,
): Promise<Map<string, Smallest>> {
  const first = new Map<string, Row>()
  for (const row of rows) if (isFailure(row) && !first.has(row.signature)) first.set(row.signature, row)
  const failures = [...first.values()].map(({ n, signature }) => ({ n, signature }))
  const job: Job = {
    kind: 'shrink',
    spec: { space: spec.space, failures } satisfies ShrinkSpec,
    pieces: failures.length,
  }
  const smallest = new Map<string, Smallest>()
  await runShard(pool, job, { index: 1, of: 1 }, 0, signal, (result, piece) => {
    if (result !== null) smallest.set(failures[piece].signature, result as Smallest)
    progress?.({
      stage: 'shrink',
      done: piece + 1,
      of: failures.length,
      unit: 'groups',
      found: failures.length,
    })
  })
  return smallest
}
