import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { BadInput } from '../../bits/bad-input.ts'
import { checked, listOf, text, whole } from '../../files/checked.ts'
import { readRegularFile } from '../../files/read.ts'
import { writeWhole } from '../../files/write.ts'

/**
 * Where a long run has got to, in a file: a line of JSON, and behind it the bytes of what is too large for JSON. It
 * appears whole or not at all, and one that was cut or changed is refused.
 */
export type Checkpoint<Head> = {
  readonly head: Head
  readonly parts: Readonly<Record<string, Uint8Array>>
}

/** What a kind's checkpoint has to be: who reads one says so, and believes nothing else. */
export type CheckpointForm<Head extends v.GenericSchema> = {
  /** Of run, such as `explore`: a checkpoint of another kind is refused. */
  readonly kind: string
  readonly head: Head
  /** Names of its parts, in the order in which they are written. */
  readonly parts: readonly string[]
}

const SCHEMA = 1
/** What one array of bytes can hold. */
const LARGEST = 2 ** 31 - 1
/** The first line: findings, and machines' maps; far above what these take. */
const LARGEST_HEAD = 64 * 2 ** 20
const NEWLINE = 10

const FirstLine = v.strictObject({
  xenolith: text(32),
  schema: v.literal(SCHEMA),
  head: v.unknown(),
  parts: listOf(v.strictObject({ name: text(32), bytes: whole(0, LARGEST) }), 16),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
})
type FirstLine = v.InferOutput<typeof FirstLine>

/** Write one. Throws BadInput where that is not possible; what was there before is then as it was. */
export function writeCheckpoint(file: string, kind: string, { head, parts }: Checkpoint<unknown>): void {
  const list = Object.entries(parts)
  const first: FirstLine = {
    xenolith: kind,
    schema: SCHEMA,
    head,
    parts: list.map(([name, { byteLength }]) => ({ name, bytes: byteLength })),
    sha256: digest(head, list),
  }
  writeWhole(file, [Buffer.from(`${JSON.stringify(first)}\n`), ...list.map(([, bytes]) => bytes)])
}

/** Read one back. Throws BadInput for a file that is none, is damaged, or is another kind's. */
export function readCheckpoint<Head extends v.GenericSchema>(
  file: string,
  form: CheckpointForm<Head>,
): Checkpoint<v.InferOutput<Head>> {
  const bytes = readRegularFile(file, LARGEST)
  const end = bytes.subarray(0, LARGEST_HEAD).indexOf(NEWLINE)
  const first = firstLine(bytes.subarray(0, Math.max(0, end)), form.kind)
  if (first === null) {
    throw new BadInput(`${file} is no checkpoint of xenolith ${form.kind}; give the file that it wrote`)
  }
  const parts: Record<string, Uint8Array> = {}
  let at = end + 1
  for (const [i, { name, bytes: length }] of first.parts.entries()) {
    if (name !== form.parts[i]) throw damaged(file)
    // A copy begins at an even address, so that the part can be seen as an array of words.
    parts[name] = bytes.slice(at, at + length)
    at += length
  }
  const isWhole = at === bytes.length && first.parts.length === form.parts.length
  if (!isWhole || digest(first.head, Object.entries(parts)) !== first.sha256) throw damaged(file)
  // The checksum says that nothing happened to it on the way. What it says may still be of another version, or a lie.
  const head = checked({ value: first.head, schema: form.head, what: `the checkpoint ${file}` })
  return { head, parts }
}

/** What a checkpoint says that cannot be, and yet nothing happened to it on the way. */
export function impossibleCheckpoint(file: string, why: string): BadInput {
  return new BadInput(`the checkpoint ${file}: ${why}; begin again without it`)
}

function damaged(file: string): BadInput {
  return new BadInput(`the checkpoint ${file} is damaged; begin again without it`)
}

/** Null for what no run of this kind has written. */
function firstLine(bytes: Uint8Array, kind: string): FirstLine | null {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    return null
  }
  const { success, output } = v.safeParse(FirstLine, value)
  return success && output.xenolith === kind ? output : null
}

function digest(head: unknown, parts: readonly (readonly [string, Uint8Array])[]): string {
  const hash = createHash('sha256').update(jsonOf(head))
  for (const [name, bytes] of parts) hash.update(name).update(bytes)
  return hash.digest('hex')
}

/** What is nested too deep for that was not written by us, and has no checksum. */
function jsonOf(head: unknown): string {
  try {
    return JSON.stringify(head)
  } catch (error) {
    if (error instanceof RangeError) return ''
    throw error
  }
}
