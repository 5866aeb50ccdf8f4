import { BadInput } from '../../bits/bad-input.ts'
import { type Job, pieceCountOf, piecesOf, type Shard } from '../jobs/job.ts'
import type { Done } from '../jobs/progress.ts'
import { codeDigest, jobId } from './code.ts'
import type { PieceResult, Queue } from './queue.ts'

/** After so long without a result, milliseconds, what is missing is published once more. */
const SILENCE = 30_000

/**
 * Have a job carried out by whoever takes pieces from the queue, and collect the results, in the order of the pieces.
 * Results that the queue has already are used: a coordinator that is started again, or a second one, repeats nothing.
 * Aborted, it returns the results of the first pieces as far as they go without a gap.
 *
 * @throws BadInput for a piece that no worker could carry out
 */
export async function coordinate(
  queue: Queue,
  job: Job,
  shard: Shard,
  signal: AbortSignal,
  progress: (done: Done) => void,
  silence = SILENCE,
): Promise<unknown[]> {
  const code = codeDigest()
  const id = jobId(job, code)
  const wanted = [...piecesOf(job, shard)]
  const missing = new Set(wanted)
  const found = new Map<number, unknown>()
  await queue.publishJob(id, { ...job, code })
  const publish = async (): Promise<void> => {
    const finished = await queue.finishedPieces(id)
    await queue.publishPieces(
      id,
      wanted.filter((piece) => missing.has(piece) && !finished.has(piece)),
    )
  }
  await publish()
  let after = 0
  let heard = performance.now()
  while (missing.size > 0 && !signal.aborted) {
    const { results, last } = await queue.results(id, after)
    after = last
    for (const result of results) {
      // Twice the same piece is once: it can be delivered to two workers.
      if (!missing.delete(result.piece)) continue
      found.set(result.piece, resultOf(result))
      heard = performance.now()
    }
    const of = pieceCountOf(job, shard)
    progress({ stage: 'queue', done: found.size, of, unit: 'pieces', found: 0 })
    if (performance.now() - heard < silence) continue
    // Nothing lost: what a server has forgotten is asked for again, and from its first result on.
    heard = performance.now()
    after = 0
    await queue.publishJob(id, { ...job, code })
    await publish()
  }
  const gap = wanted.findIndex((piece) => !found.has(piece))
  return wanted.slice(0, gap === -1 ? wanted.length : gap).map((piece) => found.get(piece))
}

function resultOf(result: PieceResult): unknown {
  if ('result' in result) return result.result
  throw new BadInput(`no worker could carry out piece ${result.piece}: ${result.error}`)
}
