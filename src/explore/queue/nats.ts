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
  type StoredMsg,
  type StreamConfig,
} from '@nats-io/jetstream'
import { connect, errors, type NatsConnection } from '@nats-io/transport-node'
import { BadInput } from '../../bits/bad-input.ts'
import { foreignText } from '../../bits/foreign-text.ts'
import type { ServerAddress } from './address.ts'
import type { Delivery, Numbered, Queue, StoredResult } from './queue.ts'

/**
 * The queue on NATS JetStream, in three streams that all jobs share:
 *
 *   XENOLITH_JOBS     xenolith.job.ID            one message a job: what it is; the first stays
 *   XENOLITH_PIECES   xenolith.piece.ID.NUMBER   a work queue: a message is gone once a worker has acknowledged it
 *   XENOLITH_RESULTS  xenolith.result.ID.NUMBER  the last few results of a piece, so that none keeps another out
 *
 * Publishing a job or a piece again, by a second coordinator or after a lost answer, changes nothing. A worker
 * acknowledges a piece after its result has been stored.
 */
const JOBS = 'XENOLITH_JOBS'
const PIECES = 'XENOLITH_PIECES'
const RESULTS = 'XENOLITH_RESULTS'
const WORKERS = 'workers'

const NANOS = 1e6
const DAY = 24 * 3600 * 1000 * NANOS

const oncePerSubject = { max_msgs_per_subject: 1, discard: DiscardPolicy.New, discard_new_per_subject: true }

/** Sizes are limits against floods: a piece is a few words, and no job or result is larger than messages.ts allows. */
const STREAMS: readonly (Partial<StreamConfig> & { name: string })[] = [
  {
    name: JOBS,
    subjects: ['xenolith.job.*'],
    max_age: 7 * DAY,
    ...oncePerSubject,
  },
  {
    name: PIECES,
    subjects: ['xenolith.piece.*.*'],
    retention: RetentionPolicy.Workqueue,
    max_age: 7 * DAY,
    max_msg_size: 1024,
    ...oncePerSubject,
  },
  {
    name: RESULTS,
    subjects: ['xenolith.result.*.*'],
    max_age: 7 * DAY,
    max_msg_size: 2 ** 20,
    max_msgs_per_subject: 16,
    discard: DiscardPolicy.Old,
    discard_new_per_subject: false,
  },
]

/** JetStream's error for a subject that has its message already: JSStreamStoreFailedF. */
const STORE_FAILED = 10077
/** And for a consumer, message or stream that is not there. */
const NOT_FOUND = [10014, 10037, 10059]
/** HTTP's word for a JetStream that is not up yet. */
const UNAVAILABLE = 503
/** Messages published without waiting for each answer. */
const AT_ONCE = 200
/** Results that are fetched together: as many of the largest fit in memory. */
const RESULTS_AT_ONCE = 50

/** @param ackWait milliseconds of silence after which a piece goes to another worker */
export async function openNats(address: ServerAddress, ackWait = 30_000): Promise<Queue> {
  const connection = await connected(address)
  try {
    const manager = await jetstreamManager(connection)
    for (const stream of STREAMS) await ensureStream(manager, stream)
    await ensureWorkers(manager, ackWait)
    return new NatsQueue(connection, manager)
  } catch (error) {
    await connection.close()
    const remedy = isRefusal(error) ? '' : '; start it with -js'
    throw new BadInput(
      `the NATS server at ${address.host} has no JetStream for us: ${reasonOf(error)}${remedy}`,
    )
  }
}

async function connected({ host, authenticator, tls }: ServerAddress): Promise<NatsConnection> {
  try {
    return await connect({
      servers: host,
      ...(authenticator === null ? {} : { authenticator }),
      ...(tls === null ? {} : { tls }),
      name: 'xenolith',
      // A server that is started again is waited for, however long it takes.
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
    })
  } catch (error) {
    if (error instanceof errors.AuthorizationError)
      throw new BadInput(
        `the NATS server at ${host} does not let us in: ${reasonOf(error)}; give it a name and a password, or --creds FILE`,
      )
    throw new BadInput(`no NATS server answers at ${host}: ${reasonOf(error)}`)
  }
}

async function ensureStream(
  manager: JetStreamManager,
  wanted: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    const { config } = await manager.streams.info(wanted.name)
    const differs = Object.entries(wanted).some(([key, value]) => !isSame(config[key as never], value))
    // The client writes into what it is given.
    if (differs) await manager.streams.update(wanted.name, { ...wanted })
  } catch (error) {
    if (!isApiError(error, NOT_FOUND)) throw error
    await manager.streams.add({ ...wanted })
  }
}

/** Whether a server's setting is the wanted one; it leaves out what is off. */
function isSame(there: unknown, wanted: unknown): boolean {
  return JSON.stringify(there ?? false) === JSON.stringify(wanted)
}

/** The one consumer that all workers share. Pieces that nobody can do yet must not keep others from being given out. */
async function ensureWorkers(manager: JetStreamManager, ackWait: number): Promise<void> {
  const config = { ack_wait: ackWait * NANOS, max_deliver: -1, max_ack_pending: -1 }
  try {
    const there = await manager.consumers.info(PIECES, WORKERS)
    const differs = Object.entries(config).some(([key, value]) => !isSame(there.config[key as never], value))
    if (differs) await manager.consumers.update(PIECES, WORKERS, { ...there.config, ...config })
  } catch (error) {
    if (!isApiError(error, NOT_FOUND)) throw error
    await manager.consumers.add(PIECES, {
      durable_name: WORKERS,
      ack_policy: AckPolicy.Explicit,
      ...config,
    })
  }
}

