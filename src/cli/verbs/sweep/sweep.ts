import { isatty } from 'node:tty'
import { wholeNumber } from '../../../explore/exports.ts'
import { onInterrupt } from '../../../explore/jobs/interrupt.ts'
import { type Job, type PieceTask, parseShard } from '../../../explore/jobs/job.ts'
import { coreCount, type Pool } from '../../../explore/jobs/pool.ts'
import { type Done, Progress } from '../../../explore/jobs/progress.ts'
import { Saves } from '../../../explore/jobs/saves.ts'
import type { QueueFlags } from '../../../explore/queue/address.ts'
import { htmlReport } from '../../../explore/report/html.ts'
import { junitReport } from '../../../explore/report/junit.ts'
import { sarifReport } from '../../../explore/report/sarif.ts'
import { textReport } from '../../../explore/report/text.ts'
import type { Row, SweepSpec } from '../../../explore/sweep/piece.ts'
import { filesAgain, readRealSpace } from '../../../explore/sweep/read-real-space.ts'
import { parseSweepFile, type RawSpace, readSpace } from '../../../explore/sweep/read-space.ts'
import {
  headerLine,
  mergeResults,
  type Results,
  readResults,
  rowLine,
} from '../../../explore/sweep/results.ts'
import {
  isComplete,
  machinesOf,
  openWorkers,
  realSweepJob,
  runSweep,
  type SweepState,
  shrinkGroups,
  sweepJob,
} from '../../../explore/sweep/run-sweep.ts'
import { loadSweep, saveSweep } from '../../../explore/sweep/saved-sweep.ts'
import { failuresIn, type Summary, sameMachines, summarize } from '../../../explore/sweep/summary.ts'
import { readLines, readText } from '../../../files/read.ts'
import { lineWriter } from '../../../files/write.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import type { SharedFiles } from '../../../run/kernel/kernel-files.ts'
import { tierOf } from '../../../run/tiers.ts'
import { loadMap } from '../../files.ts'
import type { Io } from '../../io.ts'
import { packageVersion } from '../../version.ts'
import { hostMemory } from '../boot/host-memory.ts'

/** What `xenolith sweep` takes beside the axes of the space. */
export type SweepFlags = RawSpace &
  QueueFlags & {
    /** A sweep file; or `merge` and files of results. */
    readonly files?: readonly string[]
    readonly seed?: string
    readonly noForecast?: boolean
    readonly noShrink?: boolean
    readonly shard?: string
    /** How the code of real kernels is executed: no axis, as it makes no difference to what becomes of them. */
    readonly tier?: string
    readonly threads?: string
    readonly checkpoint?: string
    readonly resume?: string
    readonly verify?: string
    readonly out?: string
    readonly baseline?: string
    readonly expect?: string
    readonly json?: boolean
    readonly jsonl?: boolean
    readonly junit?: boolean
    readonly sarif?: boolean
    readonly html?: boolean
  }

const FORMATS = ['json', 'jsonl', 'junit', 'sarif', 'html'] as const
const INTERRUPTED = 130
const SAVE_EVERY_MS = 10_000

/** Boots a set of machines, or merges the results of shards, and says which fail and where the border is. */
export async function run(options: SweepFlags, io: Io): Promise<number> {
  const chosen = FORMATS.filter((format) => options[format])
  if (chosen.length > 1)
    throw new BadInput(
      `--${chosen[0]} and --${chosen[1]} exclude each other; write --out FILE and merge it twice`,
    )
  const [first, ...rest] = options.files ?? []
  const baseline = options.baseline === undefined ? null : readResultsFile(options.baseline)
  const threads = threadCount(options.threads)
  const progress = new Progress(io.progress, isatty(2))
  const interrupt = onInterrupt(
    () => io.err('xenolith: stopping when the boots under way are done; ^C again stops at once'),
    () => progress.tell(),
  )
  const job: SweepRun = { options, io, threads, progress, signal: interrupt.signal, baseline }
  try {
    return first === 'merge' ? await merge(job, rest) : await sweep(job)
  } finally {
    progress.end()
    interrupt.release()
  }
}

type SweepRun = {
  readonly options: SweepFlags
  readonly io: Io
  readonly threads: number
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly baseline: Results | null
}

