import { BadInput, nearest } from '../../bits/bad-input.ts'
import { PAT, PCD, PSE, PWT, RW } from '../../bits/pte.ts'
import type { Rules } from './rules.ts'
import type { XenVersion } from './version.ts'

/**
 * Holes that Xen once had, each a named switch: opening one gives a version the rule as it was, closing it the rule as
 * it was mended. The rules read the fields that a hole changes, and know nothing of holes.
 */
export type Hole = {
  /** The number of the Xen Security Advisory. */
  readonly advisory: string
  readonly title: string
  /** Which check was missing, in a sentence. */
  readonly what: string
  /** The commit that mended it, and its year. */
  readonly fixed: string
  /** The first release of each series that has it, oldest first; series before those never had a release with it. */
  readonly fixedIn: readonly string[]
  /** The safety property that it breaks: src/audit/properties.ts. */
  readonly property: string
  readonly open: (version: XenVersion) => XenVersion
  readonly close: (version: XenVersion) => XenVersion
}

const CACHING = PWT | PCD | PAT

export const HOLES: readonly Hole[] = [
  {
    advisory: '148',
    title: 'Large pages by a change of one flag',
    what: 'PSE was not among the flags that an L2 entry may not have, and setting it took the fast path.',
    fixed: 'fe360c90ea (2015)',
    fixedIn: ['4.4.4', '4.5.2', '4.6.1', '4.7.0'],
    property: 'writable-table',
    open: (version) =>
      withUpper(withL2(version, version.rules.badFlags.l2 & ~PSE), version.rules.fastPath.upper & ~PSE),
    close: (version) =>
      withUpper(withL2(version, version.rules.badFlags.l2 | PSE), version.rules.fastPath.upper | PSE),
  },
  {
    advisory: '154',
    title: 'Devices through the cache',
    what: 'A device could be mapped with caching, at once or by a change of the flags that took the fast path.',
    fixed: 'c61a6f74f8 (2016)',
    fixedIn: ['4.5.3', '4.6.3', '4.7.0'],
    property: 'cached-device',
    open: (version) =>
      withRules(withL1(version, version.rules.fastPath.l1 & ~CACHING), { mmioUncached: false }),
    close: (version) =>
      withRules(withL1(version, version.rules.fastPath.l1 | CACHING), { mmioUncached: true }),
  },
  {
    advisory: '182',
    title: 'Write permission by the fast path',
    what: 'An entry of L2 to L4 could gain RW without being checked again.',
    fixed: 'e1bff4c2ea (2016)',
    fixedIn: ['4.5.4', '4.6.4', '4.7.1', '4.8.0'],
    property: 'writable-table',
    open: (version) => withUpper(version, version.rules.fastPath.upper & ~(RW | PWT | PCD)),
    close: (version) => withUpper(version, version.rules.fastPath.upper | RW | PWT | PCD),
  },
  {
    advisory: '213',
    title: 'A multicall goes on in user mode',
    what: 'A multicall went on after an iret that had left for a process, whose tables its other calls then changed.',
    fixed: '22c096c99d (2017)',
    fixedIn: ['4.6.6', '4.7.3', '4.8.2', '4.9.0'],
    property: 'user-mode-call',
    open: (version) => withRules(version, { multicallEndsInUserMode: false }),
    close: (version) => withRules(version, { multicallEndsInUserMode: true }),
  },
  {
    advisory: '240',
    title: 'Chains of tables of one level',
    what: 'Same-level references were not counted, so tables could be chained without limit.',
    fixed: '6987fc7558 (2017)',
    fixedIn: ['4.7.4', '4.8.3', '4.9.1', '4.10.0'],
    property: 'table-chain',
    open: (version) => withRules(version, { countsLinear: false }),
    close: (version) => withRules(version, { countsLinear: true }),
  },
  {
    advisory: '286',
    title: 'A linear map of tables that are gone',
    what: "Changes of L2 to L4 did not flush Xen's linear map of the tables, by which it then changed an L1 no longer there.",
    fixed: '16a20963b3 (2020)',
    fixedIn: ['4.12.4', '4.13.2', '4.14.1', '4.15.0'],
    property: 'writable-table',
    open: (version) => withRules(version, { flushesLinearMap: false }),
    close: (version) => withRules(version, { flushesLinearMap: true }),
  },
  {
    advisory: '298',
    title: 'Descriptors beyond the end of the LDT',
    what: 'The emulator looked at an LDT without asking for its limit, and took any page behind it for one of descriptors.',
    fixed: '93021cbe88 (2019)',
    fixedIn: ['4.11.3', '4.12.2', '4.13.0'],
    property: 'descriptor-limit',
    open: (version) => withRules(version, { checksLdtLimit: false }),
    close: (version) => withRules(version, { checksLdtLimit: true }),
  },
]

