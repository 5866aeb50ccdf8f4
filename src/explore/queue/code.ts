import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Job } from '../jobs/job.ts'

let known: string | undefined

/**
 * A digest of this program's own files. Results of one job are put together only where the code that made them is the same: a
 * version number says nothing of a clone that somebody works in.
 */
export function codeDigest(): string {
  known ??= digestOf(fileURLToPath(new URL('../../', import.meta.url)))
  return known
}

function digestOf(folder: string): string {
  const hash = createHash('sha256')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.[jt]s$/.test(file),
  )
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(`${folder}${file}`))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}

/** The id of a job: the same for the same job and the same code, so that a coordinator that is started again finds its results. */
export function jobId({ kind, spec, pieces }: Job, code: string): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, spec, pieces, code]))
    .digest('hex')
    .slice(0, 20)
}
