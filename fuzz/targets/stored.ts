import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeCheckpoint } from '../../src/explore/jobs/checkpoint.ts'
import type { PieceTask } from '../../src/explore/jobs/job.ts'
import type { Pool } from '../../src/explore/jobs/pool.ts'
import { type ExplorePlan, explore, resume } from '../../src/explore/search/search.ts'
import { run as runPiece, type SweepSpec } from '../../src/explore/sweep/piece.ts'
import { headerLine, rowLine } from '../../src/explore/sweep/results.ts'
import { openWorkers, runSweep } from '../../src/explore/sweep/run-sweep.ts'
import { loadSweep, saveSweep } from '../../src/explore/sweep/saved-sweep.ts'
import { summarize } from '../../src/explore/sweep/summary.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { KernelRun } from '../../src/run/kernel/kernel-boot.ts'
import {
  contentIn,
  forge,
  framesIn,
  recordIn,
  type Taken,
  takeApart,
} from '../../test/tools/forged-snapshot.ts'
import type { Random } from '../../test/tools/random.ts'
import { kernelOf, speaking } from '../../test/tools/tiny-kernel.ts'
import { command, outcomeOf, ownFile, ownFolder } from '../cli.ts'
import { jsonText, mutateBytes, mutateJson } from '../mutate.ts'
import { inputText, type Target, textInput } from '../target.ts'

/** What is written to go on with another time: checkpoints, results of shards, snapshots. */

const GROUP = 'formats'

/** A search or sweep that goes on from a checkpoint is stopped after so long, and must then stop. */
const GOES_ON_MS = 100

const SPEC: SweepSpec = {
  space: {
    maps: [null],
    memory: [0x4000, 0x8000],
    memoryCap: null,
    vEnd: [0x200_0000, 0x280_0000],
    kernelSize: [null],
    initrdSize: [null],
    append: [null],
    xen: ['seed'],
    linux: ['B', 'C'],
    common: {},
  },
  seed: 1,
  forecast: true,
}
const SHARD = { index: 1, of: 1 }

function after(ms: number): AbortSignal {
  return AbortSignal.timeout(ms)
}

const sweepCheckpoint: Target = {
  name: 'sweep-checkpoint',
  group: GROUP,
  about: 'checkpoints of sweeps, their checksums right or wrong',
  cut: 'bytes',
  seconds: 10,
  seeds: () => {
    const file = ownFile('sweep.ckpt', '')
    saveSweep(file, { spec: SPEC, shard: SHARD, done: 0, rows: [] })
    const empty = readFileSync(file)
    saveSweep(file, { spec: SPEC, shard: SHARD, done: 1, rows: runPiece(SPEC, 0) })
    return [empty, readFileSync(file)]
  },
  make(random) {
    const file = ownFile('sweep.ckpt', '')
    saveSweep(file, {
      spec: SPEC,
      shard: SHARD,
      ...(random.once(2) ? { done: 0, rows: [] } : { done: 1, rows: runPiece(SPEC, 0) }),
    })
    return changedCheckpoint(file, 'sweep', random)
  },
  async run(input) {
    const state = loadSweep(ownFile('sweep.ckpt', input))
    const summary = summarize({ spec: state.spec, rows: state.rows }, new Map(), null)
    const end = await runSweep(workers(), state, after(GOES_ON_MS), {})
    return `${summary.groups.length} groups, shard ${end.shard.index} of ${end.shard.of}`
  },
}

let pool: Pool<PieceTask, unknown> | null = null
function workers(): Pool<PieceTask, unknown> {
  pool ??= openWorkers(1)
  return pool
}

const PLAN: ExplorePlan = {
  space: { xen: '4.17', domain: 'domU', pages: 2, holes: '182' },
  depth: 2,
  walks: 10,
  length: 4,
  seed: 1,
  all: false,
}

const exploreCheckpoint: Target = {
  name: 'search-checkpoint',
  group: GROUP,
  about: 'checkpoints of searches, their checksums right or wrong',
  cut: 'bytes',
  seconds: 20,
  async prepare() {
    await explore(PLAN, { threads: 1, signal: after(50), checkpoint: searched() })
  },
  seeds: () => [readFileSync(searched())],
  make: (random) => changedCheckpoint(searched(), 'explore', random),
  async run(input) {
    const file = ownFile('search.ckpt', input)
    const end = await resume(file, { threads: 1, signal: after(GOES_ON_MS) })
    return `depth of ${end.plan.depth}`
  },
}

/** Where a search that was stopped has left off. */
const searched = (): string => join(ownFolder(), 'searched.ckpt')

/** A checkpoint with other bytes; or other contents, written as a checkpoint is. */
function changedCheckpoint(file: string, kind: string, random: Random): Uint8Array {
  const bytes = readFileSync(file)
  if (random.once(3)) return mutateBytes(bytes, random)
  const { head, parts } = contents(bytes)
  const other = Object.fromEntries(
    Object.entries(parts).map(([name, part]) => [name, random.once(3) ? mutateBytes(part, random) : part]),
  )
  const made = ownFile('changed.ckpt', '')
  const changed = random.once(4) ? head : (mutateJson(head, random) ?? null)
  writeCheckpoint(made, kind, { head: changed, parts: other })
  return readFileSync(made)
}

