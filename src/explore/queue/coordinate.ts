import { BadInput } from '../../bits/bad-input.ts'
import { type Job, type PieceTask, piecesOf, type Shard } from '../jobs/job.ts'
import type { Pool } from '../jobs/pool.ts'
import type { Done } from '../jobs/progress.ts'
import { Book } from './book.ts'
import { codeDigest, jobId } from './code.ts'
import {
  decodeJob,
  decodeResult,
  encodeJob,
  encodePiece,
  type KnownJob,
  type PieceResult,
  type Refused,
} from './messages.ts'
import type { Queue, StoredResult } from './queue.ts'
import { newKey, type WorkerName } from './seal.ts'
import { Teller } from './teller.ts'

/** Share of the pieces that this machine computes as well, to compare. */
export const CHECKED_SHARE = 0.05
/** After so long without a result, milliseconds, what is missing is published once more. */
const SILENCE = 30_000
/** After so long, this machine begins to do what is missing. */
const PATIENCE = 120_000
/** So many workers may fail at a piece before this machine tries it. */
const MOST_FAILURES = 2

/** Who is told while a job is carried out. */
export type CoordinateWatch = {
  /** Of each result, in the order of the pieces, when all are there and none is doubted; false ends it. */
  readonly take: (result: unknown, piece: number) => boolean | undefined
  /**
   * Makes what looks at the results in the order of the pieces as they come, and returns true for one after which no
   * more are wanted. Made anew where a result turns out to be wrong.
   */
  readonly enough?: () => (result: unknown) => boolean
  readonly progress?: (done: Done) => void
  /** Of what peers do wrong, a line each. */
  readonly tell?: (line: string) => void
}

export type Coordination = {
  readonly queue: Queue
  readonly job: Job
  readonly shard: Shard
  /** How many of the shard's pieces are not wanted. */
  readonly from: number
  readonly signal: AbortSignal
  /** Threads of this machine: they compute what is compared, and what nobody else does. */
  readonly pool: Pool<PieceTask, unknown>
  /** For pieces that workers failed at, or died of: a process that may die of them. */
  readonly careful: Pool<PieceTask, unknown>
  /** Share of the pieces to compare, 0 to 1; if it is not 0, the first piece of each worker is compared too. */
  readonly verify?: number
  readonly watch: CoordinateWatch
  readonly silence?: number
  readonly patience?: number
}

/**
 * Have a job carried out by whoever takes pieces from the queue, and hand the results over in the order of the pieces.
 * Results that the queue has already are used: a coordinator that is started again, or a second one, repeats nothing.
 *
 * Nothing that comes from the queue is believed for its own sake. A result must carry the job's key, its worker's
 * signature, and what the piece's schema says; a share of the pieces is computed here and compared; a worker that
 * says something else, or what is no result, is believed no more, and its pieces are handed out again. A piece that
 * workers fail at, or that nobody does, is done here.
 *
 * Aborted, it ends; what has been handed over is always the first pieces.
 *
 * @throws BadInput for a piece that neither a worker nor this machine could carry out, and a server that is gone
 */
export async function coordinate(coordination: Coordination): Promise<void> {
  const { known, isNew } = await agreedJob(coordination.queue, coordination.job)
  const coordinator = new Coordinator(coordination, known)
  if (!isNew) await coordinator.readWhatIsThere()
  await coordinator.run()
  coordinator.handOver()
}

/** How often somebody else's message that stands in the job's place is taken away. */
const MOST_REPLACEMENTS = 3

/**
 * The job as the queue has it: its key is that of the coordinator that published it first. Of a job that is new there are
 * no results.
 */
async function agreedJob(
  queue: Queue,
  { kind, spec, pieces }: Job,
): Promise<{ readonly known: KnownJob; readonly isNew: boolean }> {
  const code = codeDigest()
  const id = jobId({ kind, spec, pieces }, code)
  const mine = encodeJob({ kind, spec, pieces, code, key: newKey() })
  if (mine.length > queue.mostBytes)
    throw new BadInput(
      `the job has ${mine.length} bytes, the server takes ${queue.mostBytes}: give fewer maps of your own`,
    )
  const there = await published(queue, id, mine, (message) => {
    try {
      decodeJob(id, message)
      return true
    } catch (error) {
      if (error instanceof BadInput) return false
      throw error
    }
  })
  return { known: decodeJob(id, there), isNew: Buffer.compare(there, mine) === 0 }
}

/** Publish a job where there is none that will do, and return the one that is there. */
async function published(
  queue: Queue,
  id: string,
  job: Uint8Array,
  willDo: (message: Uint8Array) => boolean,
): Promise<Uint8Array> {
  for (let attempt = 0; attempt < MOST_REPLACEMENTS; attempt++) {
    await queue.publishJob(id, job)
    const there = await queue.findJob(id)
    if (there !== null && willDo(there)) return there
    await queue.removeJob(id)
  }
  throw new BadInput(`somebody else keeps writing to job ${id} on the server; give the server passwords`)
}

