import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import type { PieceTask } from '../../src/explore/jobs/job.ts'
import { oneProcess } from '../../src/explore/jobs/one-process.ts'
import { openPool, type Pool } from '../../src/explore/jobs/pool.ts'
import { codeDigest, jobId } from '../../src/explore/queue/code.ts'
import { encodeJob, encodePiece, encodeResult, type KnownJob } from '../../src/explore/queue/messages.ts'
import type { Queue } from '../../src/explore/queue/queue.ts'
import { newWorker, sealed, signed, type Worker } from '../../src/explore/queue/seal.ts'
import { work } from '../../src/explore/queue/work.ts'
import type { Row } from '../../src/explore/sweep/piece.ts'
import {
  ID,
  inline,
  knownJob,
  local,
  once,
  PIECES,
  results,
  rowsOf,
  SPEC,
  withServer,
  worker,
} from '../tools/queue-tools.ts'
import { needs, notAsked } from '../tools/tools.ts'

/** Peers of every bad kind, on a real server. Whatever they do, a sweep comes to what it is on one machine. */
type Peer = {
  readonly known: KnownJob
  readonly queue: Queue
  /** Write to any subject of the server, as whoever reaches it can. */
  readonly write: (subject: string, data: string | Uint8Array) => Promise<void>
}

/** A sweep with a peer that acts before the first honest worker comes. Returns what coordinator and worker told. */
async function attacked(
  attack: (peer: Peer) => Promise<void>,
  how: Parameters<typeof results>[1] = {},
): Promise<{ coordinator: string; worker: string }> {
  const [told, toldByWorker]: string[][] = [[], []]
  await withServer(async (server, open) => {
    const tell = (line: string) => told.push(line)
    const whole = results(await open(), { silence: 2000, tell, ...how })
    whole.catch(() => {})
    const queue = await open()
    const known = await knownJob(queue)
    const connection = await connect({ servers: server.url })
    const stream = jetstream(connection)
    try {
      await attack({
        known,
        queue,
        write: async (subject, data) => void (await stream.publish(subject, data)),
      })
      const honest = worker(await open(), (line) => toldByWorker.push(line))
      assert.deepEqual(await whole, await local())
      await honest.stop()
    } finally {
      await connection.close()
    }
  })
  for (const line of [...told, ...toldByWorker]) assert.match(line, /^[ -~’…]{1,310}$/)
  return { coordinator: told.join('\n'), worker: toldByWorker.join('\n') }
}

const booted = (row: Row): Row => ({ n: row.n, outcome: 'booted', signature: '', skipped: true })

