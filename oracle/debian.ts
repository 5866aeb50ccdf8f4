import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Debian's packages of any suite, whatever the system here is: fetched by apt with a state of its own for each suite, from the
 * mirror that the system's apt is configured for and under Debian's keys, and unpacked beside each other. Nothing is installed.
 */

/** The suites, oldest first, and what of the archive belongs to each: a security suite has a repository of its own. */
const SUITES = {
  bullseye: { security: true },
  bookworm: { security: true },
  trixie: { security: true },
  sid: { security: false },
} as const

export type Suite = keyof typeof SUITES
export type DebianPackage = { readonly suite: Suite; readonly name: string }
/** Why there is no package: a sentence. */
export type Missing = { readonly reason: string }

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** Where packages are kept between runs. */
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'xenolith', 'debian')

/** A package's files as they were unpacked before: their folder, or null. */
export function unpackedPackage({ suite, name }: DebianPackage): string | null {
  const folder = join(CACHE, suite, 'packages', name)
  return existsSync(folder) ? folder : null
}

/** A package's files, unpacked: their folder. It is downloaded where it is not there yet, its newest version. */
export function fetchPackage(wanted: DebianPackage): string | Missing {
  const { suite, name } = wanted
  const there = unpackedPackage(wanted)
  if (there !== null) return there
  const failed = refresh(suite)
  if (failed !== null) return failed
  const packages = join(CACHE, suite, 'packages')
  const folder = join(packages, name)
  const fresh = `${folder}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  try {
    const download = apt(suite, 'apt-get', ['download', name], fresh)
    const archive = readdirSync(fresh).find((file) => file.endsWith('.deb'))
    if (!download.ok || archive === undefined)
      return { reason: `apt-get cannot download ${name} of ${suite}: ${download.said}` }
    const files = join(fresh, 'files')
    const unpacked = run('dpkg-deb', ['-x', join(fresh, archive), files])
    if (!unpacked.ok) return { reason: `dpkg-deb cannot unpack ${name}: ${unpacked.said}` }
    // Another process may have done the same: the folder appears at once, and whole.
    if (!existsSync(folder)) renameSync(files, folder)
    return folder
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/**
 * The package that holds the kernel which a package without a version, as `linux-image-amd64`, stands for: as apt last heard of
 * the suite, which it asks only when `download` is true.
 */
export function kernelPackage({ suite, name }: DebianPackage, download: boolean): DebianPackage | Missing {
  const failed = download ? refresh(suite) : null
  if (failed !== null) return failed
  if (!existsSync(stateFolder(suite))) return { reason: `apt has not heard of ${suite} yet` }
  const dependency = (of: string, pattern: RegExp): string | undefined =>
    pattern.exec(apt(suite, 'apt-cache', ['depends', of]).text)?.[1]
  const found = dependency(name, /Depends: (linux-image-\S+)/)
  if (found === undefined) return { reason: `apt knows no ${name} of ${suite}` }
  // Since Linux 7 the kernel lies in a package apart from what installs it.
  return { suite, name: dependency(found, /Depends: (linux-binary-\S+)/) ?? found }
}

const stateFolder = (suite: Suite): string => join(CACHE, suite, 'apt')
/** Suites that this process has asked about: an index does not change within minutes. */
const refreshed = new Set<Suite>()

/** Make a suite's state when it is not there, and let apt look what is new. Null, or why that fails. */
function refresh(suite: Suite): Missing | null {
  if (refreshed.has(suite)) return null
  const sources = sourcesOf(suite)
  if (typeof sources !== 'string') return sources
  const state = stateFolder(suite)
  for (const folder of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(state, folder), { recursive: true })
  writeFileSync(join(state, 'sources.list'), sources)
  // No package is installed as far as this state goes, and none is preferred.
  writeFileSync(join(state, 'status'), '')
  const { ok, said } = apt(suite, 'apt-get', ['update', '-q'])
  if (!ok) return { reason: `apt-get cannot ask for ${suite}: ${said}` }
  refreshed.add(suite)
  return null
}

/** The lines of a suite's sources.list, with the repositories that the system's own apt has Debian from. */
function sourcesOf(suite: Suite): string | Missing {
  const format = '$(ORIGIN)\t$(LABEL)\t$(REPO_URI)'
  const { ok, text, said } = run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  if (!ok) return { reason: `apt-get is not to be asked here: ${said}` }
  const known = text.split('\n').map((line) => line.split('\t'))
  const repository = (label: string): string | undefined =>
    known.find(([origin, its]) => origin === 'Debian' && its === label)?.[2]
  const archive = repository('Debian')
  const security = repository('Debian-Security')
  if (archive === undefined)
    return { reason: "apt knows no repository of Debian's: configure one and run apt-get update" }
  if (!existsSync(KEYRING))
    return { reason: `${KEYRING} is not there: apt-get install debian-archive-keyring` }
  const line = (from: string, of: string): string =>
    `deb [arch=amd64 signed-by=${KEYRING}] ${from} ${of} main\n`
  const isApart = SUITES[suite].security && security !== undefined
  return line(archive, suite) + (isApart ? line(security, `${suite}-security`) : '')
}

/** Run a tool of apt's with a suite's state, one at a time: apt itself does not wait where two change a state. */
function apt(suite: Suite, tool: string, words: readonly string[], cwd?: string): Output {
  const state = stateFolder(suite)
  const settings = {
    'Dir::Etc::sourcelist': join(state, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': state,
    'Dir::State::lists': join(state, 'lists'),
    'Dir::State::status': join(state, 'status'),
    'Dir::Cache': join(state, 'cache'),
    'APT::Architecture': 'amd64',
    // The state may lie where apt's own user cannot go.
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    // Of two repositories of a suite that one of them lacks, nothing is taken.
    'APT::Update::Error-Mode': 'any',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return run('flock', [join(state, 'lock'), tool, ...options, ...words], cwd)
}

type Output = { readonly ok: boolean; readonly text: string; readonly said: string }

/** @returns what it printed, and the last line of what it complained about */
function run(tool: string, words: readonly string[], cwd?: string): Output {
  const { status, stdout, stderr, error } = spawnSync(tool, words, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  if (error !== undefined) return { ok: false, text: '', said: error.message }
  const said = stderr.trim().split('\n')
  return { ok: status === 0, text: stdout, said: said.find((line) => /^E:/.test(line)) ?? said.at(-1) ?? '' }
}