class Coordinator {
  private readonly it: Coordination
  private readonly known: KnownJob
  private readonly wanted: readonly number[]
  private readonly book: Book
  /** What those do whose name is known, and what anybody can: a flood of the one must not drown the other. */
  private readonly teller: Teller
  private readonly strangers: Teller
  /** Pieces to hand out again. */
  private readonly again = new Set<number>()
  /** Pieces to compute here that wait for a thread, and those under way. */
  private readonly waiting = new Map<number, 'pool' | 'careful'>()
  private readonly underWay = new Map<number, Promise<void>>()
  /** Places of errors that have been counted: results are read more than once. */
  private readonly counted = new Set<number>()
  private failure: BadInput | null = null
  /** The place of the last result that was read. */
  private after = 0
  /** When a worker last did a piece. */
  private progressed = performance.now()
  /** How many of the wanted pieces are enough, and how many of the first have a result. */
  private end: number
  private first = 0
  private enough: ((result: unknown) => boolean) | undefined

  constructor(it: Coordination, known: KnownJob) {
    this.it = it
    this.known = known
    this.wanted = [...piecesOf(it.job, it.shard, it.from)]
    this.end = this.wanted.length
    this.book = new Book(this.wanted)
    const tell = it.watch.tell ?? (() => {})
    this.teller = new Teller(tell)
    this.strangers = new Teller(tell)
    this.enough = it.watch.enough?.()
  }

  /** Results that the queue has already need no work. */
  async readWhatIsThere(): Promise<void> {
    while (!this.it.signal.aborted && (await this.readSome()) > 0);
  }

  private async readSome(): Promise<number> {
    const { results, last } = await this.it.queue.results(this.known.id, this.after)
    this.after = last
    for (const result of results) await this.read(result)
    return results.length
  }

  async run(): Promise<void> {
    const { signal, silence = SILENCE, patience = PATIENCE } = this.it
    let heard = performance.now()
    await this.publish(this.book.missing())
    while (!signal.aborted && !this.isOver) {
      if ((await this.readSome()) > 0) heard = performance.now()
      await this.publish([...this.again].filter((piece) => !this.book.has(piece)))
      this.again.clear()
      if (performance.now() - this.progressed >= patience) this.helpOut(patience)
      this.compute()
      this.look()
      this.tellProgress()
      if (performance.now() - heard < silence) continue
      // Nothing lost: what a server has forgotten is asked for again, and from its first result on.
      heard = performance.now()
      this.after = 0
      await this.publish(this.book.missing())
    }
    if (this.failure !== null && !signal.aborted) throw this.failure
    this.teller.end()
    this.strangers.end()
  }

  /** Hand over what is there, from the first piece on: all of it, unless the job was aborted. */
  handOver(): void {
    const { signal, watch } = this.it
    for (const piece of this.wanted.slice(0, this.end)) {
      if (!this.book.has(piece)) {
        if (signal.aborted) return
        throw new Error(`piece ${piece} has no result`)
      }
      if (watch.take(this.book.result(piece), piece) === false) return
    }
  }

  private get isOver(): boolean {
    if (this.failure !== null) return true
    return this.first === this.end && this.waiting.size === 0 && this.underWay.size === 0
  }

  private async publish(pieces: readonly number[]): Promise<void> {
    const { queue } = this.it
    const { id, job } = this.known
    if (pieces.length === 0) return
    const mine = encodeJob(job)
    await published(queue, id, mine, (there) => Buffer.compare(there, mine) === 0)
    await queue.publishPieces(
      id,
      pieces.map((piece) => ({ piece, data: encodePiece(this.known, piece) })),
    )
  }

  // ---- what comes from the queue ----

  private async read({ piece, data, place }: StoredResult): Promise<void> {
    if (!this.book.isWanted(piece)) return
    const outcome = await decodeResult(this.known, piece, data)
    if ('refused' in outcome) await this.refuse(piece, outcome, place)
    else if (this.book.isDistrusted(outcome.worker)) await this.turnAway(piece, outcome.worker, place)
    else if ('error' in outcome) await this.fail(outcome, place)
    else this.take(outcome)
  }

  private async refuse(piece: number, { refused, worker }: Refused, place: number): Promise<void> {
    if (worker === undefined) {
      this.strangers.tell(`a result of piece ${piece} by somebody is refused: ${refused}`)
      // It kept nobody's result out; whether its piece waits, is being done or is lost, asking again does no harm.
      this.again.add(piece)
      return
    }
    this.teller.tell(`a result of piece ${piece} by ${nameOf(worker)} is refused: ${refused}`)
    this.distrust(worker)
    await this.it.queue.removeResults([place])
    this.askAgain(piece, 'pool')
  }

