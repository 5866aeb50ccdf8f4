import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { foreignLines } from '../src/bits/foreign-text.ts'
import { main } from '../src/cli/main.ts'
import type { Here } from '../src/cli/thread/thread.ts'
import type { KernelFlags } from '../src/cli/verbs/boot/boot-kernel.ts'
import { run as bootKernel } from '../src/cli/verbs/boot/kernel-task.ts'
import { StopFlag } from '../src/run/kernel/stop.ts'
import { listeningIo } from '../test/tools/listening-io.ts'
import { Wrong } from './target.ts'

/** Commands as a user gives them, but in this process: what they print, and how they end, is looked at. */

let folder: string | null = null

/** A folder of this process's own, gone with it. */
export function ownFolder(): string {
  if (folder === null) {
    const made = mkdtempSync(join(tmpdir(), 'xenolith-fuzz-files-'))
    folder = made
    // Names in files are relative to it.
    process.chdir(made)
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
  }
  return folder
}

/** Write a file of a name into the folder; its path. */
export function ownFile(name: string, content: string | Uint8Array): string {
  const file = join(ownFolder(), name)
  writeFileSync(file, content)
  return file
}

/** How a command ended. */
export type Ended = { readonly status: number; readonly out: string; readonly err: string }

/**
 * Run a command. Throws Wrong for an internal error, for bad input that is told in more than a line or not at all, and for
 * whatever a terminal would take for its own.
 */
export async function command(words: readonly string[]): Promise<Ended> {
  const { io, ended } = listener()
  const status = await main([...words, '--debug'], undefined, () => io)
  return checked(words, ended(status))
}

/**
 * Boot a real kernel as a batch does, on this thread: `boot` itself takes one of its own. Throws BadInput as well, which
 * whoever calls tells apart from what the guest came to.
 */
export function bootCommand(flags: KernelFlags): Ended {
  const { io, ended } = listener()
  const here: Here = {
    io,
    stop: new StopFlag(),
    isWatched: false,
    typed: () => [],
    pulse: () => {},
    begins: () => {},
    over: () => {},
  }
  const { result } = bootKernel({ flags, terminal: null }, here)
  return checked(['boot'], ended(0), result.outcome)
}

/** What is printed passes the printer that a user's words pass. */
function listener() {
  const { io, out, err } = listeningIo()
  return {
    io,
    ended: (status: number): Ended => ({ status, out: out.join('\n'), err: err.join('\n') }),
  }
}

function checked(words: readonly string[], ended: Ended, outcome = ''): Ended {
  const { status, out, err } = ended
  if (status === 70) {
    const place = /at (\S+) .*\/(src\/[^:]+):/.exec(err) ?? ['', 'nowhere', 'known']
    throw new Wrong(`internal error in ${place[1]} (${place[2]})`, err)
  }
  if (status === 2 && !/(^|\n)xenolith: .*$/.test(err)) {
    throw new Wrong('bad input of other than one line', `${words.join(' ')} says: ${JSON.stringify(err)}`)
  }
  for (const text of [out, err]) {
    const safe = foreignLines(text)
    if (safe === text) continue
    let at = 0
    while (safe[at] === text[at]) at++
    throw new Wrong(
      `${words[0]} prints what a terminal obeys`,
      `printed ${JSON.stringify(text.slice(Math.max(0, at - 60), at + 20))}`,
    )
  }
  return outcome === '' ? ended : { ...ended, out: `${outcome} ${out}` }
}

/** What is the same each time in how a command ended: not the names of this process's files. */
export function outcomeOf({ status, out, err }: Ended): string {
  // Progress is printed after a time, and tells how fast it goes.
  const told = err.split('\n').filter((line) => !/, [\d.]+\/s, /.test(line))
  const text = `${status} ${out.length} ${out.slice(0, 200)} ${told.join('\n').slice(0, 200)}`
  return folder === null ? text : text.replaceAll(folder, '')
}
