import { onInterrupt } from '../../../explore/jobs/interrupt.ts'
import { oneProcess } from '../../../explore/jobs/one-process.ts'
import type { QueueFlags } from '../../../explore/queue/address.ts'
import { openQueue } from '../../../explore/queue/open-queue.ts'
import { work } from '../../../explore/queue/work.ts'
import { openWorkers } from '../../../explore/sweep/run-sweep.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import type { Io } from '../../io.ts'
import { threadCount } from '../sweep/sweep.ts'

/** What `xenolith worker` takes. */
export type WorkerFlags = QueueFlags & { readonly threads?: string; readonly idle?: string }

/** Carries out pieces that coordinators put into a queue, until ^C or until nothing has come for a while. */
export async function run(options: WorkerFlags, io: Io): Promise<number> {
  if (options.queue === undefined)
    throw new BadInput('--queue is missing; write for example --queue nats://127.0.0.1:4222')
  const threads = threadCount(options.threads)
  const idle = idleMilliseconds(options.idle)
  let pieces = 0
  const tell = (): void => io.err(`xenolith: ${pieces} pieces done`)
  const queue = await openQueue(options)
  const interrupt = onInterrupt(() => io.err('xenolith: stopping when the pieces under way are done'), tell)
  const pool = openWorkers(threads)
  try {
    pieces = await work({
      queue,
      pool,
      careful: oneProcess,
      signal: interrupt.signal,
      idle,
      done: (count) => {
        pieces = count
      },
      refused: (reason) => io.err(`xenolith: ${reason}`),
    })
    tell()
    return 0
  } finally {
    interrupt.release()
    await pool.close()
    await queue.close()
  }
}

function idleMilliseconds(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY
  if (!/^\d{1,6}$/.test(text))
    throw new BadInput(`--idle '${text}' is not a number of seconds; write for example 60`)
  return Number(text) * 1000
}
