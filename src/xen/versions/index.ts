import { BadInput, nearest } from '../../bits/bad-input.ts'
import { xen41 } from './4.1.ts'
import { xen414 } from './4.14.ts'
import { xen414Release } from './4.14-release.ts'
import { xen417 } from './4.17.ts'
import { xen417Release } from './4.17-release.ts'
import { xen420 } from './4.20.ts'
import { xen420Release } from './4.20-release.ts'
import { xen421 } from './4.21.ts'
import { seed } from './seed.ts'
import type { Release, XenVersion } from './version.ts'

/** The versions of Xen that there are, in the order in which they came. */
export const versions: readonly XenVersion[] = [
  xen41,
  seed,
  xen414,
  xen414Release,
  xen417,
  xen417Release,
  xen420,
  xen420Release,
  xen421,
]

/** What is taken where nobody says which: the model kernels have the Xen of their time, everything else one of today. */
export const DEFAULT_XEN = { model: seed.name, others: xen417.name } as const

/** The names of all versions, in the order of the list. */
export function xenVersionNames(): string[] {
  return versions.map(({ name }) => name)
}

/** The version of a name. Throws BadInput for a name that there is not. */
export function xenVersion(name: string): XenVersion {
  const found = versions.find((version) => version.name === name)
  if (found !== undefined) return found
  const guess = nearest(name, xenVersionNames())
  throw new BadInput(
    `--xen ${name}: no such profile; ${guess ? `did you mean ${guess}? ` : ''}there are ${xenVersionNames().join(', ')}`,
  )
}

/** The release that a version is of, as it tells a guest: `4.17.7`, `4.2-unstable`. */
export function releaseName({ abi }: XenVersion): string {
  return `${abi.version >>> 16}.${abi.version & 0xffff}${abi.extraversion}`
}

/** The version that stands for a release, in the build that is asked for where it has that. */
export function versionFor(release: Release, build: 'debug' | 'release'): XenVersion {
  const inSeries = versions.filter(({ standsFrom }) => !isBefore(release, standsFrom))
  const series = inSeries.reduce((a, b) => (isBefore(a.standsFrom, b.standsFrom) ? b : a)).standsFrom
  const candidates = inSeries.filter(({ standsFrom }) => !isBefore(standsFrom, series))
  return candidates.find(({ messages }) => messages.build === build) ?? candidates[0]
}

function isBefore(a: Release, b: Release): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
}
