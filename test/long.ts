import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { xenNames } from '../src/run/xen-versions.ts'
import { xenVersion } from '../src/xen/versions/index.ts'
import { chosenParts, commandLine, type Part, runParts } from './tools/parts.ts'
import { root } from './tools/tools.ts'

/**
 * `npm run long`: what takes hours, on seeds that nobody has tried, by hand before something is called done. Words are the beginnings
 * of names of parts; `--list` shows the parts and what they run. Exit status 1 when one of them fails.
 */

/** Fresh each time, and in every command that is printed. */
const SEED = String(Math.floor(Date.now() / 1000) % 1_000_000_000)
/** Versions of Xen that there are packages of. */
const PACKAGED = ['4.14', '4.17', '4.20']

/** Those whose rules have no hole that is known, so that a search is to find nothing; a release build has its debug build's rules. */
function sound(): string[] {
  return xenNames().filter((name) => xenVersion(name).holes.length === 0 && !name.endsWith('-release'))
}

function npmRun(script: string, ...words: string[]): string[] {
  return ['npm', 'run', script, '--', ...words]
}

const PARTS: readonly Part[] = [
  {
    name: 'judge',
    shows: 'the core against the processor of this machine, twenty million cases',
    command: npmRun('judge', '--cases', '20000000', '--seed', SEED),
  },
  {
    name: 'regions',
    shows: 'compiled code against the processor of this machine, two million cases',
    command: npmRun('judge', '--tier', 'region', '--cases', '2000000', '--seed', SEED),
  },
  {
    name: 'lockstep',
    shows: 'random programs on both tiers of the core, equal after every slice, an hour',
    command: npmRun('lockstep', '--programs', '3000', '--seed', SEED),
  },
  {
    name: 'fuzz',
    shows: 'random inputs for whatever reads some, an hour',
    command: npmRun('fuzz', '--seconds', '3600', '--seed', SEED, '--save', join(tmpdir(), 'xenolith-found')),
  },
  ...sound().flatMap((xen) =>
    ['dom0', 'domU'].map((domain) => ({
      name: `explore-${xen}-${domain}`,
      shows: `no sequence of hypercalls of a ${domain} breaks the safety of ${xen}`,
      command: [
        ...['node', 'bin/xenolith.js', 'explore', '--expect', 'nothing', '--xen', xen, '--seed', SEED],
        ...['--depth', '5', '--walks', '2000000', ...(domain === 'domU' ? ['--domu'] : [])],
      ],
      isRepeated: true,
    })),
  ),
  ...PACKAGED.map((xen) => ({
    name: `oracle-${xen}`,
    shows: `fresh random scripts on real Xen ${xen} and on the machine, 40 000 operations`,
    command: npmRun(
      'oracle',
      ...['--xen', xen, '--fresh', '40000', '--seed', SEED],
      ...['--save', join(tmpdir(), `xenolith-differs-${xen}.txt`)],
    ),
  })),
  {
    name: 'hypercalls',
    shows:
      'the hypercalls of a kernel as dom0 on real Xen and here: what differs is of the kinds that docs/agreement.md tells of',
    command: npmRun('oracle', '--hypercalls'),
  },
  {
    name: 'kernels',
    shows: "each of Debian's kernels on each version of Xen",
    command: ['npm', 'test', '--', 'kernels'],
    env: { LONG: 'true', XENOLITH_KERNELS: '1' },
  },
]

const words = process.argv.slice(2)
const asksForList = words.includes('--list')
const chosen = chosenParts(
  PARTS,
  words.filter((word) => word !== '--list'),
)
if (typeof chosen === 'string') {
  console.error(`long: no part's name begins with '${chosen}'; --list shows the parts`)
  process.exitCode = 2
} else if (asksForList) {
  for (const { name, shows, command, env } of chosen) {
    console.log(`${name.padEnd(20)} ${shows}\n${' '.repeat(21)}${commandLine(command, env)}`)
  }
} else {
  process.exitCode = runParts(chosen, root, (line) => console.log(line)) === 0 ? 0 : 1
}
