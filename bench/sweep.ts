import { spawnSync } from 'node:child_process'
import { coreCount } from '../src/explore/jobs/pool.ts'
import { coordinate } from '../src/explore/queue/coordinate.ts'
import { openQueue } from '../src/explore/queue/open-queue.ts'
import { work } from '../src/explore/queue/work.ts'
import type { Row, SweepSpec } from '../src/explore/sweep/piece.ts'
import { readSpace } from '../src/explore/sweep/read-space.ts'
import { headerLine, mergeResults, readResults, rowLine } from '../src/explore/sweep/results.ts'
import { openWorkers, runSweep, sweepJob } from '../src/explore/sweep/run-sweep.ts'
import { machineAt, machineCount } from '../src/explore/sweep/space.ts'
import { summarize } from '../src/explore/sweep/summary.ts'
import { bootOutcome } from '../src/run/boot/outcome.ts'
import { findMap } from '../src/run/maps/maps.ts'
import { natsServer } from '../test/tools/nats-server.ts'

export const name = 'sweep'
export const about =
  'all host maps x 80 v_end x 8 generations: one process, shards merged and the queue, with the same totals'

const SHARDS = 4
/** Plain boots to compare with, spread over the whole sweep. */
const PLAIN = 300

const space = readSpace(
  {
    map: ['hosts'],
    memoryCap: '16G',
    vEnd: ['32M..348M+4M'],
    linux: ['A,B0,B,C0,C,D,D2,E'],
  },
  findMap,
)
const spec: SweepSpec = { space, seed: 1, forecast: true }
const never = new AbortController().signal

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const machines = machineCount(space)
  const start = { spec, done: 0, rows: [] as Row[] }
  const pool = openWorkers(coreCount())
  try {
    const began = performance.now()
    const whole = await runSweep(pool, { ...start, shard: { index: 1, of: 1 } }, never, {
      progress: ({ done }) => done % 2048 === 0 && report(`${done} of ${machines} machines`),
    })
    const wholeMs = performance.now() - began
    const summary = summarize(whole)
    report(`one process: ${JSON.stringify(summary.totals)}`)
    report(`${summary.forecast.skipped} skipped, ${summary.forecast.checked.length} checked`)
    if (summary.forecast.differing.length > 0) throw new Error('a boot came out otherwise than forecast')

    const parts = []
    for (let index = 1; index <= SHARDS; index++) {
      const shard = { index, of: SHARDS }
      const { rows } = await runSweep(pool, { ...start, shard }, never)
      const lines = [headerLine(spec, shard, 'bench'), ...rows.map(rowLine)]
      parts.push({ file: `shard ${index}`, results: readResults(lines, `shard ${index}`) })
      report(`shard ${index} of ${SHARDS}: ${rows.length} machines`)
    }
    same(whole.rows, mergeResults(parts).rows, 'shards merged')

    const queueMs = await throughQueue(whole.rows, pool, report)
    const plainMs = plainBoots(machines)
    const perSecond = machines / (wholeMs / 1000)
    const plainPerSecond = (1000 / plainMs) * coreCount()
    return {
      machines,
      whole_ms: Math.round(wholeMs),
      machines_per_s: Math.round(perSecond),
      booted: machines - summary.forecast.skipped,
      plain_boots_per_s: Number(plainPerSecond.toPrecision(3)),
      forecast_ratio: Number((perSecond / plainPerSecond).toPrecision(3)),
      ...(queueMs === null ? {} : { queue_ms: Math.round(queueMs) }),
    }
  } finally {
    await pool.close()
  }
}

/** The same sweep through a real server, with a worker beside the coordinator; null without a server. */
async function throughQueue(
  expected: readonly Row[],
  pool: ReturnType<typeof openWorkers>,
  report: (line: string) => void,
): Promise<number | null> {
  if (spawnSync('nats-server', ['--version']).status !== 0) {
    report('nats-server is not installed: no queue')
    return null
  }
  const server = await natsServer()
  const [queue, workers] = [await openQueue({ queue: server.url }), await openQueue({ queue: server.url })]
  const controller = new AbortController()
  const done = work({
    queue: workers,
    pool,
    careful: pool,
    signal: controller.signal,
    idle: Number.POSITIVE_INFINITY,
  })
  try {
    const began = performance.now()
    const rows: Row[] = []
    const take = (result: unknown): true => {
      rows.push(...(result as Row[]))
      return true
    }
    await coordinate({
      queue,
      job: sweepJob(spec),
      shard: { index: 1, of: 1 },
      from: 0,
      signal: never,
      pool,
      careful: pool,
      watch: { take },
    })
    const elapsed = performance.now() - began
    same(expected, rows, 'the queue')
    report('the queue: the same')
    return elapsed
  } finally {
    controller.abort()
    await done
    await Promise.all([queue.close(), workers.close()])
    await server.remove()
  }
}

/** Milliseconds of a boot that is carried out, on one thread. */
function plainBoots(machines: number): number {
  for (let i = 0; i < 8; i++) bootOutcome(machineAt(space, i))
  const began = performance.now()
  for (let i = 0; i < PLAIN; i++) bootOutcome(machineAt(space, Math.floor((i * machines) / PLAIN) + (i % 8)))
  return (performance.now() - began) / PLAIN
}

function same(a: readonly Row[], b: readonly Row[], what: string): void {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${what}: other results than one process`)
}
