import assert from 'node:assert/strict'
import { type PieceTask, runPiece } from '../../src/explore/jobs/job.ts'
import type { Pool } from '../../src/explore/jobs/pool.ts'
import { readAddress } from '../../src/explore/queue/address.ts'
import { codeDigest, jobId } from '../../src/explore/queue/code.ts'
import { type Coordination, coordinate } from '../../src/explore/queue/coordinate.ts'
import { decodeJob, type KnownJob } from '../../src/explore/queue/messages.ts'
import { openNats } from '../../src/explore/queue/nats.ts'
import type { Queue } from '../../src/explore/queue/queue.ts'
import { work } from '../../src/explore/queue/work.ts'
import type { Row, SweepSpec } from '../../src/explore/sweep/piece.ts'
import { readSpace } from '../../src/explore/sweep/read-space.ts'
import { sweepJob } from '../../src/explore/sweep/run-sweep.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { natsServer, type Server } from './nats-server.ts'

/** Ten pieces of small machines, some of which are refused. */
export const SPEC: SweepSpec = {
  space: readSpace(
    { map: ['none'], memory: ['0x40201p..0x40240p+1p'], vEnd: ['32M,36M'], linux: ['A,B,C0,C,D'] },
    findMap,
  ),
  seed: 1,
  forecast: true,
}
export const WHOLE = { index: 1, of: 1 }
export const PIECES = 10

const computed = new Map<string, Promise<unknown>>()

/** What a piece comes to on this machine: computed once, whoever asks. */
export async function once(task: PieceTask): Promise<unknown> {
  const key = JSON.stringify(task)
  const result = computed.get(key) ?? runPiece(task)
  computed.set(key, result)
  return structuredClone(await result)
}

export function rowsOf(piece: number): Promise<Row[]> {
  return once({ kind: 'sweep', spec: SPEC, piece }) as Promise<Row[]>
}

/** What the sweep comes to on this machine. */
export async function local(): Promise<Row[]> {
  assert.equal(sweepJob(SPEC).pieces, PIECES)
  const rows: Row[] = []
  for (let piece = 0; piece < PIECES; piece++) rows.push(...(await rowsOf(piece)))
  return rows
}

/** A pool without threads: what is tested is the queue. */
export const inline: Pool<PieceTask, unknown> = { threads: 2, run: once, close: async () => {} }

/** Work until stopped; returns how many pieces were done, on a busy machine some of them twice. */
export function worker(
  queue: Queue,
  refused: (reason: string) => void = () => {},
): { stop(): Promise<number> } {
  const controller = new AbortController()
  const done = work({
    queue,
    pool: inline,
    careful: inline,
    signal: controller.signal,
    idle: Number.POSITIVE_INFINITY,
    refused,
  })
  return {
    stop: () => {
      controller.abort()
      return done
    },
  }
}

/** What a coordinator hands over of the sweep. Nothing is compared unless `how` says so. */
export async function results(
  queue: Queue,
  how: Partial<Coordination> & { readonly tell?: (line: string) => void } = {},
): Promise<Row[]> {
  const rows: Row[] = []
  const { tell = () => {}, ...rest } = how
  await coordinate({
    queue,
    job: sweepJob(SPEC),
    shard: WHOLE,
    from: 0,
    signal: new AbortController().signal,
    pool: inline,
    careful: inline,
    verify: 0,
    watch: { take: (part) => void rows.push(...(part as Row[])), tell },
    ...rest,
  })
  return rows
}

/** The id under which the sweep goes through a queue. */
export const ID = jobId(sweepJob(SPEC), codeDigest())

/** The sweep's job as peers know it, once it has been published. */
export async function knownJob(queue: Queue): Promise<KnownJob> {
  for (;;) {
    const message = await queue.findJob(ID)
    if (message !== null) return decodeJob(ID, message)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The pieces of which there is a result. */
export async function finishedPieces(queue: Queue): Promise<Set<number>> {
  const pieces = new Set<number>()
  for (let after = 0; ; ) {
    const { results: some, last } = await queue.results(ID, after)
    if (some.length === 0) return pieces
    for (const { piece } of some) pieces.add(piece)
    after = last
  }
}

/** A server of its own, and connections to it that are closed at the end. */
export async function withServer(
  run: (server: Server, open: () => Promise<Queue>) => Promise<void>,
): Promise<void> {
  const server = await natsServer()
  const opened: Queue[] = []
  const open = async (): Promise<Queue> => {
    const queue = await openNats(readAddress({ queue: server.url }), 1000)
    opened.push(queue)
    return queue
  }
  try {
    await run(server, open)
  } finally {
    await Promise.all(opened.map((queue) => queue.close()))
    await server.remove()
  }
}