  private async turnAway(piece: number, worker: WorkerName, place: number): Promise<void> {
    await this.it.queue.removeResults([place])
    this.askAgain(piece, 'pool')
    this.teller.tell(`results of ${nameOf(worker)} are refused: it has sent wrong ones`)
  }

  private async fail(
    { piece, worker, error }: PieceResult & { readonly error: string },
    place: number,
  ): Promise<void> {
    await this.it.queue.removeResults([place])
    if (this.counted.has(place) || this.book.has(piece)) return
    this.counted.add(place)
    this.teller.tell(`${nameOf(worker)} could not carry out piece ${piece}: ${error}`)
    this.askAgain(piece, 'careful')
  }

  /** Another worker may have the piece; one that comes to bad ones again and again is done here. */
  private askAgain(piece: number, where: 'pool' | 'careful'): void {
    if (this.book.has(piece)) return
    if (this.book.failed(piece) < MOST_FAILURES) this.again.add(piece)
    else this.wantHere(piece, where)
  }

  private take({ piece, worker, result }: PieceResult & { readonly result: unknown }): void {
    const { is, firstOf } = this.book.claim(piece, worker, result)
    if (is === 'new') this.progressed = performance.now()
    if (is === 'differs' && this.book.isOwn(piece)) this.expose(piece, worker)
    else if (is === 'differs' || (is === 'new' && this.isToCompare(firstOf))) this.wantHere(piece, 'pool')
  }

  private isToCompare(firstOf: boolean): boolean {
    const { verify = CHECKED_SHARE } = this.it
    return verify > 0 && (firstOf || Math.random() < verify)
  }

  // ---- what this machine computes itself ----

  private wantHere(piece: number, where: 'pool' | 'careful'): void {
    if (!this.book.isOwn(piece) && !this.underWay.has(piece)) this.waiting.set(piece, where)
  }

  /** Nobody answers: as many of the missing pieces as there are threads. */
  private helpOut(patience: number): void {
    const free = this.it.pool.threads - this.underWay.size - this.waiting.size
    const missing = this.book.missing().filter((piece) => !this.underWay.has(piece))
    for (const piece of missing.slice(0, Math.max(0, free))) this.wantHere(piece, 'pool')
    if (missing.length > 0)
      this.teller.tell(
        `no result has come for ${Math.round(patience / 1000)} seconds; what is missing is done here as well`,
      )
  }

  private compute(): void {
    for (const [piece, where] of this.waiting) {
      if (this.underWay.size >= this.it.pool.threads) return
      this.waiting.delete(piece)
      this.underWay.set(
        piece,
        this.computed(piece, where).finally(() => {
          this.underWay.delete(piece)
          this.compute()
        }),
      )
    }
  }

  private async computed(piece: number, where: 'pool' | 'careful'): Promise<void> {
    const { kind, spec } = this.known.job
    try {
      const result = await this.it[where].run({ kind, spec, piece })
      // As it would come through the queue, and so comparable.
      for (const worker of this.book.settle(piece, JSON.parse(JSON.stringify(result))))
        this.expose(piece, worker)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.failure = new BadInput(
        where === 'careful'
          ? `no worker could carry out piece ${piece}, nor could this machine: ${reason}`
          : `this machine could not carry out piece ${piece}: ${reason}`,
      )
    }
  }

  // ---- whom to believe ----

  private expose(piece: number, worker: WorkerName): void {
    this.teller.tell(
      `${nameOf(worker)} said of piece ${piece} what is not so: its results are refused, its pieces done again`,
    )
    this.distrust(worker)
  }

  private distrust(worker: WorkerName): void {
    for (const piece of this.book.distrust(worker)) this.again.add(piece)
    this.end = this.wanted.length
    this.first = 0
    this.enough = this.it.watch.enough?.()
  }

  // ---- how far it is ----

  /** Look at the results that are there, from the first piece on. */
  private look(): void {
    while (this.first < this.end && this.book.has(this.wanted[this.first])) {
      const piece = this.wanted[this.first++]
      if (this.enough?.(this.book.result(piece))) this.end = this.first
    }
  }

  private tellProgress(): void {
    const { from, watch } = this.it
    watch.progress?.({
      stage: 'queue',
      done: from + this.book.count,
      of: from + this.wanted.length,
      unit: 'pieces',
      found: 0,
    })
  }
}

function nameOf({ name, key }: WorkerName): string {
  return `worker ${name}/${key.slice(0, 8)}`
}
