import { parseArgs } from 'node:util'
import { BadInput, nearest } from '../src/bits/bad-input.ts'
import { RANDOM_PROFILES, type RandomProfile } from '../src/script/random-script.ts'
import { DEFAULT_PACKAGED_XEN, PACKAGED_XENS, type PackagedXen } from './tools.ts'

export const USAGE = `usage: npm run oracle -- [options] SCRIPT...
       npm run oracle -- [options] --random SEED...
       npm run oracle -- [options] --fresh OPERATIONS
       npm run oracle -- [--xen VERSION] --hypercalls [--all]

Runs scripts of hypercalls on real Xen under emulation and on the machine, or a kernel, and prints what differs.

  --random SEED     a random script; a number, or a range as in 1..20; may be repeated
  --fresh NUMBER    random scripts of seeds from the clock, in both domains and all profiles, of that many operations
  --seed SEED       the first seed of --fresh
  --ops NUMBER      operations of a random script, default 400
  --profile NAME    ${RANDOM_PROFILES.join(', ')} or all; default mixed
  --xen VERSION     ${PACKAGED_XENS.join(', ')}: Debian's, downloaded when it is not there; default ${DEFAULT_PACKAGED_XEN}
  --domu            in a domU that the probe builds, and not in dom0
  --save FILE       write the first script that differs, shrunk
  --no-shrink       show a script that differs as it is
  --record DIR      write the recordings, which npm run agree reads
  --raw             print real Xen's console
  --json            print real Xen's transcript, one object a line
  --hypercalls      Debian's kernel as dom0 on both: its hypercalls up to the first process, and what differs
  --all             of these all, and not only what differs
  --debug           print a stack trace when the oracle itself fails

Exit status: 0 they agree, 1 they differ, 2 bad input or a missing tool.`

const OPTIONS = {
  random: { type: 'string', multiple: true },
  fresh: { type: 'string' },
  seed: { type: 'string' },
  ops: { type: 'string' },
  profile: { type: 'string' },
  xen: { type: 'string' },
  domu: { type: 'boolean' },
  save: { type: 'string' },
  'no-shrink': { type: 'boolean' },
  record: { type: 'string' },
  raw: { type: 'boolean' },
  json: { type: 'boolean' },
  hypercalls: { type: 'boolean' },
  all: { type: 'boolean' },
  debug: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export type OracleOptions = {
  readonly files: readonly string[]
  readonly seeds: readonly number[]
  /** Operations of fresh scripts, 0 for none, and their first seed. */
  readonly fresh: number
  readonly seed: number | null
  readonly ops: number
  readonly profiles: readonly RandomProfile[]
  readonly xen: PackagedXen
  readonly domain: 'dom0' | 'domU'
  readonly save: string | null
  readonly shrink: boolean
  readonly record: string | null
  readonly raw: boolean
  readonly json: boolean
  /** Compare the hypercalls of a kernel's boot instead, and print all of them. */
  readonly hypercalls: boolean
  readonly all: boolean
  readonly help: boolean
}

/** Seeds that one range may have. */
const MOST_SEEDS = 100_000

/** Throws BadInput. */
export function readOptions(words: readonly string[]): OracleOptions {
  const { values, positionals } = parsed(words)
  const fresh = values.fresh === undefined ? 0 : whole('--fresh', values.fresh, 1, 10 ** 9)
  const seeds = (values.random ?? []).flatMap(seedsOf)
  const hypercalls = values.hypercalls === true
  const asked = positionals.length + seeds.length + fresh
  if (hypercalls && asked > 0)
    throw new BadInput('--hypercalls takes no script; it boots a kernel: keep one of them')
  if (values.all === true && !hypercalls) throw new BadInput('--all goes with --hypercalls')
  if (values.help !== true && !hypercalls && asked === 0) {
    throw new BadInput('which script? npm run oracle -- SCRIPT..., or --random SEED; --help says more')
  }
  if (values.seed !== undefined && fresh === 0) throw new BadInput('--seed goes with --fresh; see --random')
  return {
    files: positionals,
    seeds,
    fresh,
    seed: values.seed === undefined ? null : whole('--seed', values.seed, 0, 2 ** 31),
    ops: values.ops === undefined ? 400 : whole('--ops', values.ops, 1, 100_000),
    profiles: profilesOf(values.profile),
    xen: xenOf(values.xen),
    domain: values.domu === true ? 'domU' : 'dom0',
    save: values.save ?? null,
    shrink: values['no-shrink'] !== true,
    record: values.record ?? null,
    raw: values.raw === true,
    json: values.json === true,
    hypercalls,
    all: values.all === true,
    help: values.help === true,
  }
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

function profilesOf(name: string | undefined): readonly RandomProfile[] {
  if (name === 'all') return RANDOM_PROFILES
  const found = RANDOM_PROFILES.find((profile) => profile === (name ?? 'mixed'))
  if (found !== undefined) return [found]
  throw new BadInput(`--profile '${name}' is not known; there are ${RANDOM_PROFILES.join(', ')} and all`)
}

/** Debian's are release builds, so that the names of those profiles do as well. */
function xenOf(name: string | undefined): PackagedXen {
  const found = PACKAGED_XENS.find((xen) => xen === (name ?? DEFAULT_PACKAGED_XEN).replace(/-release$/, ''))
  if (found !== undefined) return found
  throw new BadInput(
    `--xen '${name}' is none that there is a package of; there are ${PACKAGED_XENS.join(', ')}`,
  )
}

function seedsOf(text: string): number[] {
  const [first, last, ...rest] = text.split('..')
  if (rest.length > 0) throw new BadInput(`--random '${text}' is neither a number nor a range as in 1..20`)
  const from = whole('--random', first, 0, 2 ** 31)
  const to = last === undefined ? from : whole('--random', last, from, from + MOST_SEEDS)
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

function whole(option: string, text: string, low: number, high: number): number {
  const number = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN
  if (number >= low && number <= high) return number
  throw new BadInput(`${option} '${text}' is no whole number of ${low} to ${high}`)
}
