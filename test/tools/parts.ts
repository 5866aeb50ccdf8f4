import { spawnSync } from 'node:child_process'

/** A part of what is run by hand: what it shows, and the command that does it, which fails with a status other than 0. */
export type Part = {
  readonly name: string
  readonly shows: string
  readonly command: readonly string[]
  /** What the command finds in its environment besides. */
  readonly env?: Readonly<Record<string, string>>
  /** It runs on a seed of its own: it fails only when it fails on that seed again. For commands that do not repeat findings themselves. */
  readonly isRepeated?: boolean
}

/** The parts whose names begin with one of the words; all of them without words. A word that none begins with, instead. */
export function chosenParts(parts: readonly Part[], words: readonly string[]): readonly Part[] | string {
  const wrong = words.find((word) => !parts.some(({ name }) => name.startsWith(word)))
  if (wrong !== undefined) return wrong
  return words.length === 0 ? parts : parts.filter(({ name }) => words.some((word) => name.startsWith(word)))
}

/**
 * Run parts one after the other, whatever becomes of those before, and end with a table of what each took.
 *
 * @param cwd folder of the commands
 * @param say told a line before each part, and the table
 * @returns how many failed
 */
export function runParts(parts: readonly Part[], cwd: string, say: (line: string) => void): number {
  const table: string[] = []
  let failed = 0
  const began = performance.now()
  for (const { name, shows, command, env, isRepeated = false } of parts) {
    say(`== ${name}: ${shows}\n== ${commandLine(command, env)}`)
    const start = performance.now()
    const [program, ...words] = command
    const isFine = (): boolean =>
      spawnSync(program, words, { cwd, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0
    let end = isFine() ? '' : ' (failed)'
    if (end !== '' && isRepeated) {
      say('== once more')
      if (isFine()) end = ' (failed once and not again)'
    }
    if (end === ' (failed)') failed++
    table.push(`${took(performance.now() - start)}  ${name}${end}`)
  }
  say('== what it took')
  for (const line of table) say(line)
  say(`${took(performance.now() - began)}  in all, ${failed} of ${parts.length} parts failed`)
  return failed
}

/** As one types it. */
export function commandLine(command: readonly string[], env: Part['env'] = {}): string {
  return [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...command].join(' ')
}

function took(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const minutes = String(Math.floor(seconds / 60)).padStart(4)
  return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
}