/** A line of JSON, which says what lies behind it. */
function contents(bytes: Uint8Array): { head: unknown; parts: Record<string, Uint8Array> } {
  const end = bytes.indexOf(10)
  const first = JSON.parse(inputText(bytes.subarray(0, end))) as {
    readonly head: unknown
    readonly parts: readonly { readonly name: string; readonly bytes: number }[]
  }
  const parts: Record<string, Uint8Array> = {}
  let at = end + 1
  for (const { name, bytes: length } of first.parts) {
    parts[name] = bytes.slice(at, at + length)
    at += length
  }
  return { head: first.head, parts }
}

const shard: Target = {
  name: 'shard',
  group: GROUP,
  about: 'results of shards, which are merged and told in every form',
  cut: 'lines',
  seeds: () => [textInput(shardText())],
  make(random) {
    const lines = shardText().split('\n')
    if (random.once(5)) return mutateBytes(textInput(lines.join('\n')), random)
    for (let n = random.pick([1, 1, 2, 8]); n > 0; n--) {
      const at = random.once(3) ? 0 : random.between(0, lines.length)
      lines[at] = changedLine(lines[at], random)
    }
    return textInput(lines.join('\n'))
  },
  async run(input) {
    const file = ownFile('shard.jsonl', input)
    const form = FORMS[input.length % FORMS.length]
    return outcomeOf(await command(['sweep', 'merge', file, '--no-shrink', ...form]))
  },
}

const FORMS = [[], ['--json'], ['--jsonl'], ['--junit'], ['--sarif'], ['--html']] as const

function shardText(): string {
  return [headerLine(SPEC, SHARD, '0'), ...runPiece(SPEC, 0).map(rowLine)].join('\n')
}

function changedLine(line: string, random: Random): string {
  try {
    return jsonText(mutateJson(JSON.parse(line), random))
  } catch {
    return line
  }
}

/** A guest that has said a word, and waits. */
function snapshotOf(instructions: number): Uint8Array {
  const run = new KernelRun({
    kernel: { name: 'guest', bytes: kernelOf(speaking('hello\n', 0)) },
    memory: 1100,
  })
  run.step(instructions)
  return run.snapshot()
}

let snapshots: readonly Uint8Array[] | null = null
const allSnapshots = (): readonly Uint8Array[] => {
  snapshots ??= [snapshotOf(1), snapshotOf(20)]
  return snapshots
}

function changedHead({ head, data }: Taken, random: Random): Taken {
  return { head: mutateJson(head, random), data }
}

/** Other entries of tables, other records: what Xen's rules rest on. */
function changedFrames(taken: Taken, random: Random): Taken {
  const frames = [...framesIn(taken)].filter((mfn) => mfn < 2 ** 16)
  for (let n = random.pick([1, 1, 2, 4]); n > 0; n--) {
    const mfn = random.pick(frames)
    const { words, type, refs, owner } = recordIn(taken, random.once(3) ? random.between(0, 1600) : mfn)
    const content = contentIn(taken, mfn)
    const used = [...content.keys()].filter((at) => content[at] !== 0)
    const at = random.once(2) || used.length === 0 ? random.between(0, 1024) : random.pick(used)
    switch (random.between(0, 5)) {
      case 0:
        content[at] ^= 1 << random.between(0, 32)
        break
      case 1:
        content[at & ~1] = (random.pick(frames) << 12) | random.pick([0x25, 0x27, 0x67, 0xe7])
        break
      case 2:
        words[random.pick([type, refs, owner])] ^= 1 << random.between(0, 32)
        break
      case 3:
        words[random.pick([type, refs, owner])] += random.pick([-1, 1])
        break
      default:
        words[random.pick([type, refs, owner])] = random.pick([0, 1, 0x8000_0001, 0xe800_0001, 0x2800_0001])
    }
  }
  return taken
}

const snapshot: Target = {
  name: 'snapshot',
  group: GROUP,
  about: 'snapshots of machines, whose guests then go on',
  cut: 'bytes',
  seconds: 10,
  seeds: allSnapshots,
  make(random) {
    const bytes = random.pick(allSnapshots())
    if (random.once(4)) return mutateBytes(bytes, random)
    return forge(
      random.once(2) ? changedHead(takeApart(bytes), random) : changedFrames(takeApart(bytes), random),
    )
  },
  run(input) {
    const run = new KernelRun({ restore: { name: 'snapshot', bytes: input } })
    const outcome = run.step(2000)
    const [wrong] = auditMachine(run.machine.xen)
    if (wrong !== undefined) throw new Error(`the machine is not as it must be: ${wrong}`)
    const result = run.result()
    return `${outcome} ${result.instructions} ${inputText(textInput(result.console.join('\n')))}`
  },
}

export const STORED: readonly Target[] = [sweepCheckpoint, exploreCheckpoint, shard, snapshot]
