import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Explored, type ExplorePlan, explore } from '../../src/explore/explore.ts'
import { type PieceTask, runPiece } from '../../src/explore/jobs/job.ts'
import type { Pool } from '../../src/explore/jobs/pool.ts'
import { codeDigest, jobId } from '../../src/explore/queue/code.ts'
import { coordinate } from '../../src/explore/queue/coordinate.ts'
import { openNats } from '../../src/explore/queue/nats.ts'
import { openQueue } from '../../src/explore/queue/open-queue.ts'
import type { Queue } from '../../src/explore/queue/queue.ts'
import { work } from '../../src/explore/queue/work.ts'
import type { Row, SweepSpec } from '../../src/explore/sweep/piece.ts'
import { readSpace } from '../../src/explore/sweep/read-space.ts'
import { sweepJob } from '../../src/explore/sweep/run-sweep.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { natsServer, type Server } from '../tools/nats-server.ts'
import { needs, xenolith } from '../tools/tools.ts'

/** Ten pieces of small machines, some of which are refused. `seed` makes each test's job its own. */
function spec(seed: number): SweepSpec {
  const raw = { map: ['none'], memory: ['0x40201p..0x40240p+1p'], vEnd: ['32M,36M'], linux: ['A,B,C0,C,D'] }
  return { space: readSpace(raw, findMap), seed, forecast: true }
}
const WHOLE = { index: 1, of: 1 }
const PIECES = 10

async function local(of: SweepSpec): Promise<Row[]> {
  const job = sweepJob(of)
  assert.equal(job.pieces, PIECES)
  const rows: Row[] = []
  for (let piece = 0; piece < job.pieces; piece++)
    rows.push(...((await runPiece({ ...job, piece })) as Row[]))
  return rows
}

/** A pool without threads: what is tested is the queue. */
const inline: Pool<PieceTask, unknown> = { threads: 2, run: runPiece, close: async () => {} }

/** Work until stopped; returns how many pieces were done, on a busy machine some of them twice. */
function worker(queue: Queue): { stop(): Promise<number> } {
  const controller = new AbortController()
  const done = work(queue, inline, controller.signal, Number.POSITIVE_INFINITY)
  return {
    stop: () => {
      controller.abort()
      return done
    },
  }
}

async function results(queue: Queue, of: SweepSpec, silence?: number, shard = WHOLE): Promise<Row[]> {
  const rows: Row[] = []
  const signal = new AbortController().signal
  await coordinate(
    queue,
    sweepJob(of),
    shard,
    0,
    signal,
    { take: (part) => void rows.push(...(part as Row[])) },
    silence,
  )
  return rows
}

/** A worker process that stops before it has acknowledged its first piece, killed when it is so far. */
async function killedWorker(url: string, how: 'silent' | 'stored'): Promise<number> {
  const file = fileURLToPath(new URL('../fixtures/queue/dying-worker.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [file, url, how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const took = await new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (data) => resolve(String(data)))
    child.once('exit', () => reject(new Error('the worker ended by itself')))
  })
  child.removeAllListeners('exit')
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  return Number(/took (\d+)/.exec(took)![1])
}

