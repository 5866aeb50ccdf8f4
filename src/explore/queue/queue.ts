/**
 * A queue of pieces of jobs between machines. What it promises: a piece that was published is delivered until one worker
 * says that it is done, so that none is lost; it may be delivered more than once. It carries bytes and believes none of
 * them: what they must say is in messages.ts.
 */
export type Queue = {
  /** The largest message that the server takes, bytes. */
  readonly mostBytes: number
  /** Make a job known, so that workers can look it up. One that is there already stays. */
  publishJob(id: string, job: Uint8Array): Promise<void>
  /** The job of that id, or null where nobody has published it. */
  findJob(id: string): Promise<Uint8Array | null>
  /** Take a job away. */
  removeJob(id: string): Promise<void>
  /** Publish pieces; those that wait already are left as they are. */
  publishPieces(id: string, pieces: readonly Numbered[]): Promise<void>
  /**
   * Results in the order in which they came, those that are there already first: some of them behind `after`, the place
   * that the last call gave, or 0. Waits a second at most.
   */
  results(id: string, after: number): Promise<{ results: StoredResult[]; last: number }>
  /** Store a result of a piece, beside those that it has. */
  storeResult(id: string, result: Numbered): Promise<void>
  /** Take results away, by their places. */
  removeResults(places: readonly number[]): Promise<void>
  /** The next piece for a worker, of any job; null where there is none for a second. */
  next(): Promise<Delivery | null>
  close(): Promise<void>
}

/** A message about a piece. Of what came from the queue the number may be NaN: anybody can write there. */
export type Numbered = { readonly piece: number; readonly data: Uint8Array }

export type StoredResult = Numbered & { readonly place: number }

/** A piece that a worker has been given. It comes to another one when this one is silent for too long. */
export type Delivery = Numbered & {
  readonly job: string
  /** How often it has been delivered, this time included. */
  readonly attempts: number
  /** Say that it is still being worked on. */
  working(): void
  /** Store the result, and only then take the piece out of the queue. */
  done(result: Uint8Array): Promise<void>
  /** Let somebody have it again after a pause. */
  giveBack(milliseconds: number): void
  /** Take it out of the queue: it is nobody's piece. */
  drop(): void
}
