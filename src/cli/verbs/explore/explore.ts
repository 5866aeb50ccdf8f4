import { isatty } from 'node:tty'
import {
  coreCount,
  type Explored,
  type ExplorePlan,
  explore,
  type Finding,
  onInterrupt,
  Progress,
  planOf,
  resume,
  scriptOf,
  wholeNumber,
} from '../../../explore/exports.ts'
import { parseShard } from '../../../explore/jobs/job.ts'
import type { QueueFlags } from '../../../explore/queue/address.ts'
import type { QueueRunner } from '../../../explore/queue/through-queue.ts'
import { readText } from '../../../files/read.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import { DEFAULT_XEN } from '../../../run/xen-versions.ts'
import type { Io } from '../../io.ts'
import { packageVersion } from '../../version.ts'

/** What `xenolith explore` takes. */
export type ExploreFlags = QueueFlags & {
  readonly xen?: string
  readonly holes?: string
  readonly domu?: boolean
  readonly pages?: string
  readonly moves?: string
  readonly depth?: string
  readonly walks?: string
  readonly length?: string
  readonly seed?: string
  readonly all?: boolean
  readonly shard?: string
  readonly verify?: string
  readonly threads?: string
  readonly checkpoint?: string
  readonly resume?: string
  readonly expect?: string
  readonly json?: boolean
}

const STATUS_INTERRUPTED = 130
const CHECKPOINT = 'explore.checkpoint'

/** Searches, tells how it goes on standard error, and prints what was found. */
export async function run(options: ExploreFlags, io: Io): Promise<number> {
  const plan = options.resume === undefined ? planFrom(options) : resumedPlan(options, options.resume)
  const threads = wholeNumber('--threads', options.threads, 1, 256) ?? coreCount()
  const checkpoint = options.checkpoint ?? options.resume ?? CHECKPOINT
  const progress = new Progress(io.progress, isatty(2))
  const interrupt = onInterrupt(
    () => io.err('xenolith: ending the pieces under way; once more ends at once'),
    () => progress.tell(),
  )
  const tell = (line: string): void => {
    progress.end()
    io.err(`xenolith: ${line}`)
  }
  let explored: Explored
  let queue: QueueRunner | null = null
  try {
    if (options.queue !== undefined) {
      // Nothing of the queue is loaded without the option.
      const { openQueueRunner } = await import('../../../explore/queue/through-queue.ts')
      queue = await openQueueRunner({ flags: options, threads, signal: interrupt.signal, tell })
    }
    const how = {
      ...(queue === null ? {} : { walksBy: queue.run }),
      threads,
      signal: interrupt.signal,
      checkpoint,
      savesNowAndThen: options.checkpoint !== undefined || options.resume !== undefined,
      started() {
        if (options.json !== true) for (const line of introduction(plan, threads)) io.out(line)
      },
      progress: (done: Parameters<Progress['at']>[0]) => progress.at(done),
      notSaved(why: string) {
        progress.end()
        io.err(`xenolith: ${why}; the search goes on`)
      },
      found(finding: Finding) {
        progress.end()
        if (options.json !== true) for (const line of shown(plan, finding)) io.out(line)
      },
    }
    explored = await (options.resume === undefined ? explore(plan, how) : resume(options.resume, how))
  } finally {
    progress.end()
    interrupt.release()
    await queue?.close()
  }
  if (options.json) io.json(JSON.stringify(document(explored, progress.seconds), null, 2))
  else for (const line of summary(explored, progress.seconds)) io.out(line)
  if (explored.ended === 'interrupted') {
    const where = explored.saved ? `go on with: xenolith explore --resume ${checkpoint}` : 'nothing is saved'
    io.err(`xenolith: interrupted; ${where}`)
    return STATUS_INTERRUPTED
  }
  const outcome = explored.findings.length > 0 ? 'found' : 'nothing'
  if (options.expect === undefined || options.expect === outcome) return 0
  io.err(`xenolith: expected ${options.expect}, but the outcome was ${outcome}`)
  return 1
}

/** A search that goes on is the one it was. */
function resumedPlan(options: ExploreFlags, file: string): ExplorePlan {
  const other = PLAN_OPTIONS.find((name) => options[name] !== undefined)
  if (other !== undefined) {
    throw new BadInput(`--resume and --${other}: the checkpoint says what is searched; leave --${other} out`)
  }
  return planOf(file)
}

