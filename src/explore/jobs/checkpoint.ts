import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { BadInput } from '../../bits/bad-input.ts'

/**
 * Where a long run has got to, in a file: a line of JSON, and behind it the bytes of what is too large for JSON. It
 * appears whole or not at all, and one that was cut or changed is refused.
 */
export type Checkpoint<Head> = {
  readonly head: Head
  readonly parts: Readonly<Record<string, Uint8Array>>
}

type FirstLine = {
  readonly xenolith: string
  readonly schema: 1
  readonly head: unknown
  readonly parts: readonly { readonly name: string; readonly bytes: number }[]
  readonly sha256: string
}

/** @param kind of run, such as `explore`: a checkpoint of another kind is refused */
export function writeCheckpoint(file: string, kind: string, { head, parts }: Checkpoint<unknown>): void {
  const list = Object.entries(parts)
  const first: FirstLine = {
    xenolith: kind,
    schema: 1,
    head,
    parts: list.map(([name, { byteLength }]) => ({ name, bytes: byteLength })),
    sha256: digest(head, list),
  }
  const partial = `${file}.partial`
  try {
    const descriptor = openSync(partial, 'w')
    try {
      writeAll(descriptor, Buffer.from(`${JSON.stringify(first)}\n`))
      for (const [, bytes] of list) writeAll(descriptor, bytes)
    } finally {
      closeSync(descriptor)
    }
    renameSync(partial, file)
  } catch (error) {
    rmSync(partial, { force: true })
    throw new BadInput(`cannot write the checkpoint ${file}: ${reasonOf(error)}`)
  }
}

/** Read one back. Throws BadInput for a file that is none, is damaged, or is another kind's. */
export function readCheckpoint<Head>(file: string, kind: string): Checkpoint<Head> {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new BadInput(`cannot read the checkpoint ${file}: ${reasonOf(error)}`)
  }
  const end = bytes.indexOf(10)
  const first = parse(bytes.subarray(0, end === -1 ? 0 : end).toString('utf8'))
  if (first?.xenolith !== kind || first.schema !== 1 || !Array.isArray(first.parts)) {
    throw new BadInput(`${file} is no checkpoint of xenolith ${kind}; give the file that it wrote`)
  }
  const parts: Record<string, Uint8Array> = {}
  let at = end + 1
  for (const { name, bytes: length } of first.parts) {
    // A copy begins at an even address, so that the part can be seen as an array of words.
    parts[name] = Uint8Array.from(bytes.subarray(at, at + length))
    at += length
  }
  if (at !== bytes.length || digest(first.head, Object.entries(parts)) !== first.sha256) {
    throw new BadInput(`the checkpoint ${file} is damaged; begin again without it`)
  }
  return { head: first.head as Head, parts }
}

function digest(head: unknown, parts: readonly (readonly [string, Uint8Array])[]): string {
  const hash = createHash('sha256').update(JSON.stringify(head))
  for (const [name, bytes] of parts) hash.update(name).update(bytes)
  return hash.digest('hex')
}

function parse(text: string): FirstLine | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' ? (value as FirstLine | null) : null
  } catch {
    return null
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.byteLength; ) written += writeSync(descriptor, bytes, written)
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined) throw error
  return code === 'ENOENT'
    ? 'no such file or folder (ENOENT)'
    : code === 'EACCES'
      ? 'permission denied (EACCES)'
      : code
}
