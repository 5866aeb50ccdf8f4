import type { Job } from '../jobs/job.ts'

/**
 * A queue of pieces of jobs between machines. What it promises: a piece that was published is delivered until one worker
 * says that it is done, so that none is lost; it may be delivered more than once, and of its results one is kept.
 */
export type Queue = {
  /** Make a job known, so that workers can look it up. */
  publishJob(id: string, job: QueuedJob): Promise<void>
  /** The job of that id, or null where nobody has published it. */
  findJob(id: string): Promise<QueuedJob | null>
  /** Publish pieces; those that wait already are left as they are. */
  publishPieces(id: string, pieces: readonly number[]): Promise<void>
  /** The pieces of which there is a result. */
  finishedPieces(id: string): Promise<Set<number>>
  /**
   * Results in the order in which they came, those that are there already first: up to `most` of them behind `after`, the
   * place that the last call gave, or 0. Waits a second at most.
   */
  results(id: string, after: number): Promise<{ results: PieceResult[]; last: number }>
  /** Store a result; the first of a piece stays. */
  storeResult(id: string, result: PieceResult): Promise<void>
  /** The next piece for a worker, of any job; null where there is none for a second. */
  next(): Promise<Delivery | null>
  close(): Promise<void>
}

/** A job with what tells whether a worker has the same code. */
export type QueuedJob = Job & { readonly code: string }

/** What became of a piece: its result, or why there is none. */
export type PieceResult = { readonly piece: number } & (
  | { readonly result: unknown }
  | { readonly error: string }
)

/** A piece that a worker has been given. It comes to another one when this one is silent for too long. */
export type Delivery = {
  readonly job: string
  readonly piece: number
  /** How often it has been delivered, this time included. */
  readonly attempts: number
  /** Say that it is still being worked on. */
  working(): void
  /** Store the result, and only then take the piece out of the queue. */
  done(result: PieceResult): Promise<void>
  /** Let somebody have it again after a pause. */
  giveBack(milliseconds: number): void
}
