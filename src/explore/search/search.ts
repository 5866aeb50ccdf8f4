import { writeCheckpoint } from '../jobs/checkpoint.ts'
import { type Job, piecesOf, type Shard } from '../jobs/job.ts'
import { openPool, type Pool, runInOrder } from '../jobs/pool.ts'
import type { Done } from '../jobs/progress.ts'
import { Saves } from '../jobs/saves.ts'
import { type Finding, shrink, signatureOf } from './finding.ts'
import { readSearch, type SavedSearch } from './saved-search.ts'
import { type Space, walkerOf } from './space.ts'
import { Visited } from './visited.ts'
import { WALKS_A_PIECE, type WalksSpec, walksJob, walksOf, walkTask } from './walk-piece.ts'
import {
  keyNow,
  type LevelResult,
  type LevelTask,
  STATE_NUMBERS,
  type WalkResult,
  type WalkTask,
} from './worker.ts'

/** A search: its space, and how far it goes. Plain data; it decides the result, whatever the number of threads. */
export type ExplorePlan = {
  readonly space: Space
  /** All sequences of so many moves are tried, states that are the same but for names once. */
  readonly depth: number
  /** Then so many random walks of so many moves. */
  readonly walks: number
  readonly length: number
  readonly seed: number
  /** Go on when there is a finding for every hole that is open. */
  readonly all: boolean
  /** Only a part of the walks. The sequences are searched by the first part alone. */
  readonly shard?: Shard
}

export type Explored = {
  readonly plan: ExplorePlan
  readonly findings: readonly Finding[]
  /** States that differ in more than names, of the depths that were searched whole or in part. */
  readonly states: number
  /** Moves that were made. */
  readonly steps: number
  /** The last depth of which every state was looked at. */
  readonly depth: number
  readonly walks: number
  /** `interrupted` can go on from its checkpoint, where that could be written. */
  readonly ended: 'found' | 'done' | 'interrupted'
  /** Whether it was interrupted and its checkpoint says so. */
  readonly saved: boolean
}

/** How a search is run: nothing here changes what it finds. */
export type ExploreRun = {
  readonly threads: number
  readonly signal: AbortSignal
  /** Where to save when interrupted. */
  readonly checkpoint?: string
  /** Save there every half minute as well. */
  readonly savesNowAndThen?: boolean
  /** Told why a checkpoint could not be written. The search goes on. */
  readonly notSaved?: (why: string) => void
  /** Told when the plan is a good one and the checkpoint can be written. */
  readonly started?: () => void
  readonly progress?: (done: Done) => void
  /**
   * Who carries out the walks, other than threads of this machine: as `coordinate` does. `take` is told of the results in
   * their order, and returns false where no more are wanted; `enough` makes what looks ahead, and returns true there.
   */
  readonly walksBy?: (
    job: Job,
    shard: Shard,
    from: number,
    watch: {
      readonly take: (result: unknown) => boolean
      readonly enough: () => (result: unknown) => boolean
    },
  ) => Promise<void>
  /** Told of every finding at once. */
  readonly found?: (finding: Finding) => void
}

const SEQUENCES_A_TASK = 64
const WHOLE: Shard = { index: 1, of: 1 }
const SAVE_EVERY_MS = 30_000

/** Search. Throws BadInput for a space that there cannot be. */
export function explore(plan: ExplorePlan, run: ExploreRun): Promise<Explored> {
  // A mistake in the moves is found here and not in a thread.
  walkerOf(plan.space)
  return new Search(plan, run).go()
}

/** The plan of a checkpoint. */
export function planOf(file: string): ExplorePlan {
  return readSearch(file).plan
}

/** Go on where a checkpoint was written. Throws BadInput for a file that is none. */
export function resume(file: string, run: ExploreRun): Promise<Explored> {
  const saved = readSearch(file)
  const search = new Search(saved.plan, run)
  search.load(saved)
  return search.go()
}

class Search {
  private readonly plan: ExplorePlan
  private readonly run: ExploreRun
  private readonly signatures = new Set<string>()
  private findings: Finding[] = []
  private visited = new Visited()
  /** Sequences that lead to the states of the depth at hand, and to those found of the next one. */
  private level: Sequences
  private next: Sequences
  private steps = 0
  private depth = 0
  private expanded = 0
  private walks = 0
  private readonly saves: Saves