/** The holes that a release has open by itself: all were there from the first releases on. */
export function holesIn(release: string): readonly string[] {
  return HOLES.filter(({ fixedIn }) => !isFixed(fixedIn, release)).map(({ advisory }) => advisory)
}

function isFixed(fixedIn: readonly string[], release: string): boolean {
  const [major, minor, point] = partsOf(release)
  const fixes = fixedIn.map(partsOf)
  const inSeries = fixes.find((fix) => fix[0] === major && fix[1] === minor)
  if (inSeries !== undefined) return point >= inSeries[2]
  const last = fixes[fixes.length - 1]
  return major > last[0] || (major === last[0] && minor > last[1])
}

/** `4.17.7` as its numbers, and what is said of it, as in `4.2-unstable`, as before the series' first release. */
function partsOf(release: string): readonly [major: number, minor: number, point: number] {
  const [, major, minor, point] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? []
  return [Number(major), Number(minor), point === undefined ? -1 : Number(point)]
}

function withRules(version: XenVersion, rules: Partial<Rules>): XenVersion {
  return { ...version, rules: { ...version.rules, ...rules } }
}

function withL2(version: XenVersion, l2: number): XenVersion {
  return withRules(version, { badFlags: { ...version.rules.badFlags, l2 } })
}

function withL1(version: XenVersion, l1: number): XenVersion {
  return withRules(version, { fastPath: { ...version.rules.fastPath, l1 } })
}

function withUpper(version: XenVersion, upper: number): XenVersion {
  return withRules(version, { fastPath: { ...version.rules.fastPath, upper } })
}

/**
 * Which holes are open: a version's own where nothing is said, none for `none`, else those of a list such as `148,182`.
 * Throws BadInput for a number that is none of them.
 */
export function holesOf(version: XenVersion, option?: string): readonly string[] {
  if (option === undefined) return version.holes
  if (option.trim() === 'none') return []
  const known = HOLES.map(({ advisory }) => advisory)
  const wanted = option.split(',').map((word) => word.trim().replace(/^xsa-?/i, ''))
  for (const word of wanted) {
    if (known.includes(word)) continue
    const near = nearest(word, known)
    throw new BadInput(
      `--holes ${option}: '${word}' is no hole of this machine${near === undefined ? '' : ` (did you mean ${near}?)`}; give none, or some of ${known.join(',')}`,
    )
  }
  return [...new Set(wanted)].sort((a, b) => Number(a) - Number(b))
}

/** The version with exactly these holes open. With its own it is the version itself. */
export function withHoles(version: XenVersion, open: readonly string[]): XenVersion {
  if (open.join() === version.holes.join()) return version
  const changed = HOLES.filter(({ advisory }) => open.includes(advisory) !== version.holes.includes(advisory))
  const result = changed.reduce(
    (before, hole) => (open.includes(hole.advisory) ? hole.open(before) : hole.close(before)),
    version,
  )
  return { ...result, holes: open }
}
