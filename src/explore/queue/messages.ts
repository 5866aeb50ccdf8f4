import * as v from 'valibot'
import { BadInput } from '../../bits/bad-input.ts'
import { checked, checkedJson } from '../../files/checked.ts'
import type { Job } from '../jobs/job.ts'
import { jobId } from './code.ts'
import { borderOf } from './kinds.ts'
import { isSignedBy, sealed, signed, unsealed, unsigned, type Worker, type WorkerName } from './seal.ts'

/**
 * What goes over the wire, and what of it is believed. All of it is JSON with a schema; a job says its key, all else is
 * sealed with that key:
 *
 *   job     {kind, spec, pieces, code, key}
 *   piece   HMAC, {job, piece}
 *   result  HMAC, signature, {job, piece, worker, result} or {job, piece, worker, error}
 */
export type QueuedJob = Job & {
  /** What tells whether a worker has the same code. */
  readonly code: string
  readonly key: string
}

/** A job as those who read it know it. */
export type KnownJob = { readonly id: string; readonly job: QueuedJob }

/** What became of a piece: its result, or why there is none. */
export type PieceResult = {
  readonly piece: number
  readonly worker: WorkerName
} & ({ readonly result: unknown } | { readonly error: string })

/** A result that is not believed, and of whom that is known: a name alone proves nothing, a signature does. */
export type Refused = { readonly refused: string; readonly worker?: WorkerName }

/** What nobody's message may exceed, bytes: what NATS takes unless it is told otherwise. */
const MOST_BYTES = 2 ** 20

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const code = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/))
const key = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))

const JOB = v.strictObject({
  kind: v.string(),
  spec: v.unknown(),
  pieces: count,
  code,
  key,
})
const PIECE = v.strictObject({ job: v.string(), piece: count })
const RESULT = {
  ...PIECE.entries,
  worker: v.strictObject({
    name: v.pipe(v.string(), v.maxLength(100)),
    key: v.pipe(v.string(), v.length(43)),
  }),
}
const RESULT_OR_ERROR = v.union([
  v.strictObject({ ...RESULT, error: v.pipe(v.string(), v.maxLength(10_000)) }),
  v.strictObject({ ...RESULT, result: v.unknown() }),
])

/** A job as the queue carries it: JSON in UTF-8. */
export function encodeJob(job: QueuedJob): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(job))
}

/**
 * The job of that id. Its spec is checked by {@link checkSpec}: that of other code is nobody's business.
 * @throws BadInput for what is no job, and for another job than the id's
 */
export function decodeJob(id: string, message: Uint8Array): KnownJob {
  const what = `job ${id}`
  const job = checkedJson({ text: new TextDecoder().decode(message), schema: JOB, what })
  if (!isOfId(job, id)) throw new BadInput(`${what}: it is another job under this one's id`)
  return { id, job: { ...job, spec: job.spec } }
}

function isOfId(job: Job & { readonly code: string }, id: string): boolean {
  try {
    return jobId(job, job.code) === id
  } catch (error) {
    // Nested so deep that it cannot be written: nobody who wrote a job wrote this.
    if (error instanceof RangeError) return false
    throw error
  }
}

/** @throws BadInput for a job that no queue carries, a spec that is none, and a wrong number of pieces */
export async function checkSpec({ id, job }: KnownJob): Promise<void> {
  const what = `job ${id}`
  const border = await borderOf(job.kind)
  if (border === null)
    throw new BadInput(`${what}: "${job.kind}" is no kind of job that goes through a queue`)
  checked({ value: job.spec, schema: border.spec, what: `${what}, spec` })
  const pieces = border.pieces(job.spec as never)
  if (job.pieces !== pieces) throw new BadInput(`${what}: it has ${pieces} pieces, and says ${job.pieces}`)
}

/** The message that hands a piece of a job out, sealed with the job's key. */
export function encodePiece({ id, job }: KnownJob, piece: number): Uint8Array {
  return sealed(job.key, JSON.stringify({ job: id, piece }))
}

/** Whether a message hands out that piece of that job. */
export function isPiece({ id, job }: KnownJob, piece: number, message: Uint8Array): boolean {
  return piece < job.pieces && unsealed(job.key, message) === JSON.stringify({ job: id, piece })
}

/**
 * A piece's result, or why there is none, as a message.
 * @param most bytes that the server takes; a larger result is told as an error
 */
export function encodeResult(
  { id, job }: KnownJob,
  worker: Worker,
  outcome: { readonly piece: number } & ({ readonly result: unknown } | { readonly error: string }),
  most: number,
): Uint8Array {
  const { name, key } = worker
  const text = JSON.stringify({ job: id, ...outcome, worker: { name, key } })
  const message = sealed(job.key, signed(worker, text))
  const limit = Math.min(most, MOST_BYTES)
  if (message.length <= limit) return message
  const error = `its result has ${message.length} bytes, and ${limit} is what a message may have`
  return encodeResult({ id, job }, worker, { piece: outcome.piece, error }, Number.POSITIVE_INFINITY)
}

/** What a message says of a piece of that job, or why it is not believed. */
export async function decodeResult(
  { id, job }: KnownJob,
  piece: number,
  message: Uint8Array,
): Promise<PieceResult | Refused> {
  if (message.length > MOST_BYTES) return { refused: `it has ${message.length} bytes` }
  const text = unsealed(job.key, message)
  if (text === null) return { refused: "it does not carry the job's key" }
  let worker: WorkerName | undefined
  try {
    const body = unsigned(text)
    const outcome = checkedJson({ text: body.text, schema: RESULT_OR_ERROR, what: 'it' })
    if (!isSignedBy(outcome.worker, body)) return { refused: 'its signature is not the worker’s' }
    worker = outcome.worker
    if (outcome.job !== id || outcome.piece !== piece)
      return { refused: `it is about piece ${outcome.piece} of job ${outcome.job}`, worker }
    if ('error' in outcome) return { piece, worker, error: outcome.error }
    const border = await borderOf(job.kind)
    checked({ value: outcome.result, schema: border!.result(job.spec as never, piece), what: 'its result' })
    return { piece, worker, result: outcome.result }
  } catch (error) {
    if (!(error instanceof BadInput)) throw error
    return { refused: error.message, ...(worker === undefined ? {} : { worker }) }
  }
}
