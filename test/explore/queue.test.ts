import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Explored, type ExplorePlan, explore } from '../../src/explore/exports.ts'
import { jobId } from '../../src/explore/queue/code.ts'
import { coordinate } from '../../src/explore/queue/coordinate.ts'
import { encodeJob, encodePiece } from '../../src/explore/queue/messages.ts'
import { openQueue } from '../../src/explore/queue/open-queue.ts'
import { work } from '../../src/explore/queue/work.ts'
import { sweepJob } from '../../src/explore/sweep/run-sweep.ts'
import {
  finishedPieces,
  inline,
  local,
  PIECES,
  results,
  SPEC,
  withServer,
  worker,
} from '../tools/queue-tools.ts'
import { needs, notAsked, xenolith } from '../tools/tools.ts'

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

const skip = notAsked || needs('nats-server')
const options = { skip, timeout: 120_000 }

describe('queue', { ...options, concurrency: 6 }, () => {
  test('a worker killed in the middle of a piece loses nothing', () =>
    withServer(async (server, open) => {
      const queue = await open()
      const whole = results(queue)
      const piece = await killedWorker(server.url, 'silent')
      assert.ok(!(await finishedPieces(await open())).has(piece))
      const other = worker(await open())
      assert.deepEqual(await whole, await local())
      assert.equal((await finishedPieces(await open())).size, PIECES)
      assert.ok((await other.stop()) >= PIECES)
    }))

  test('a piece delivered twice counts once', () =>
    withServer(async (server, open) => {
      const queue = await open()
      const whole = results(queue)
      // Its result is stored, but it dies before it can say so: the piece comes to another worker.
      const piece = await killedWorker(server.url, 'stored')
      assert.ok((await finishedPieces(await open())).has(piece))
      const other = worker(await open())
      assert.deepEqual(await whole, await local())
      // The coordinator has all when nine pieces are done; the tenth is redelivered all the same.
      await new Promise((resolve) => setTimeout(resolve, 2500))
      assert.ok((await other.stop()) >= PIECES)
    }))

  test('a server that is killed and started again goes on where it was', () =>
    withServer(async (server, open) => {
      const queue = await open()
      const whole = results(queue, { silence: 3000 })
      await killedWorker(server.url, 'stored')
      await server.kill()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      await server.start()
      const other = worker(await open())
      assert.deepEqual(await whole, await local())
      await other.stop()
    }))

  test('two coordinators of one sweep get the same, and a third repeats nothing', () =>
    withServer(async (_server, open) => {
      const [first, second] = [results(await open()), results(await open())]
      const other = worker(await open())
      const expected = await local()
      assert.deepEqual(await first, expected)
      assert.deepEqual(await second, expected)
      assert.ok((await other.stop()) >= PIECES)
      // With no worker left, all results are there.
      assert.deepEqual(await results(await open()), expected)
    }))

  test('shards of a queue make up the whole', () =>
    withServer(async (_server, open) => {
      const other = worker(await open())
      const shards = [1, 2, 3].map(async (index) => results(await open(), { shard: { index, of: 3 } }))
      const rows = (await Promise.all(shards)).flat()
      assert.deepEqual(
        rows.sort((a, b) => a.n - b.n),
        await local(),
      )
      await other.stop()
    }))

  test('a worker with other code does not touch a job, and says why', () =>
    withServer(async (_server, open) => {
      const queue = await open()
      const code = '0123456789abcdef'
      const job = { ...sweepJob(SPEC), code, key: '00'.repeat(32) }
      const id = jobId(job, code)
      await queue.publishJob(id, encodeJob(job))
      await queue.publishPieces(id, [{ piece: 0, data: encodePiece({ id, job }, 0) }])
      const told: string[] = []
      const controller = new AbortController()
      const done = work({
        queue: await open(),
        pool: inline,
        careful: inline,
        signal: controller.signal,
        idle: Number.POSITIVE_INFINITY,
        refused: (reason) => {
          told.push(reason)
          controller.abort()
        },
      })
      assert.equal(await done, 0)
      assert.match(told[0], /other code than this worker's/)
      const { results: none } = await queue.results(id, 0)
      assert.deepEqual(none, [])
    }))

  test('random walks go through the queue too, compared, and find the same', () =>
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
        walksBy: (job, shard, from, watch) =>
          coordinate({
            queue,
            job,
            shard,
            from,
            signal: how.signal,
            pool: inline,
            careful: inline,
            verify: 1,
            watch,
          }),
      })
      assert.deepEqual(there, here)
      assert.ok(here.findings.length > 0)
      assert.equal(here.walks, 300)
      assert.ok((await other.stop()) >= 10)
    }))
})

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
  await assert.rejects(openQueue({ queue: 'nowhere' }), /is no address/)
  await assert.rejects(openQueue({ queue: 'http://127.0.0.1' }), /only nats:\/\/ and tls:\/\//)
  await assert.rejects(openQueue({ queue: 'nats://127.0.0.1:1' }), /no NATS server answers at 127.0.0.1:1/)
  const { status, stderr } = xenolith(['worker'])
  assert.equal(status, 2)
  assert.match(stderr, /^xenolith: --queue is missing/)
})
