import { fstatSync } from 'node:fs'
import { OutputClosed } from '../files/standard-streams.ts'
import { BadInput } from '../run/boot/boot-options.ts'
import { type Io, processIo } from './io.ts'
import { VERBS } from './options.ts'
import { parse } from './parse.ts'
import type { Verb } from './verb.ts'
import { packageVersion } from './version.ts'

/**
 * Runs a command line and returns its exit status. Nothing is thrown: bad input is one line and 2, as is an output that cannot
 * be written; a reader who has gone ends the work; anything else is our bug, one line and 70, its stack only with `--debug`.
 */
export async function main(
  argv: readonly string[],
  verbs: readonly Verb[] = VERBS,
  ioFor: (color: string) => Io = processIo,
): Promise<number> {
  try {
    const parsed = parse(argv, verbs, packageVersion())
    if (argv.length === 0 && hasInput()) {
      const { explainInput } = await import('./verbs/explain/explain.ts')
      const status = explainInput(ioFor('auto'))
      if (status !== undefined) return status
    }
    if ('text' in parsed) {
      ioFor('auto').out(parsed.text)
      return 0
    }
    const { run } = await parsed.verb.load()
    return await run(parsed.values, ioFor(parsed.color), verbs)
  } catch (error) {
    if (error instanceof OutputClosed) return 0
    const io = ioFor('never')
    if (error instanceof BadInput) {
      io.err(`xenolith: ${error.message}`)
      return 2
    }
    const message = error instanceof Error ? error.message : String(error)
    io.err(`xenolith: internal error: ${message}; run again with --debug and report it`)
    if (argv.includes('--debug') && error instanceof Error)
      for (const line of (error.stack ?? '').split('\n')) io.err(line)
    return 70
  }
}

/** Whether something is given on standard input: `xenolith < crash.log`. A pipe may be an empty one: `explain` sees. */
function hasInput(): boolean {
  try {
    const input = fstatSync(0)
    return input.isFile() ? input.size > 0 : input.isFIFO() || input.isSocket()
  } catch {
    return false
  }
}
