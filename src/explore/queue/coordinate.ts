import { BadInput } from '../../bits/bad-input.ts'
import { type Job, piecesOf, type Shard } from '../jobs/job.ts'
import type { Done } from '../jobs/progress.ts'
import { codeDigest, jobId } from './code.ts'
import type { PieceResult, Queue } from './queue.ts'

/** After so long without a result, milliseconds, what is missing is published once more. */
const SILENCE = 30_000

/** Who is told while a job is carried out. */
export type CoordinateWatch = {
  /** Of each result, in the order of the pieces; false ends the job. */
  readonly take: (result: unknown, piece: number) => boolean | undefined
  readonly progress?: (done: Done) => void
}

/**
 * Have a job carried out by whoever takes pieces from the queue, and hand the results over in the order of the pieces.
 * Results that the queue has already are used: a coordinator that is started again, or a second one, repeats nothing.
 * Aborted, it ends; what has been handed over is always the first pieces.
 *
 * @param from how many of the shard's pieces are not wanted
 * @throws BadInput for a piece that no worker could carry out
 */
export async function coordinate(
  queue: Queue,
  job: Job,
  shard: Shard,
  from: number,
  signal: AbortSignal,
  { take, progress }: CoordinateWatch,
  silence = SILENCE,
): Promise<void> {
  const code = codeDigest()
  const id = jobId(job, code)
  const wanted = [...piecesOf(job, shard, from)]
  const missing = new Set(wanted)
  const found = new Map<number, PieceResult>()
  const publish = async (): Promise<void> => {
    await queue.publishJob(id, { ...job, code })
    const finished = await queue.finishedPieces(id)
    await queue.publishPieces(
      id,
      wanted.filter((piece) => missing.has(piece) && !finished.has(piece)),
    )
  }
  await publish()
  let taken = 0
  let after = 0
  let heard = performance.now()
  while (taken < wanted.length && !signal.aborted) {
    const { results, last } = await queue.results(id, after)
    after = last
    for (const result of results) {
      // Twice the same piece is once: it can be delivered to two workers.
      if (!missing.delete(result.piece)) continue
      found.set(result.piece, result)
      heard = performance.now()
    }
    progress?.({
      stage: 'queue',
      done: from + wanted.length - missing.size,
      of: from + wanted.length,
      unit: 'pieces',
      found: 0,
    })
    for (let next = found.get(wanted[taken]); next !== undefined; next = found.get(wanted[taken])) {
      found.delete(next.piece)
      taken++
      if (take(resultOf(next), next.piece) === false) return
    }
    if (performance.now() - heard < silence) continue
    // Nothing lost: what a server has forgotten is asked for again, and from its first result on.
    heard = performance.now()
    after = 0
    await publish()
  }
}

function resultOf(result: PieceResult): unknown {
  if ('result' in result) return result.result
  throw new BadInput(`no worker could carry out piece ${result.piece}: ${result.error}`)
}