class NatsQueue implements Queue {
  readonly mostBytes: number
  private readonly connection: NatsConnection
  private readonly manager: JetStreamManager
  private readonly client: JetStreamClient
  private pieces: Consumer | null = null
  private reading: { consumer: Consumer; id: string; last: number } | null = null

  constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection
    this.manager = manager
    this.client = jetstream(connection)
    this.mostBytes = connection.info?.max_payload ?? 2 ** 20
  }

  async publishJob(id: string, job: Uint8Array): Promise<void> {
    await this.publishOnce(`xenolith.job.${id}`, job)
  }

  async findJob(id: string): Promise<Uint8Array | null> {
    return (await this.jobMessage(id))?.data ?? null
  }

  async removeJob(id: string): Promise<void> {
    const message = await this.jobMessage(id)
    if (message !== null) await this.remove(JOBS, message.seq)
  }

  private jobMessage(id: string): Promise<StoredMsg | null> {
    return this.insisting(async () => {
      try {
        return await this.manager.streams.getMessage(JOBS, { last_by_subj: `xenolith.job.${id}` })
      } catch (error) {
        if (isApiError(error, NOT_FOUND)) return null
        throw error
      }
    })
  }

  async publishPieces(id: string, pieces: readonly Numbered[]): Promise<void> {
    for (let from = 0; from < pieces.length; from += AT_ONCE) {
      const batch = pieces.slice(from, from + AT_ONCE)
      await Promise.all(
        batch.map(({ piece, data }) => this.publishOnce(`xenolith.piece.${id}.${piece}`, data)),
      )
    }
  }

  async results(id: string, after: number): Promise<{ results: StoredResult[]; last: number }> {
    let last = after
    const results: StoredResult[] = []
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
      const messages = await this.reading.consumer.fetch({ max_messages: RESULTS_AT_ONCE, expires: 1000 })
      for await (const message of messages) {
        last = message.seq
        results.push({ piece: lastNumber(message.subject), data: message.data, place: message.seq })
      }
      this.reading.last = last
    } catch (error) {
      // The server is away: what came counts, the rest is read again when it is back.
      this.reading = null
      await this.isAway(error)
    }
    return { results, last }
  }

  async storeResult(id: string, { piece, data }: Numbered): Promise<void> {
    await this.insisting(() => this.client.publish(`xenolith.result.${id}.${piece}`, data))
  }

  async removeResults(places: readonly number[]): Promise<void> {
    for (const place of places) await this.remove(RESULTS, place)
  }

  private async remove(stream: string, place: number): Promise<void> {
    await this.insisting(async () => {
      try {
        await this.manager.streams.deleteMessage(stream, place)
      } catch (error) {
        // It is gone already, or this user may not delete: what is refused stays refused.
        if (!(error instanceof JetStreamApiError)) throw error
      }
    })
  }

  async next(): Promise<Delivery | null> {
    try {
      this.pieces ??= await this.client.consumers.get(PIECES, WORKERS)
      const message = await this.pieces.next({ expires: 1000 })
      return message === null ? null : this.deliveryOf(message)
    } catch (error) {
      this.pieces = null
      await this.isAway(error)
      return null
    }
  }

  private deliveryOf(message: JsMsg): Delivery {
    const job = message.subject.split('.')[2]
    const piece = lastNumber(message.subject)
    return {
      job,
      piece,
      data: message.data,
      attempts: message.info.deliveryCount,
      working: () => message.working(),
      done: async (data) => {
        await this.storeResult(job, { piece, data })
        message.ack()
      },
      giveBack: (milliseconds) => message.nak(milliseconds),
      drop: () => message.term(),
    }
  }

  async close(): Promise<void> {
    await this.connection.drain().catch(() => this.connection.close())
  }

  /** Publish on a subject that holds one message; that it has one already is as good. */
  private async publishOnce(subject: string, data: Uint8Array): Promise<void> {
    await this.insisting(async () => {
      try {
        await this.client.publish(subject, data)
      } catch (error) {
        if (!isApiError(error, [STORE_FAILED])) throw error
      }
    })
  }

  /** Do it again as long as the server does not answer: it may be starting. */
  private async insisting<T>(action: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await action()
      } catch (error) {
        await this.isAway(error)
      }
    }
  }

  /** Wait a little where the server is away. Throws BadInput where it is there and says no, or will not be back. */
  private async isAway(error: unknown): Promise<void> {
    if (error instanceof BadInput) throw error
    if (this.connection.isClosed())
      throw new BadInput(`the NATS server has closed the connection for good: ${reasonOf(error)}`)
    if (isRefusal(error)) throw new BadInput(`the NATS server refuses: ${reasonOf(error)}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
}

const PAUSE = 500

/** Errors that no waiting mends: what this user may not do, what the server takes of nobody. */
function isRefusal(error: unknown): boolean {
  if (error instanceof JetStreamApiError)
    return error.apiError().code !== UNAVAILABLE && !isApiError(error, NOT_FOUND)
  const refusals = [
    errors.PermissionViolationError,
    errors.AuthorizationError,
    errors.UserAuthenticationExpiredError,
    errors.InvalidArgumentError,
    errors.InvalidSubjectError,
  ]
  return refusals.some((kind) => error instanceof kind)
}

function isApiError(error: unknown, codes: readonly number[]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.apiError().err_code)
}

function lastNumber(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1))
}

/** The server's words, which are somebody else's. */
function reasonOf(error: unknown): string {
  return foreignText(error instanceof Error ? error.message : String(error))
}
