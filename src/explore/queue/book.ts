import { isDeepStrictEqual } from 'node:util'
import type { WorkerName } from './seal.ts'

/** What a worker says a piece came to. */
type Claim = { readonly worker: WorkerName; readonly result: unknown }

/** Claims of one piece that differ; more of them are not kept. */
const MOST_CLAIMS = 4

/**
 * What is known of the pieces of a job: who says what of which, what this machine has computed itself, and whom nobody
 * believes any more. What this machine has computed is what is so.
 */
export class Book {
  private readonly wanted: ReadonlySet<number>
  private readonly claims = new Map<number, Claim[]>()
  private readonly own = new Map<number, unknown>()
  private readonly tried = new Map<number, number>()
  private readonly distrusted = new Set<string>()
  private readonly met = new Set<string>()

  constructor(wanted: Iterable<number>) {
    this.wanted = new Set(wanted)
  }

  has(piece: number): boolean {
    return this.own.has(piece) || this.claims.has(piece)
  }

  isWanted(piece: number): boolean {
    return this.wanted.has(piece)
  }

  isOwn(piece: number): boolean {
    return this.own.has(piece)
  }

  /** What a piece came to, as far as is known. */
  result(piece: number): unknown {
    return this.own.has(piece) ? this.own.get(piece) : this.claims.get(piece)?.[0].result
  }

  /** How many pieces have a result. */
  get count(): number {
    let count = this.own.size
    for (const piece of this.claims.keys()) if (!this.own.has(piece)) count++
    return count
  }

  missing(): number[] {
    return [...this.wanted].filter((piece) => !this.has(piece))
  }

  isDistrusted({ key }: WorkerName): boolean {
    return this.distrusted.has(key)
  }

  /**
   * A worker's result of a piece.
   * @returns `new` for the first of a piece, `differs` for one that contradicts what is known, `known` for all others;
   *   `firstOf` says whether the worker has never said anything before
   */
  claim(
    piece: number,
    worker: WorkerName,
    result: unknown,
  ): { readonly is: 'new' | 'known' | 'differs'; readonly firstOf: boolean } {
    const firstOf = !this.met.has(worker.key)
    const claims = this.claims.get(piece) ?? []
    const known = this.own.has(piece) ? [this.own.get(piece)] : claims.map((claim) => claim.result)
    if (known.some((one) => isDeepStrictEqual(one, result))) return { is: 'known', firstOf: false }
    this.met.add(worker.key)
    if (claims.length < MOST_CLAIMS) this.claims.set(piece, [...claims, { worker, result }])
    return { is: known.length === 0 ? 'new' : 'differs', firstOf }
  }

  /**
   * What this machine has computed.
   * @returns the workers that said something else
   */
  settle(piece: number, result: unknown): WorkerName[] {
    this.own.set(piece, result)
    return (this.claims.get(piece) ?? [])
      .filter((claim) => !isDeepStrictEqual(claim.result, result))
      .map((claim) => claim.worker)
  }

  /**
   * Believe nothing that a worker has said or will say.
   * @returns the pieces that have no result any more
   */
  distrust({ key }: WorkerName): number[] {
    this.distrusted.add(key)
    const again: number[] = []
    for (const [piece, claims] of this.claims) {
      const left = claims.filter((claim) => claim.worker.key !== key)
      if (left.length === claims.length) continue
      if (left.length > 0) this.claims.set(piece, left)
      else {
        this.claims.delete(piece)
        if (!this.own.has(piece)) again.push(piece)
      }
    }
    return again
  }

  /** A worker could not carry a piece out; returns how often that has been so. */
  failed(piece: number): number {
    const tries = (this.tried.get(piece) ?? 0) + 1
    this.tried.set(piece, tries)
    return tries
  }
}
