import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

/** A reporter of Node's test runner: which files took longest, and how long all of them. */

const FOLDER = fileURLToPath(new URL('..', import.meta.url))
const SHOWN = 6

export default async function* slowest(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files: { readonly file: string; readonly ms: number }[] = []
  for await (const { type, data } of events) {
    if (type !== 'test:summary') continue
    if (data.file !== undefined) {
      files.push({ file: relative(FOLDER, data.file), ms: data.duration_ms })
      continue
    }
    const sorted = files.toSorted((a, b) => b.ms - a.ms).slice(0, SHOWN)
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
    yield `slowest: ${sorted.map(({ file, ms }) => `${file} ${seconds(ms)}`).join(', ')}\n`
    yield `${files.length} files in ${seconds(data.duration_ms)}\n`
  }
}