async function withServer(run: (server: Server, open: () => Promise<Queue>) => Promise<void>): Promise<void> {
  const server = await natsServer()
  const opened: Queue[] = []
  const open = async (): Promise<Queue> => {
    const queue = await openNats(new URL(server.url), 1000)
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

const skip = needs('nats-server')
const options = { skip, timeout: 120_000 }

test('a worker killed in the middle of a piece loses nothing', options, () =>
  withServer(async (server, open) => {
    const queue = await open()
    const whole = results(queue, spec(1))
    const piece = await killedWorker(server.url, 'silent')
    const id = jobId(sweepJob(spec(1)), codeDigest())
    assert.ok(!(await queue.finishedPieces(id)).has(piece))
    const other = worker(await open())
    assert.deepEqual(await whole, await local(spec(1)))
    assert.equal((await queue.finishedPieces(id)).size, PIECES)
    assert.ok((await other.stop()) >= PIECES)
  }),
)

test('a piece delivered twice counts once', options, () =>
  withServer(async (server, open) => {
    const queue = await open()
    const whole = results(queue, spec(2))
    // Its result is stored, but it dies before it can say so: the piece comes to another worker.
    const piece = await killedWorker(server.url, 'stored')
    const id = jobId(sweepJob(spec(2)), codeDigest())
    assert.ok((await queue.finishedPieces(id)).has(piece))
    const other = worker(await open())
    assert.deepEqual(await whole, await local(spec(2)))
    // The coordinator has all when nine pieces are done; the tenth is redelivered all the same.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    assert.ok((await other.stop()) >= PIECES)
    const { results: stored } = await (await open()).results(id, 0)
    assert.equal(stored.length, PIECES)
  }),
)

test('a server that is killed and started again goes on where it was', options, () =>
  withServer(async (server, open) => {
    const queue = await open()
    const whole = results(queue, spec(3), 3000)
    await killedWorker(server.url, 'stored')
    await server.kill()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await server.start()
    const other = worker(await open())
    assert.deepEqual(await whole, await local(spec(3)))
    await other.stop()
  }),
)

test('two coordinators of one sweep get the same, and no piece has two results', options, () =>
  withServer(async (_server, open) => {
    const [first, second] = [results(await open(), spec(4)), results(await open(), spec(4))]
    const other = worker(await open())
    const expected = await local(spec(4))
    assert.deepEqual(await first, expected)
    assert.deepEqual(await second, expected)
    // A third one, later, finds all results there.
    assert.deepEqual(await results(await open(), spec(4)), expected)
    assert.ok((await other.stop()) >= PIECES)
  }),
)

test('shards of a queue make up the whole', options, () =>
  withServer(async (_server, open) => {
    const other = worker(await open())
    const shards = [1, 2, 3].map(async (index) => results(await open(), spec(5), undefined, { index, of: 3 }))
    const rows = (await Promise.all(shards)).flat()
    assert.deepEqual(
      rows.sort((a, b) => a.n - b.n),
      await local(spec(5)),
    )
    await other.stop()
  }),
)

test('a worker with other code does not touch a job, and says why', options, () =>
  withServer(async (_server, open) => {
    const queue = await open()
    await queue.publishJob('other', { kind: 'sweep', spec: spec(6), pieces: 1, code: 'other' })
    await queue.publishPieces('other', [0])
    const told: string[] = []
    const controller = new AbortController()
    const done = work(await open(), inline, controller.signal, Number.POSITIVE_INFINITY, {
      refused: (reason) => {
        told.push(reason)
        controller.abort()
      },
    })
    assert.equal(await done, 0)
    assert.match(told[0], /other code than this worker's/)
    assert.deepEqual(await queue.finishedPieces('other'), new Set())
  }),
)

test('a piece that fails on every worker ends the run with its reason', options, () =>
  withServer(async (_server, open) => {
    const other = worker(await open())
    const job = { kind: 'sweep', spec: { broken: true }, pieces: 1 }
    await assert.rejects(
      coordinate(await open(), job, WHOLE, 0, new AbortController().signal, { take: () => true }),
      /no worker could carry out piece 0: /,
    )
    await other.stop()
  }),
)

test('the command line: worker and sweep, through the queue', options, () =>
  withServer(async (server) => {
    const axes = [
      '--map',
      'none',
      '--memory',
      '0x40201p..0x40240p+1p',
      '--linux',
      'A,B',
      '--json',
      '--no-shrink',
    ]
    const bin = fileURLToPath(new URL('../../bin/xenolith.js', import.meta.url))
    const child = spawn(process.execPath, [
      bin,
      'worker',
      '--queue',
      server.url,
      '--threads',
      '1',
      '--idle',
      '5',
    ])
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const queued = xenolith(['sweep', ...axes, '--queue', server.url])
    assert.equal(queued.status, 0, queued.stderr)
    assert.deepEqual(JSON.parse(queued.stdout), JSON.parse(xenolith(['sweep', ...axes]).stdout))
    assert.equal(await ended, 0)
  }),
)

test('random walks go through the queue too, and find the same', options, () =>
  withServer(async (_server, open) => {
    const other = worker(await open())
    const queue = await open()
    const plan: ExplorePlan = {
      space: { xen: '4.17', domain: 'dom0', pages: 2, holes: '182' },
      depth: 1,
      walks: 300,
      length: 30,
      seed: 1,
      all: true,
    }
    const how = { threads: 1, signal: new AbortController().signal }
    const here = await explore(plan, how)
    const there = await explore(plan, {
      ...how,
      walksBy: (job, shard, from, signal, take) => coordinate(queue, job, shard, from, signal, { take }),
    })
    assert.deepEqual(there, here)
    assert.ok(here.findings.length > 0)
    assert.equal(here.walks, 300)
    assert.ok((await other.stop()) >= 10)
  }),
)

test('shards of random walks are the walks of the whole', async () => {
  const plan: ExplorePlan = {
    space: { xen: '4.17', domain: 'dom0', pages: 2, holes: '182' },
    depth: 1,
    walks: 300,
    length: 30,
    seed: 1,
    all: true,
  }
  const how = { threads: 1, signal: new AbortController().signal }
  const whole = await explore(plan, how)
  const shards: Explored[] = []
  for (const index of [1, 2, 3]) shards.push(await explore({ ...plan, shard: { index, of: 3 } }, how))
  const sum = (of: 'walks' | 'steps') => shards.reduce((total, shard) => total + shard[of], 0)
  assert.deepEqual([sum('walks'), sum('steps')], [whole.walks, whole.steps])
  const properties = (list: typeof shards) =>
    [...new Set(list.flatMap(({ findings }) => findings.map(({ property }) => property)))].sort()
  assert.deepEqual(properties(shards), properties([whole]))
})

test('an address that is none, and a server that is not there, are one line', async () => {
  await assert.rejects(openQueue('nowhere'), /is no address/)
  await assert.rejects(openQueue('http://127.0.0.1'), /only nats:\/\/ and tls:\/\//)
  await assert.rejects(openQueue('nats://127.0.0.1:1'), /no NATS server answers at 127.0.0.1:1/)
  const { status, stderr } = xenolith(['worker'])
  assert.equal(status, 2)
  assert.match(stderr, /^xenolith: --queue is missing/)
})