async function sweep(job: SweepRun): Promise<number> {
  const { options, io, baseline } = job
  const { start, files } = options.resume === undefined ? newRun(options) : resumed(options, options.resume)
  const work = jobOf(start.spec, files, options)
  if (baseline !== null) sameMachines(start.spec, baseline.spec)
  const file = options.checkpoint ?? options.resume
  let at = start
  const saves =
    file === undefined
      ? null
      : new Saves(
          () => saveSweep(file, at),
          SAVE_EVERY_MS,
          (why) => {
            job.progress.end()
            io.err(`xenolith: ${why}; the sweep goes on`)
          },
        )
  // A folder that cannot be written is found before the work.
  saves?.first()
  const header = headerLine(start.spec, start.shard, packageVersion())
  const out = options.out === undefined ? null : lineWriter(options.out, '--out')
  out?.line(header)
  const row = (row: Row): void => {
    out?.line(rowLine(row))
    if (options.jsonl) io.json(rowLine(row))
  }
  const state = (state: SweepState): void => {
    at = state
    saves?.nowAndThen()
  }
  try {
    if (options.jsonl) io.json(header)
    const pool = options.queue === undefined ? openWorkers(job.threads) : null
    try {
      const progress = (done: Done) => job.progress.at(done)
      at =
        pool === null
          ? await queued(job, start, row)
          : await runSweep(pool, start, job.signal, { row, progress, state }, work)
      if (!isComplete(at)) {
        job.progress.end()
        out?.abandon()
        return stopped(job, at, saves?.now() === true ? file : undefined)
      }
      out?.finish()
      return await answer(job, at, at.shard.of === 1, pool)
    } finally {
      await pool?.close()
    }
  } catch (error) {
    out?.abandon()
    throw error
  }
}

/** On other machines, through a queue; nothing of the queue is loaded without the option. */
async function queued(
  { options, threads, io, signal, progress }: SweepRun,
  start: SweepState,
  tell: (row: Row) => void,
): Promise<SweepState> {
  const { openQueueRunner } = await import('../../../explore/queue/through-queue.ts')
  const queue = await openQueueRunner({
    flags: options,
    threads,
    signal,
    tell: (line) => {
      progress.end()
      io.err(`xenolith: ${line}`)
    },
  })
  const state = { ...start, rows: [...start.rows], done: start.done }
  try {
    await queue.run(sweepJob(start.spec), start.shard, start.done, {
      take: (result) => {
        for (const row of result as Row[]) {
          state.rows.push(row)
          tell(row)
        }
        state.done++
        return true
      },
      progress: (done) => progress.at(done),
    })
    if (isComplete(state) && state.rows.length !== machinesOf(state))
      throw new Error(`${state.rows.length} results of ${machinesOf(state)} machines`)
    return state
  } finally {
    await queue.close()
  }
}

/** @param saved the checkpoint that has what is done */
function stopped({ options, io }: SweepRun, state: SweepState, saved: string | undefined): number {
  const where =
    options.queue !== undefined
      ? 'the queue keeps what is done: run it again to go on'
      : saved !== undefined
        ? `go on with --resume ${saved}`
        : (options.checkpoint ?? options.resume) === undefined
          ? 'nothing is saved: --checkpoint FILE would'
          : 'nothing is saved'
  io.err(`xenolith: interrupted after ${state.rows.length} machines; ${where}`)
  return INTERRUPTED
}

/** Where a sweep begins, and the files of its real kernels. */
type Start = { readonly start: SweepState; readonly files: SharedFiles | null }

function jobOf(spec: SweepSpec, files: SharedFiles | null, flags: SweepFlags): Job {
  const tier = tierOf(flags.tier)
  if (files === null) {
    if (tier !== undefined) throw new BadInput('--tier is for real kernels; give --kernel FILE, too')
    return sweepJob(spec)
  }
  return realSweepJob(spec, { files, hostMemory: hostMemory(), ...(tier === undefined ? {} : { tier }) })
}

function newRun(options: SweepFlags): Start {
  const [file, ...more] = options.files ?? []
  if (more.length > 0) throw new BadInput(`one sweep file is enough; ${more[0]} is left over`)
  const raw = file === undefined ? {} : parseSweepFile(readText(file), file)
  const axes = { ...raw, ...typed(options) }
  const isReal = axes.kernel !== undefined
  if (isReal) checkReal(options)
  const { space, files } = isReal
    ? readRealSpace(axes, loadMap)
    : { space: readSpace(axes, loadMap), files: null }
  const spec = {
    space,
    seed: wholeNumber('--seed', options.seed, 0, 2 ** 32 - 1) ?? 1,
    forecast: !isReal && options.noForecast !== true,
  }
  return { start: { spec, shard: parseShard(options.shard), done: 0, rows: [] }, files }
}

/** Real kernels have no forecasts to check, and their files stay on this machine. */
function checkReal({ queue, seed, noForecast }: SweepFlags): void {
  if (queue !== undefined)
    throw new BadInput(
      "--queue is for model kernels, as a queue carries no kernel's file; give --shard I/N to each machine",
    )
  if (seed !== undefined || noForecast === true)
    throw new BadInput(
      `${seed === undefined ? '--no-forecast' : '--seed'} is for model kernels: a real one has no forecasts; leave it out`,
    )
}

