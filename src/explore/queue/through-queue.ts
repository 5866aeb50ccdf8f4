import { BadInput } from '../../bits/bad-input.ts'
import type { Job, PieceTask, Shard } from '../jobs/job.ts'
import { oneProcess } from '../jobs/one-process.ts'
import { openPool } from '../jobs/pool.ts'
import type { QueueFlags } from './address.ts'
import { CHECKED_SHARE, type CoordinateWatch, coordinate } from './coordinate.ts'
import { openQueue } from './open-queue.ts'

/** How a run goes through a queue: as options name it. */
export type QueueRun = {
  readonly flags: QueueFlags & { readonly verify?: string }
  readonly threads: number
  readonly signal: AbortSignal
  /** Told what peers do wrong, a line each. */
  readonly tell: (line: string) => void
}

/** One that carries out jobs by other machines, and what closes it. */
export type QueueRunner = {
  run(job: Job, shard: Shard, from: number, watch: Omit<CoordinateWatch, 'tell'>): Promise<void>
  close(): Promise<void>
}

/** @throws BadInput for a server that is not there, and for options that cannot be */
export async function openQueueRunner({ flags, threads, signal, tell }: QueueRun): Promise<QueueRunner> {
  const verify = verifyShare(flags.verify)
  const queue = await openQueue(flags)
  const pool = openPool<PieceTask, unknown>('../jobs/piece-worker', import.meta, threads)
  return {
    run: (job, shard, from, watch) =>
      coordinate({
        queue,
        job,
        shard,
        from,
        signal,
        pool,
        careful: oneProcess,
        verify,
        watch: { ...watch, tell },
      }),
    async close() {
      await pool.close()
      await queue.close()
    },
  }
}

/** `0.05` or `5%`. */
export function verifyShare(text: string | undefined): number {
  if (text === undefined) return CHECKED_SHARE
  const match = /^(\d{1,3}(?:\.\d{1,6})?)(%?)$/.exec(text)
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1)
  if (share >= 0 && share <= 1) return share
  throw new BadInput(`--verify '${text}' is no share of the pieces; write for example 0.05, or 5%`)
}