describe('hostile peers', {
  skip: notAsked || needs('nats-server'),
  timeout: 120_000,
  concurrency: 6,
}, () => {
  test('what does not carry the job’s key is refused: forged results, and what is no message at all', async () => {
    const { coordinator } = await attacked(async ({ known: { id, job }, write }) => {
      const forged = (await rowsOf(1)).map(booted)
      const evil = newWorker('evil')
      const messages: (string | Uint8Array)[] = [
        'no JSON',
        JSON.stringify({ piece: 1, result: forged }),
        '',
        '['.repeat(2 ** 19),
        '\x1b[2J\u202e\n',
        encodeResult(
          { id, job: { ...job, key: 'ab'.repeat(32) } },
          evil,
          { piece: 5, result: forged },
          2 ** 20,
        ),
        new Uint8Array([0xff, 0xfe, 10, 0xff]),
      ]
      for (const [piece, message] of messages.entries())
        await write(`xenolith.result.${id}.${piece}`, message)
      for (const place of ['x', '99', '-1', '1e3']) await write(`xenolith.result.${id}.${place}`, 'x')
    })
    for (const piece of [0, 1, 2, 3, 4, 5, 6])
      assert.match(
        coordinator,
        new RegExp(`a result of piece ${piece} by somebody is refused: it does not carry`),
      )
  })

  test('a result with the key must be the piece’s: its job, number, count, machines and shape', async () => {
    const { coordinator } = await attacked(async ({ known, write }) => {
      const rows = await rowsOf(0)
      const wrong: readonly unknown[] = [
        [],
        rows.slice(1),
        [...rows, rows[0]],
        rows,
        null,
        { length: 64 },
        rows.map((row, i) => ({ ...row, n: 6 * 64 + i, outcome: 'fine' })),
        rows.map((row, i) => ({ n: 7 * 64 + i, outcome: row.outcome, signature: 1 })),
      ]
      for (const [piece, result] of wrong.entries()) {
        const message = encodeResult(known, newWorker(`evil${piece}`), { piece, result }, 2 ** 20)
        await write(`xenolith.result.${known.id}.${piece}`, message)
      }
      const other = { ...known, id: '0'.repeat(20) }
      const result = await rowsOf(8)
      await write(
        `xenolith.result.${known.id}.8`,
        encodeResult(other, newWorker('evil8'), { piece: 8, result }, 2 ** 20),
      )
      await write(
        `xenolith.result.${known.id}.9`,
        encodeResult(known, newWorker('evil9'), { piece: 8, result }, 2 ** 20),
      )
    })
    for (let piece = 0; piece < PIECES; piece++)
      assert.match(
        coordinator,
        new RegExp(`a result of piece ${piece} by worker evil${piece}/\\S+ is refused: `),
      )
    assert.match(coordinator, /piece 0 .*expected 64, found 0/)
    assert.match(coordinator, /piece 9 .*it is about piece 8 of job/)
  })

  test('nobody speaks in another worker’s name', async () => {
    const { coordinator } = await attacked(async ({ known: { id, job }, write }) => {
      const [honest, evil] = [newWorker('honest'), newWorker('evil')]
      const result = (await rowsOf(0)).map(booted)
      const body = (worker: Worker) => JSON.stringify({ job: id, piece: 0, result, worker })
      const { name, key } = honest
      await write(`xenolith.result.${id}.0`, sealed(job.key, signed(evil, body({ name, key } as Worker))))
      await write(`xenolith.result.${id}.0`, sealed(job.key, body({ name, key } as Worker)))
      await write(
        `xenolith.result.${id}.0`,
        sealed(job.key, signed(evil, body({ name, key: 'A'.repeat(43) } as Worker))),
      )
    })
    assert.match(coordinator, /by somebody is refused: its signature is not the worker’s/)
    assert.doesNotMatch(coordinator, /honest/)
  })

  test('a worker that lies is found out by its first piece, named, and all its pieces are done again', async () => {
    const liar = newWorker('liar\x1b[31m')
    const { coordinator } = await attacked(
      async ({ known, queue }) => {
        for (let taken = 0; taken < PIECES; taken++) {
          const delivery = (await queue.next())!
          const { piece } = delivery
          const result = (await rowsOf(piece)).map(booted)
          await delivery.done(encodeResult(known, liar, { piece, result }, 2 ** 20))
        }
      },
      { verify: 0.01 },
    )
    assert.match(coordinator, /worker liar\\x1b\[31m\/\S+ said of piece \d what is not so/)
  })

  test('a worker that lies in one machine of one piece is found out when that piece is computed again', async () => {
    const { coordinator } = await attacked(
      async ({ known, write }) => {
        const evil = newWorker('evil')
        for (let piece = 0; piece < PIECES; piece++) {
          const result = await rowsOf(piece)
          if (piece === 7) result[63] = { ...result[63], outcome: 'fault', signature: 'a lie' }
          const message = encodeResult(known, evil, { piece, result }, 2 ** 20)
          await write(`xenolith.result.${known.id}.${piece}`, message)
        }
      },
      { verify: 1 },
    )
    assert.match(coordinator, /worker evil\/\S+ said of piece 7 what is not so/)
  })

  test('where two workers differ this machine decides, and the one that is wrong is named', async () => {
    const { coordinator } = await attacked(async ({ known, write }) => {
      const right = await rowsOf(4)
      const subject = `xenolith.result.${known.id}.4`
      const wrong = right.map(booted)
      await write(subject, encodeResult(known, newWorker('evil'), { piece: 4, result: wrong }, 2 ** 20))
      await write(subject, encodeResult(known, newWorker('good'), { piece: 4, result: right }, 2 ** 20))
    })
    assert.match(coordinator, /^worker evil\/\S+ said of piece 4 what is not so/)
    assert.doesNotMatch(coordinator, /good/)
  })

  test('a piece that workers fail at is tried again, then here, and told', async () => {
    const { coordinator } = await attacked(async ({ known, write }) => {
      for (let piece = 0; piece < 3; piece++)
        for (const name of ['first', 'second'])
          await write(
            `xenolith.result.${known.id}.${piece}`,
            encodeResult(known, newWorker(name), { piece, error: `no ${'\x9b'}luck` }, 2 ** 20),
          )
    })
    assert.match(coordinator, /worker first\/\S+ could not carry out piece 0: no \\x9bluck/)
  })

  test('a piece that kills every worker is suspected, tried elsewhere, and ends the run with its reason', () =>
    withServer(async (_server, open) => {
      const poisoned: Pool<PieceTask, unknown> = {
        ...inline,
        run: (task) => (task.piece === 3 ? Promise.reject(new Error('poison')) : once(task)),
      }
      const told: string[] = []
      const whole = results(await open(), {
        pool: poisoned,
        careful: poisoned,
        tell: (line) => told.push(line),
      })
      whole.catch(() => {})
      // They take every piece and say no more.
      const dying = await open()
      for (let taken = 0; taken < 3 * PIECES; taken++) if ((await dying.next()) === null) taken--
      const controller = new AbortController()
      const carefully: number[] = []
      const workers = work({
        queue: await open(),
        pool: poisoned,
        careful: {
          ...inline,
          run: (task) => {
            carefully.push(task.piece)
            return poisoned.run(task)
          },
        },
        signal: controller.signal,
        idle: Number.POSITIVE_INFINITY,
      })
      await assert.rejects(whole, /no worker could carry out piece 3, nor could this machine: poison/)
      assert.match(told.join('\n'), /^worker \S+ could not carry out piece 3: poison$/)
      assert.deepEqual(
        carefully.filter((piece) => piece === 3),
        [3],
      )
      controller.abort()
      await workers
    }))

  test('a process that dies of its piece is an error, and not our end', async () => {
    const file = new URL('../fixtures/queue/dying-piece', import.meta.url)
    const pool = openPool<number, number>(
      fileURLToPath(file),
      { url: import.meta.url, filename: import.meta.filename },
      1,
      'child_process',
    )
    await assert.rejects(pool.run(1), /exited unexpectedly/)
    await pool.close()
    assert.deepEqual(await oneProcess.run({ kind: 'sweep', spec: SPEC, piece: 1 }), await rowsOf(1))
  })

  test('without workers, and with one that never answers, this machine does what is missing', async () => {
    let busy: NodeJS.Timeout | undefined
    const told: string[] = []
    await withServer(async (_server, open) => {
      const whole = results(await open(), { patience: 1000, tell: (line) => told.push(line) })
      const slow = (await (await open()).next())!
      busy = setInterval(() => slow.working(), 200)
      assert.deepEqual(await whole, await local())
      clearInterval(busy)
    })
    assert.deepEqual(told, ['no result has come for 1 seconds; what is missing is done here as well'])
  })

  test('jobs that are none, or another’s, neither stop a worker nor reach it', async () => {
    const { worker: told } = await attacked(async ({ known: { id, job }, queue, write }) => {
      const other = { kind: 'shrink', spec: {}, pieces: 1, code: codeDigest(), key: job.key }
      const huge = { ...job, spec: { ...SPEC, space: { maps: [] } }, pieces: 10 }
      const deep = `{"kind":"sweep","spec":${'['.repeat(200_000)}${']'.repeat(200_000)},"pieces":1,"code":"${job.code}","key":"${job.key}"}`
      for (const bad of [other, huge]) {
        const badId = jobId(bad, bad.code)
        await write(`xenolith.job.${badId}`, encodeJob(bad))
        await write(`xenolith.piece.${badId}.0`, encodePiece({ id: badId, job: bad }, 0))
      }
      await write(`xenolith.job.${'1'.repeat(20)}`, 'no JSON')
      await write(`xenolith.piece.${'1'.repeat(20)}.0`, 'x')
      await write(`xenolith.job.${'2'.repeat(20)}`, encodeJob(job))
      await write(`xenolith.piece.${'2'.repeat(20)}.0`, encodePiece({ id: '2'.repeat(20), job }, 0))
      await write(`xenolith.job.${'3'.repeat(20)}`, deep)
      await write(`xenolith.piece.${'3'.repeat(20)}.0`, 'x')
      await write('xenolith.piece.nobody.0', 'x')
      // The job's own pieces, forged; and the job itself, replaced by one with another key.
      await write(`xenolith.piece.${id}.77`, encodePiece({ id, job }, 77))
      await write(`xenolith.piece.${id}.x`, 'x')
      await queue.removeJob(id)
      await write(`xenolith.job.${id}`, encodeJob({ ...job, key: 'cd'.repeat(32) }))
    })
    for (const says of [
      /"shrink" is no kind of job that goes through a queue/,
      /job 1{20}: not JSON; its pieces are not taken/,
      /job 2{20}: it is another job under this one's id/,
      /job 3{20}: it is another job under this one's id/,
      /'nobody' is no job/,
      /, spec.*maps/,
      /piece \d+ of job \S+ does not carry the job's key/,
    ])
      assert.match(told, says)
  })

  test('a job that somebody else’s message stands in the place of is published all the same', () =>
    withServer(async (server, open) => {
      const [queue, connection] = [await open(), await connect({ servers: server.url })]
      await jetstream(connection).publish(`xenolith.job.${ID}`, 'no JSON')
      const honest = worker(await open())
      assert.deepEqual(await results(queue), await local())
      await honest.stop()
      await connection.close()
    }))

  test('a flood is told in a few lines', async () => {
    const { coordinator } = await attacked(async ({ known, write }) => {
      for (let i = 0; i < 400; i++) {
        const error = { piece: i % PIECES, error: `${i} ${'x'.repeat(5000)}` }
        const message = encodeResult(known, newWorker(`${i}`), error, 2 ** 20)
        await write(`xenolith.result.${known.id}.${i % PIECES}`, message)
      }
    })
    assert.ok(coordinator.split('\n').length <= 51)
  })
})
