import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Target } from './target.ts'

/** Inputs that are kept, a folder a target: faults that were found, and what tells much. Each is run by the tests. */
export const CORPUS = fileURLToPath(new URL('./corpus/', import.meta.url))

/** The files of a target's folder, by their names. */
export function corpusOf(target: Target, folder = CORPUS): { file: string; input: Uint8Array }[] {
  const own = join(folder, target.name)
  let names: string[]
  try {
    names = readdirSync(own)
  } catch {
    return []
  }
  return names.sort().map((name) => ({ file: join(own, name), input: readFileSync(join(own, name)) }))
}

/** Keep an input; its name tells what was found, and apart from others. Returns the file. */
export function keep(target: Target, input: Uint8Array, what: string, folder: string): string {
  const own = join(folder, target.name)
  mkdirSync(own, { recursive: true })
  const words = what
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 48)
  const mark = createHash('sha256').update(input).digest('hex').slice(0, 8)
  const file = join(own, `${words}-${mark}.${target.cut === 'lines' ? 'txt' : 'bin'}`)
  writeFileSync(file, input)
  return file
}
