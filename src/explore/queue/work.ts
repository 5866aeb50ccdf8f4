import type { PieceTask } from '../jobs/job.ts'
import type { Pool } from '../jobs/pool.ts'
import { codeDigest } from './code.ts'
import type { Delivery, Queue, QueuedJob } from './queue.ts'

/** Deliveries of a piece before it is given up: its worker failed, or died, each time. */
const MOST_ATTEMPTS = 5
/** Milliseconds between two signs of life. */
const SIGN_OF_LIFE = 5_000
const PAUSE = 1_000

export type WorkWatch = {
  /** Told of each piece that is done, with how many there are by now. */
  readonly done?: (count: number) => void
  /** Told, once a job, why its pieces are not taken. */
  readonly refused?: (reason: string) => void
}

/**
 * Carry out pieces from the queue, one a thread, until the signal is aborted or nothing has come for `idle` milliseconds.
 * Returns how many were done.
 */
export async function work(
  queue: Queue,
  pool: Pool<PieceTask, unknown>,
  signal: AbortSignal,
  idle: number,
  { done, refused }: WorkWatch = {},
): Promise<number> {
  const jobs = new Map<string, QueuedJob>()
  const told = new Set<string>()
  let count = 0
  let busy = 0
  let last = performance.now()
  const isIdle = (): boolean => busy === 0 && performance.now() - last >= idle
  const lane = async (): Promise<void> => {
    while (!signal.aborted && !isIdle()) {
      const delivery = await queue.next()
      if (delivery === null) continue
      busy++
      try {
        const reason = await take(queue, pool, delivery, jobs)
        if (reason === null) {
          count++
          last = performance.now()
          done?.(count)
        } else if (!told.has(`${delivery.job} ${reason}`)) {
          told.add(`${delivery.job} ${reason}`)
          refused?.(reason)
        }
      } finally {
        busy--
      }
    }
  }
  await Promise.all(Array.from({ length: pool.threads }, lane))
  return count
}

/** One piece. Returns null when it is done, or why it was given back. */
async function take(
  queue: Queue,
  pool: Pool<PieceTask, unknown>,
  delivery: Delivery,
  jobs: Map<string, QueuedJob>,
): Promise<string | null> {
  const job = jobs.get(delivery.job) ?? (await queue.findJob(delivery.job))
  if (job === null) {
    delivery.giveBack(PAUSE)
    return `the queue does not know job ${delivery.job} yet`
  }
  if (job.code !== codeDigest()) {
    delivery.giveBack(PAUSE)
    return `job ${delivery.job} was made by other code than this worker's; run the same version on both`
  }
  jobs.set(delivery.job, job)
  const { piece } = delivery
  if (delivery.attempts > MOST_ATTEMPTS) {
    await delivery.done({ piece, error: `its worker died ${MOST_ATTEMPTS} times` })
    return null
  }
  const alive = setInterval(() => delivery.working(), SIGN_OF_LIFE)
  try {
    const result = await pool.run({ kind: job.kind, spec: job.spec, piece })
    await delivery.done({ piece, result })
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (delivery.attempts >= MOST_ATTEMPTS) await delivery.done({ piece, error: reason })
    else delivery.giveBack(PAUSE)
    return `piece ${piece} failed: ${reason}`
  } finally {
    clearInterval(alive)
  }
}