const PLAN_OPTIONS = [
  'xen',
  'holes',
  'domu',
  'pages',
  'moves',
  'depth',
  'walks',
  'length',
  'seed',
  'all',
  'shard',
] as const

function planFrom(options: ExploreFlags): ExplorePlan {
  const number = (name: keyof ExploreFlags & string, most: number): number | undefined =>
    wholeNumber(`--${name}`, options[name] as string | undefined, 0, most)
  const xen = options.xen ?? DEFAULT_XEN.others
  if (options.moves !== undefined && options.pages !== undefined) {
    throw new BadInput('--moves and --pages: a file of moves names its own pages; leave --pages out')
  }
  return {
    space: {
      xen,
      domain: options.domu === true ? 'domU' : 'dom0',
      pages: number('pages', 5) ?? 3,
      ...(options.holes === undefined ? {} : { holes: options.holes }),
      ...(options.moves === undefined ? {} : { moves: readText(options.moves), source: options.moves }),
    },
    depth: number('depth', 64) ?? 4,
    walks: number('walks', 1e9) ?? 200_000,
    length: number('length', 100_000) ?? 40,
    seed: number('seed', 2 ** 32 - 1) ?? 1,
    all: options.all === true,
    ...(options.shard === undefined ? {} : { shard: parseShard(options.shard) }),
  }
}

function introduction({ space, depth, walks, length, seed }: ExplorePlan, threads: number): string[] {
  const holes = space.holes === undefined ? '' : `, holes ${space.holes}`
  return [
    `Xen ${space.xen}${holes}, a ${space.domain}; all sequences of ${depth} moves, then ${walks} walks of ${length}`,
    `(seed ${seed}, ${threads} thread${threads === 1 ? '' : 's'}, xenolith ${packageVersion()})`,
  ]
}

/** A finding: what, by which hole, and the script with the command that runs it again. */
function shown(plan: ExplorePlan, finding: Finding): string[] {
  const holes = finding.holes.map((name) => `XSA-${name}`).join(' and ')
  return [
    '',
    `FOUND ${finding.property}${holes === '' ? '' : ` (${holes})`}: ${finding.says}`,
    ...replay(plan, finding).split('\n'),
  ]
}

/** A command that runs a finding's script again and checks it after every operation. */
function replay({ space }: ExplorePlan, finding: Finding): string {
  const options = [
    `--xen ${space.xen}`,
    `--holes ${finding.holes.length === 0 ? 'none' : finding.holes.join(',')}`,
    ...(space.domain === 'domU' ? ['--domu'] : []),
  ]
  return `xenolith script --check ${options.join(' ')} - <<'END'\n${scriptOf(space, finding.sequence).join('\n')}\nEND`
}

function summary(explored: Explored, seconds: number): string[] {
  const { findings, states, steps, depth, walks, ended } = explored
  const what = findings.length === 0 ? 'nothing found' : `${findings.length} found`
  const how = ended === 'interrupted' ? ' when interrupted' : ''
  return [
    '',
    `== ${what}${how}: ${states} states, every sequence of ${depth} moves, ${walks} walks;`,
    `   ${steps} moves in ${seconds.toFixed(1)} s, ${Math.round(steps / Math.max(seconds, 0.001))} a second`,
  ]
}

/** docs/explore.md describes it. */
function document(explored: Explored, seconds: number): object {
  const { plan, findings, states, steps, depth, walks, ended } = explored
  const each = findings.map((finding) => ({
    property: finding.property,
    says: finding.says,
    holes: finding.holes,
    sequence: scriptOf(plan.space, finding.sequence),
    replay: replay(plan, finding),
  }))
  return {
    schema: 1,
    found: each.length > 0,
    property: each[0]?.property ?? null,
    sequence: each[0]?.sequence ?? null,
    states,
    steps,
    seconds: Math.round(seconds * 1000) / 1000,
    depth,
    walks,
    ended,
    findings: each,
    xen: plan.space.xen,
    domain: plan.space.domain,
    holes: plan.space.holes ?? null,
    seed: plan.seed,
    version: packageVersion(),
  }
}