  constructor(plan: ExplorePlan, run: ExploreRun) {
    this.plan = plan
    this.run = run
    this.saves = new Saves(
      () => this.save(),
      SAVE_EVERY_MS,
      (why) => run.notSaved?.(why),
    )
    this.level = new Sequences(0, 1)
    this.next = new Sequences(1)
    const walker = walkerOf(plan.space)
    walker.machine.reset()
    const { lo, hi } = keyNow(walker)
    this.visited.add(lo, hi)
  }

  async go(): Promise<Explored> {
    // A place that cannot be written is found before the work and not after it.
    if (this.run.savesNowAndThen) this.saves.first()
    this.run.started?.()
    const pool = openPool<LevelTask | WalkTask, LevelResult | WalkResult>(
      './worker',
      import.meta,
      this.run.threads,
    )
    try {
      await this.searchDepths(pool as Pool<LevelTask, LevelResult>)
      await this.takeWalks(pool as Pool<WalkTask, WalkResult>)
    } finally {
      await pool.close()
    }
    const isOver = this.isEnough || !this.run.signal.aborted
    const saved = !isOver && this.run.checkpoint !== undefined && this.saves.now()
    return {
      plan: this.plan,
      findings: this.findings,
      states: this.visited.size,
      steps: this.steps,
      depth: this.depth,
      walks: this.walks,
      ended: this.isEnough ? 'found' : isOver ? 'done' : 'interrupted',
      saved,
    }
  }

  /** Whether there is nothing left to look for: each open hole has a finding; without holes, one is enough. */
  private get isEnough(): boolean {
    return this.areEnough(this.findings)
  }

  private areEnough(findings: readonly Finding[]): boolean {
    if (this.plan.all || findings.length === 0) return false
    const blamed = new Set(findings.flatMap(({ holes }) => holes))
    return walkerOf(this.plan.space).machine.open.every((hole) => blamed.has(hole))
  }

  private get goesOn(): boolean {
    return !this.isEnough && !this.run.signal.aborted
  }

  // ---- all sequences, depth by depth ----

  private async searchDepths(pool: Pool<LevelTask, LevelResult>): Promise<void> {
    if ((this.plan.shard ?? WHOLE).index > 1) return
    while (this.depth < this.plan.depth && this.goesOn) {
      await runInOrder(pool, this.levelTasks(), this.run.signal, (result, task) => {
        this.takeLevel(result, task)
        this.tell({
          stage: `depth ${this.depth + 1}`,
          done: this.expanded,
          of: this.level.count,
          unit: 'states',
        })
        this.saveNowAndThen()
        return !this.isEnough
      })
      if (this.expanded < this.level.count) return
      this.depth++
      this.expanded = 0
      this.level = this.next
      this.next = new Sequences(this.depth + 1)
      if (this.level.count === 0) return
    }
  }

  private *levelTasks(): Generator<LevelTask> {
    for (let first = this.expanded; first < this.level.count; first += SEQUENCES_A_TASK) {
      const count = Math.min(SEQUENCES_A_TASK, this.level.count - first)
      const sequences = this.level.some(first, count)
      const { depth } = this
      yield {
        kind: 'level',
        space: this.plan.space,
        sequences,
        count,
        depth,
        visited: this.visited.shared,
      }
    }
  }

  private takeLevel({ states, findings, steps }: LevelResult, { count }: LevelTask): void {
    const broken = new Map(findings.map(({ state, finding }) => [state, finding]))
    const from = this.expanded
    for (let at = 0; at < states.length; at += STATE_NUMBERS) {
      if (!this.visited.add(states[at + 2], states[at + 3])) continue
      const finding = broken.get(at / STATE_NUMBERS)
      // Behind a state that is broken there is nothing to learn.
      if (finding === undefined) this.next.push(this.level, from + states[at], states[at + 1])
      else this.take(finding)
    }
    this.steps += steps
    this.expanded += count
  }

  // ---- random walks ----