/** The axes that were typed: each replaces the sweep file's. */
function typed(options: SweepFlags): RawSpace {
  const { files, seed, noForecast, noShrink, shard, threads, checkpoint, resume, out, ...others } = options
  const { tier, queue, verify, creds, nkey, tlsca, tlscert, tlskey, ...rest } = others
  const { baseline, expect, json, jsonl, junit, sarif, html, ...axes } = rest
  return Object.fromEntries(Object.entries(axes).filter(([, value]) => value !== undefined))
}

const AXES = [
  'map',
  'memory',
  'memoryCap',
  'vEnd',
  'kernelSize',
  'initrdSize',
  'append',
  'xen',
  'linux',
  'kernel',
  'ramdisk',
  'dom0Mem',
  'until',
  'timeout',
] as const

function resumed(options: SweepFlags, file: string): Start {
  const axis = AXES.find((name) => options[name] !== undefined)
  if (
    axis !== undefined ||
    options.shard !== undefined ||
    options.seed !== undefined ||
    options.files?.length
  )
    throw new BadInput(
      '--resume goes on with the machines of its checkpoint; leave all that names machines out',
    )
  if (options.queue !== undefined)
    throw new BadInput(
      '--resume and --queue exclude each other: a queue keeps its results itself; run it again',
    )
  const start = loadSweep(file)
  const { space } = start.spec
  return { start, files: space.real === undefined ? null : filesAgain(space, space.real) }
}

async function merge(job: SweepRun, files: readonly string[]): Promise<number> {
  if (files.length === 0) throw new BadInput('merge needs files of results; give those that --out wrote')
  const { options, io, baseline } = job
  const parts = files.map((file) => ({ file, results: readResultsFile(file) }))
  const results = mergeResults(parts)
  if (baseline !== null) sameMachines(results.spec, baseline.spec)
  const lines = [
    headerLine(results.spec, { index: 1, of: 1 }, packageVersion()),
    ...results.rows.map(rowLine),
  ]
  if (options.jsonl) for (const line of lines) io.json(line)
  if (options.out !== undefined) {
    const out = lineWriter(options.out, '--out')
    for (const line of lines) out.line(line)
    out.finish()
  }
  return answer(job, results, true, null)
}

/** Group, shrink, print, and give the exit status. */
async function answer(
  job: SweepRun,
  results: Results,
  isWhole: boolean,
  workers: Pool<PieceTask, unknown> | null,
): Promise<number> {
  const { options, io, signal, progress, baseline } = job
  const isReal = results.spec.space.real !== undefined
  const wanted = isWhole && options.noShrink !== true && !options.jsonl && !isReal
  let summary = summarize(results, new Map(), baseline)
  if (wanted && summary.groups.length > 0 && !signal.aborted) {
    const pool = workers ?? openWorkers(job.threads)
    try {
      const smallest = await shrinkGroups(pool, results, signal, (done) => progress.at(done))
      summary = summarize(results, smallest, baseline)
    } finally {
      if (workers === null) await pool.close()
    }
  }
  progress.end()
  if (options.json) io.json(JSON.stringify(summary, null, 2))
  else if (options.sarif) io.json(JSON.stringify(sarifReport(summary, packageVersion()), null, 2))
  else if (options.junit) io.out(junitReport(results, summary))
  else if (options.html) io.out(htmlReport(results, summary, packageVersion()))
  else if (!options.jsonl) io.out(textReport(summary).join('\n'))
  return statusOf(summary, options, io)
}

function statusOf({ totals, forecast, regressions }: Summary, { expect }: SweepFlags, io: Io): number {
  const { differing } = forecast
  if (differing.length > 0)
    io.err(
      `xenolith: ${differing.length} boots came out otherwise than forecast, the first is machine ${differing[0]}: a bug of xenolith; report it and use --no-forecast`,
    )
  const failed = failuresIn(totals)
  const broken = regressions === null ? expect === 'booted' && failed > 0 : regressions.length > 0
  if (broken && regressions === null) io.err(`xenolith: expected booted, but ${failed} machines fail`)
  if (broken && regressions !== null)
    io.err(`xenolith: ${regressions.length} machines booted in the baseline and fail now`)
  return broken || differing.length > 0 ? 1 : 0
}

function readResultsFile(file: string): Results {
  return readResults(readLines(file), file)
}

/** @param text of --threads; undefined is all cores */
export function threadCount(text: string | undefined): number {
  return wholeNumber('--threads', text, 1, 256) ?? coreCount()
}
