import { hostname } from 'node:os'
import { BadInput } from '../../bits/bad-input.ts'
import type { PieceTask } from '../jobs/job.ts'
import type { Pool } from '../jobs/pool.ts'
import { codeDigest } from './code.ts'
import { checkSpec, decodeJob, encodeResult, isPiece, type KnownJob } from './messages.ts'
import type { Delivery, Queue } from './queue.ts'
import { newWorker } from './seal.ts'
import { Teller } from './teller.ts'

/** Deliveries of a piece before it is suspected to kill its workers, or to be nobody's. */
const MOST_ATTEMPTS = 3
/** Milliseconds between two signs of life. */
const SIGN_OF_LIFE = 5_000
const PAUSE = 1_000

export type WorkWatch = {
  /** Told of each piece that is done, with how many there are by now. */
  readonly done?: (count: number) => void
  /** Told why pieces are not taken. */
  readonly refused?: (reason: string) => void
}

export type Working = WorkWatch & {
  readonly queue: Queue
  /** Threads of this machine, one for each piece at a time. */
  readonly pool: Pool<PieceTask, unknown>
  /** For pieces that others may have died of: a process that may die of them. */
  readonly careful: Pool<PieceTask, unknown>
  readonly signal: AbortSignal
  /** End when nothing has come for so many milliseconds. */
  readonly idle: number
}

/**
 * Carry out pieces from the queue, one a thread, until the signal is aborted or nothing has come for a while. What is no piece of a job that this code knows is left alone or dropped, and told. Returns how many were done.
 *
 * @throws BadInput where the server is gone for good
 */
export async function work(working: Working): Promise<number> {
  const { queue, pool, signal, idle, done, refused } = working
  const teller = new Teller(refused ?? (() => {}))
  const taker = new Taker(working)
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
        const reason = await taker.take(delivery)
        if (reason === null) {
          count++
          last = performance.now()
          done?.(count)
        } else teller.tell(reason)
      } finally {
        busy--
      }
    }
  }
  await Promise.all(Array.from({ length: pool.threads }, lane))
  teller.end()
  return count
}

/** What is wrong with a job, and whether other workers may have a use for its pieces all the same. */
type NoJob = { readonly refused: string }

type Outcome = { readonly result: unknown } | { readonly error: string }

/** Jobs that are kept: a queue has few at a time. */
const MOST_JOBS = 16

class Taker {
  private readonly queue: Queue
  private readonly pool: Pool<PieceTask, unknown>
  private readonly careful: Pool<PieceTask, unknown>
  private readonly worker = newWorker(`${hostname()}-${process.pid}`)
  /** The last message about each job, and what it says. */
  private readonly jobs = new Map<
    string,
    { readonly message: Uint8Array; readonly known: KnownJob | NoJob }
  >()

  constructor({ queue, pool, careful }: Working) {
    this.queue = queue
    this.pool = pool
    this.careful = careful
  }

  /** One piece. Returns null when it is done, or why it is not. */
  async take(delivery: Delivery): Promise<string | null> {
    const known = await this.job(delivery.job)
    if ('refused' in known) {
      if (delivery.attempts > MOST_ATTEMPTS) delivery.drop()
      else delivery.giveBack(PAUSE)
      return known.refused
    }
    const { id, job } = known
    if (job.code !== codeDigest()) {
      delivery.giveBack(PAUSE)
      return `job ${id} was made by other code than this worker's; run the same version on both`
    }
    const { piece, data } = delivery
    if (!isPiece(known, piece, data)) {
      delivery.drop()
      return `piece ${piece} of job ${id} does not carry the job's key, or is none of its pieces`
    }
    const where = delivery.attempts > MOST_ATTEMPTS ? this.careful : this.pool
    const alive = setInterval(() => delivery.working(), SIGN_OF_LIFE)
    try {
      const outcome = await carriedOut(where, { kind: job.kind, spec: job.spec, piece })
      await this.answer(known, delivery, outcome)
      return 'error' in outcome ? `piece ${piece} of job ${id} failed: ${outcome.error}` : null
    } finally {
      clearInterval(alive)
    }
  }

  private answer(known: KnownJob, delivery: Delivery, outcome: Outcome): Promise<void> {
    const { piece } = delivery
    return delivery.done(encodeResult(known, this.worker, { piece, ...outcome }, this.queue.mostBytes))
  }

  private async job(id: string): Promise<KnownJob | NoJob> {
    if (!/^[0-9a-f]{20}$/.test(id)) return { refused: `'${id}' is no job` }
    const message = await this.queue.findJob(id)
    if (message === null) return { refused: `the queue does not know job ${id}` }
    const before = this.jobs.get(id)
    if (before !== undefined && Buffer.compare(before.message, message) === 0) return before.known
    const known = await jobOf(id, message)
    this.jobs.delete(id)
    this.jobs.set(id, { message, known })
    if (this.jobs.size > MOST_JOBS) this.jobs.delete(this.jobs.keys().next().value!)
    return known
  }
}

async function carriedOut(where: Pool<PieceTask, unknown>, task: PieceTask): Promise<Outcome> {
  try {
    return { result: await where.run(task) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { error: reason.slice(0, 1000) }
  }
}

async function jobOf(id: string, message: Uint8Array): Promise<KnownJob | NoJob> {
  try {
    const known = decodeJob(id, message)
    if (known.job.code === codeDigest()) await checkSpec(known)
    return known
  } catch (error) {
    if (error instanceof BadInput) return { refused: `${error.message}; its pieces are not taken` }
    throw error
  }
}