  private async takeWalks(pool: Pool<WalkTask, WalkResult>): Promise<void> {
    if (!this.goesOn) return
    const { space, seed, walks, length, shard = WHOLE } = this.plan
    const spec: WalksSpec = { space, seed, walks, length }
    const of = walksOf(spec, shard)
    // A checkpoint is written between pieces, and only the last one may be a small one.
    const from = Math.ceil(this.walks / WALKS_A_PIECE)
    const take = ({ findings, steps }: WalkResult): boolean => {
      this.steps += steps
      this.walks = Math.min(of, this.walks + WALKS_A_PIECE)
      for (const finding of findings) this.take(finding)
      this.tell({ stage: 'walks', done: this.walks, of, unit: 'walks' })
      this.saveNowAndThen()
      return !this.isEnough
    }
    const job = walksJob(spec)
    if (this.run.walksBy !== undefined) {
      const enough = () => {
        const found = [...this.findings]
        return (result: unknown): boolean => {
          found.push(...(result as WalkResult).findings)
          return this.areEnough(found)
        }
      }
      await this.run.walksBy(job, shard, from, { take: (result) => take(result as WalkResult), enough })
      return
    }
    await runInOrder(pool, walkTasks(spec, piecesOf(job, shard, from)), this.run.signal, take)
  }

  // ---- findings, and where the search is ----

  private take(finding: Finding): void {
    if (this.signatures.has(signatureOf(finding))) return
    this.signatures.add(signatureOf(finding))
    const shortest = shrink(walkerOf(this.plan.space), finding)
    this.findings.push(shortest)
    this.run.found?.(shortest)
  }

  private tell(done: Omit<Done, 'found'>): void {
    this.run.progress?.({ ...done, found: this.findings.length })
  }

  private saveNowAndThen(): void {
    if (this.run.savesNowAndThen) this.saves.nowAndThen()
  }

  private save(): void {
    if (this.run.checkpoint === undefined) return
    const { plan, findings, steps, depth, expanded, walks } = this
    writeCheckpoint(this.run.checkpoint, 'explore', {
      head: { plan, findings, steps, depth, expanded, walks } satisfies Omit<
        SavedSearch,
        'visited' | 'level' | 'next'
      >,
      parts: {
        visited: bytesOf(this.visited.keys()),
        level: bytesOf(this.level.all),
        next: bytesOf(this.next.all),
      },
    })
  }

  load({ findings, steps, depth, expanded, walks, visited, level, next }: SavedSearch): void {
    Object.assign(this, { findings: [...findings], steps, depth, expanded, walks, visited })
    for (const finding of findings) this.signatures.add(signatureOf(finding))
    this.level = Sequences.of(depth, level)
    this.next = Sequences.of(depth + 1, next)
  }
}

function* walkTasks(spec: WalksSpec, pieces: Iterable<number>): Generator<WalkTask> {
  for (const piece of pieces) yield walkTask(spec, piece)
}

function bytesOf(words: Int32Array | Uint16Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

/** Sequences of one length, one behind the other. */
class Sequences {
  private moves: Uint16Array
  readonly length: number
  count: number

  constructor(length: number, count = 0) {
    this.length = length
    this.count = count
    this.moves = new Uint16Array(Math.max(1024, length * count))
  }

  static of(length: number, moves: Uint16Array): Sequences {
    const sequences = new Sequences(length, length === 0 ? 1 : moves.length / length)
    sequences.moves.set(moves)
    return sequences
  }

  get all(): Uint16Array {
    return this.moves.subarray(0, this.count * this.length)
  }

  /** `count` of them from number `first` on, as a copy. */
  some(first: number, count: number): Uint16Array {
    return this.moves.slice(first * this.length, (first + count) * this.length)
  }

  /** One more: number `from` of those that are one move shorter, and a move. */
  push(shorter: Sequences, from: number, move: number): void {
    const at = this.count * this.length
    if (at + this.length > this.moves.length) {
      const more = new Uint16Array(this.moves.length * 2)
      more.set(this.moves)
      this.moves = more
    }
    this.moves.set(shorter.moves.subarray(from * shorter.length, (from + 1) * shorter.length), at)
    this.moves[at + this.length - 1] = move
    this.count++
  }
}
