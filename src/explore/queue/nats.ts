import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  type StreamConfig,
} from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { BadInput } from '../../bits/bad-input.ts'
import type { Delivery, PieceResult, Queue, QueuedJob } from './queue.ts'

/**
 * The queue on NATS JetStream, in three streams that all jobs share:
 *
 *   XENOLITH_JOBS     xenolith.job.ID            one message a job: what it is
 *   XENOLITH_PIECES   xenolith.piece.ID.NUMBER   a work queue: a message is gone once a worker has acknowledged it
 *   XENOLITH_RESULTS  xenolith.result.ID.NUMBER  one message a piece: the first result stays, later ones are turned away
 *
 * Each subject holds one message at most, so that publishing again, by a second coordinator or after a lost answer,
 * changes nothing. A worker acknowledges a piece after its result has been stored.
 */
const JOBS = 'XENOLITH_JOBS'
const PIECES = 'XENOLITH_PIECES'
const RESULTS = 'XENOLITH_RESULTS'
const WORKERS = 'workers'

const NANOS = 1e6
const DAY = 24 * 3600 * 1000 * NANOS

const oncePerSubject = { max_msgs_per_subject: 1, discard: DiscardPolicy.New, discard_new_per_subject: true }

const STREAMS: readonly (Partial<StreamConfig> & { name: string })[] = [
  { name: JOBS, subjects: ['xenolith.job.*'], max_msgs_per_subject: 1, max_age: 7 * DAY },
  { name: PIECES, subjects: ['xenolith.piece.*.*'], retention: RetentionPolicy.Workqueue, ...oncePerSubject },
  { name: RESULTS, subjects: ['xenolith.result.*.*'], max_age: 7 * DAY, ...oncePerSubject },
]

/** JetStream's error for a subject that has its message already: JSStreamStoreFailedF. */
const STORE_FAILED = 10077
/** And for a message or stream that is not there. */
const NOT_FOUND = [10037, 10059]
/** Messages published without waiting for each answer. */
const AT_ONCE = 200

/** @param ackWait milliseconds of silence after which a piece goes to another worker */
export async function openNats(url: URL, ackWait = 30_000): Promise<Queue> {
  const connection = await connected(url)
  try {
    const manager = await jetstreamManager(connection)
    for (const stream of STREAMS) await ensureStream(manager, stream)
    await manager.consumers.add(PIECES, {
      durable_name: WORKERS,
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWait * NANOS,
      max_deliver: -1,
    })
    return new NatsQueue(connection, manager)
  } catch (error) {
    await connection.close()
    throw new BadInput(
      `the NATS server at ${url.host} has no JetStream for us: ${reasonOf(error)}; start it with -js`,
    )
  }
}

async function connected(url: URL): Promise<NatsConnection> {
  const { username, password } = url
  try {
    return await connect({
      servers: url.host,
      ...(username === '' ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
      ...(url.protocol === 'tls:' ? { tls: {} } : {}),
      name: 'xenolith',
      // A server that is started again is waited for, however long it takes.
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
    })
  } catch (error) {
    throw new BadInput(`no NATS server answers at ${url.host}: ${reasonOf(error)}`)
  }
}

async function ensureStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    await manager.streams.info(config.name)
  } catch (error) {
    if (!isApiError(error, NOT_FOUND)) throw error
    await manager.streams.add(config)
  }
}

class NatsQueue implements Queue {
  private readonly connection: NatsConnection
  private readonly manager: JetStreamManager
  private readonly client: JetStreamClient
  private pieces: Consumer | null = null
  private reading: { consumer: Consumer; id: string; last: number } | null = null

  constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection
    this.manager = manager
    this.client = jetstream(connection)
  }

  async publishJob(id: string, job: QueuedJob): Promise<void> {
    const data = encode(job)
    const most = this.connection.info?.max_payload ?? 2 ** 20
    if (data.length > most)
      throw new BadInput(
        `the job has ${data.length} bytes, the server takes ${most}: give fewer maps of your own`,
      )
    await insisting(() => this.client.publish(`xenolith.job.${id}`, data))
  }

  async findJob(id: string): Promise<QueuedJob | null> {
    return insisting(async () => {
      try {
        const message = await this.manager.streams.getMessage(JOBS, { last_by_subj: `xenolith.job.${id}` })
        return message === null ? null : message.json<QueuedJob>()
      } catch (error) {
        if (isApiError(error, NOT_FOUND)) return null
        throw error
      }
    })
  }

  async publishPieces(id: string, pieces: readonly number[]): Promise<void> {
    for (let from = 0; from < pieces.length; from += AT_ONCE) {
      const batch = pieces.slice(from, from + AT_ONCE)
      await Promise.all(
        batch.map((piece) => this.publishOnce(`xenolith.piece.${id}.${piece}`, encode({ piece }))),
      )
    }
  }

  async finishedPieces(id: string): Promise<Set<number>> {
    const filter = `xenolith.result.${id}.*`
    const { state } = await insisting(() => this.manager.streams.info(RESULTS, { subjects_filter: filter }))
    return new Set(Object.keys(state.subjects ?? {}).map(lastNumber))
  }

  async results(id: string, after: number): Promise<{ results: PieceResult[]; last: number }> {
    let last = after
    const results: PieceResult[] = []
    try {
      if (this.reading?.id !== id || this.reading.last !== after) {
        const consumer = await this.client.consumers.get(RESULTS, {
          filter_subjects: `xenolith.result.${id}.*`,
          ...(after === 0
            ? { deliver_policy: DeliverPolicy.All }
            : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: after + 1 }),
        })
        this.reading = { consumer, id, last: after }
      }
      const messages = await this.reading.consumer.fetch({ max_messages: AT_ONCE, expires: 1000 })
      for await (const message of messages) {
        last = message.seq
        results.push(message.json<PieceResult>())
      }
      this.reading.last = last
    } catch {
      // The server is away: what came counts, the rest is read again when it is back.
      this.reading = null
      await pause()
    }
    return { results, last }
  }

  async storeResult(id: string, result: PieceResult): Promise<void> {
    await this.publishOnce(`xenolith.result.${id}.${result.piece}`, encode(result))
  }

  async next(): Promise<Delivery | null> {
    try {
      this.pieces ??= await this.client.consumers.get(PIECES, WORKERS)
      const message = await this.pieces.next({ expires: 1000 })
      return message === null ? null : this.deliveryOf(message)
    } catch {
      this.pieces = null
      await pause()
      return null
    }
  }

  private deliveryOf(message: JsMsg): Delivery {
    const job = message.subject.split('.')[2]
    const piece = lastNumber(message.subject)
    return {
      job,
      piece,
      attempts: message.info.deliveryCount,
      working: () => message.working(),
      done: async (result) => {
        await this.storeResult(job, result)
        message.ack()
      },
      giveBack: (milliseconds) => message.nak(milliseconds),
    }
  }

  async close(): Promise<void> {
    await this.connection.drain().catch(() => this.connection.close())
  }

  /** Publish on a subject that holds one message; that it has one already is as good. */
  private async publishOnce(subject: string, data: Uint8Array): Promise<void> {
    await insisting(async () => {
      try {
        await this.client.publish(subject, data)
      } catch (error) {
        if (!isApiError(error, [STORE_FAILED])) throw error
      }
    })
  }
}

/** Do it again as long as the server does not answer: it may be starting. Other errors are the caller's. */
async function insisting<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action()
    } catch (error) {
      if (error instanceof BadInput || error instanceof JetStreamApiError) throw error
      await pause()
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 500))
}

function isApiError(error: unknown, codes: readonly number[]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.apiError().err_code)
}

function lastNumber(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1))
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
