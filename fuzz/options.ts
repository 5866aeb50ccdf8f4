import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { BadInput, nearest } from '../src/bits/bad-input.ts'
import { CORPUS } from './corpus.ts'
import type { Target } from './target.ts'

export function usage(targets: readonly Target[]): string {
  const groups = [...new Set(targets.map(({ group }) => group))]
  const lines = groups.flatMap((group) => [
    `  ${group}`,
    ...targets
      .filter((target) => target.group === group)
      .map(({ name, about }) => `    ${name.padEnd(12)} ${about}`),
  ])
  return `usage: npm run fuzz -- [NAME...] [options]
       npm run fuzz -- --replay FILE...

Runs random inputs, and says which end otherwise than they may. NAME is a target or a group of them; without one it is
all of them.

  --seconds N     how long, all targets together; default 60
  --cases N       so many cases of each target, however long that takes, instead
  --seed N        of the random numbers; default the time
  --jobs N        processes at once; default one a core
  --save FOLDER   where what is found goes, in a folder a target; default fuzz/corpus
  --no-shrink     keep what is found as it is
  --replay        run files of the corpus instead, as the tests do; a file's folder is its target

${lines.join('\n')}

Exit status: 0 nothing is found, 1 something is, 2 bad input.`
}

const OPTIONS = {
  seconds: { type: 'string' },
  cases: { type: 'string' },
  seed: { type: 'string' },
  jobs: { type: 'string' },
  save: { type: 'string' },
  'no-shrink': { type: 'boolean' },
  replay: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export type FuzzOptions = {
  readonly targets: readonly Target[]
  /** Files to run instead of random inputs; null for random ones. */
  readonly files: readonly string[] | null
  readonly seconds: number
  /** Of each target; Infinity where the time decides. */
  readonly cases: number
  readonly seed: number
  readonly jobs: number
  readonly save: string
  readonly shrink: boolean
  readonly help: boolean
}

/** Throws BadInput. */
export function readOptions(words: readonly string[], targets: readonly Target[]): FuzzOptions {
  const { values, positionals } = parsed(words)
  const isReplay = values.replay === true
  if (isReplay && positionals.length === 0)
    throw new BadInput('--replay needs files; give some of fuzz/corpus')
  const cases = whole('--cases', values.cases, 1, 2 ** 40)
  return {
    targets: isReplay ? targets : chosen(positionals, targets),
    files: isReplay ? positionals : null,
    seconds: whole('--seconds', values.seconds, 1, 1e6) ?? (cases === undefined ? 60 : Infinity),
    cases: cases ?? Infinity,
    seed: whole('--seed', values.seed, 0, 2 ** 32 - 1) ?? Math.floor(Date.now() / 1000),
    jobs: whole('--jobs', values.jobs, 1, 64) ?? availableParallelism(),
    save: values.save ?? CORPUS,
    shrink: values['no-shrink'] !== true,
    help: values.help === true,
  }
}

function chosen(names: readonly string[], targets: readonly Target[]): readonly Target[] {
  if (names.length === 0) return targets
  const known = targets.flatMap(({ name, group }) => [name, group])
  const wrong = names.find((name) => !known.includes(name))
  if (wrong !== undefined) {
    const near = nearest(wrong, known)
    throw new BadInput(
      `no target '${wrong}'; ${near === undefined ? '--help lists them' : `did you mean ${near}?`}`,
    )
  }
  return targets.filter(({ name, group }) => names.includes(name) || names.includes(group))
}

function parsed(words: readonly string[]) {
  const known = Object.keys(OPTIONS).map((name) => `--${name}`)
  const wrong = words.find((word) => word.startsWith('--') && !known.includes(word.replace(/=.*/, '')))
  if (wrong !== undefined) {
    const near = nearest(wrong, known)
    throw new BadInput(
      `${wrong}: no such option${near === undefined ? '; --help lists them' : `; did you mean ${near}?`}`,
    )
  }
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new BadInput((error as Error).message.split('\n')[0])
  }
}

function whole(option: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined
  const number = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (number >= low && number <= high) return number
  throw new BadInput(`${option} '${text}' is no whole number of ${low} to ${high}`)
}
