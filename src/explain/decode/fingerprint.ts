import type { LoggedXen } from '../evidence.ts'
import { MESSAGES, XEN_RELEASES } from '../log/message-table.ts'
import type { LogRecord, XenMessage } from '../log/records.ts'

/**
 * Which Xen wrote a log. A banner says it. Without one, the line numbers in `mm.c:2466:d0` do: each release has its own.
 * Without those, the wording and the prefix leave a range of releases.
 */
export function loggedXen(records: readonly LogRecord[]): LoggedXen {
  const messages = records.filter((record) => record.kind === 'xen')
  const [first, last] = rangeByWording(messages)
  // A pasted log may hold a guest's word of another host: a version whose messages read otherwise is not this one's.
  const banner = records
    .filter((record) => record.kind === 'xen-version')
    .filter(({ version }) => fits(releaseOf(version), first, last))
    .toSorted((a, b) => TOLD.indexOf(a.of) - TOLD.indexOf(b.of))[0]
  if (banner !== undefined) {
    const release = releaseOf(banner.version)
    return {
      version: banner.version,
      from: release,
      to: release,
      how: 'banner',
      sure: `certain: the log prints it at line ${banner.line}`,
      ...(banner.debug === undefined ? {} : { debug: banner.debug }),
    }
  }
  return byLineNumbers(messages, first, last) ?? byWording(messages, first, last)
}

const index = (release: string) => XEN_RELEASES.indexOf(release)
/** Whom to believe first. */
const TOLD = ['host', 'dump', 'told'] as const

/** Whether a release is in a range; its neighbours count, as patches travel. */
function fits(release: string, first: number, last: number): boolean {
  return index(release) >= first - 2 && index(release) <= last + 2
}

const END = XEN_RELEASES.length - 1

/** The release of the table that a printed version belongs to: `4.17.7` is 4.17.7, `4.9.1_02-3.21` is 4.9. */
export function releaseOf(version: string): string {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? []
  if (major === undefined) return 'unstable'
  if (/^4\.2-unstable/.test(version)) return 'seed'
  const names = [`${major}.${minor}.${patch}`, `${major}.${minor}`, `${major}.${minor}.0`]
  const known = names.find((name) => XEN_RELEASES.includes(name))
  if (known !== undefined) return known
  return Number(major) > 4 || (Number(major) === 4 && Number(minor) > 22) ? 'unstable' : '3.0.0'
}

/** The series of a release of the table; `seed` is of 4.2, before it was one. Undefined for what is not released yet. */
export function seriesOf(release: string): readonly [major: number, minor: number] | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(UNRELEASED[release] ?? release) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor)]
}

/** Whether a release of the table is that one or a later one. */
export function atLeast(release: string, than: string): boolean {
  return index(release) >= index(than)
}

/** The first and last release whose wording and prefixes fit every message, as indices; the widest when none fits all. */
function rangeByWording(messages: readonly XenMessage[]): [number, number] {
  let first = 0
  let last = END
  for (const message of messages) {
    const ranges = [
      [index(MESSAGES[message.message].from), index(MESSAGES[message.message].to)],
      prefixRange(message),
    ]
    for (const [from, to] of ranges) {
      if (from > last || to < first) continue
      first = Math.max(first, from)
      last = Math.min(last, to)
    }
  }
  return [first, last]
}

function prefixRange({ prefix, file }: XenMessage): [number, number] {
  if (prefix === 'DOM') return [0, index('3.0.3')]
  if (prefix === 'file-domain') return [index('3.0.3'), index('4.4')]
  if (prefix === 'vcpu') return [index('4.6'), END]
  if (prefix === 'file-vcpu' && file !== undefined)
    return file.includes('/') ? [index('4.17.0'), END] : [index('4.5'), index('4.16')]
  return [0, END]
}

/** How far a message's line is from where a release has it; undefined where the table does not know. */
function distance(message: XenMessage, release: string): number | undefined {
  const places = MESSAGES[message.message].lines?.[release] ?? otherWording(message, release)
  const base = message.file?.replace(/^.*\//, '')
  const offsets = (places ?? [])
    .filter(([file]) => file.endsWith(`/${base}`))
    .map(([, first, last]) => {
      if (message.sourceLine! < first) return message.sourceLine! - first
      return message.sourceLine! > last ? message.sourceLine! - last : 0
    })
  return offsets.toSorted((a, b) => Math.abs(a) - Math.abs(b))[0]
}

/** The same message may have another wording in that release: a pasted log is not always to the letter. */
function otherWording(message: XenMessage, release: string) {
  return MESSAGES.find(
    (other) =>
      other.group === message.group &&
      other.lines?.[release] !== undefined &&
      sameLevel(other.template, MESSAGES[message.message].template),
  )?.lines?.[release]
}

function sameLevel(a: string, b: string): boolean {
  return /L[1-4]|l[1-4]/.exec(a)?.[0] === /L[1-4]|l[1-4]/.exec(b)?.[0]
}

/** A stable release or a distribution's patches move a line by so much; one line alone may be so near by chance. */
const NEAR = 40
const NEAR_ALONE = 10
/** These stand in macros, whose lines are those of their uses. */
const IN_MACROS = ['linear-rw', 'linear-off', 'pte-race']

function byLineNumbers(messages: readonly XenMessage[], first: number, last: number): LoggedXen | undefined {
  const places = new Map<string, XenMessage>()
  for (const message of messages) {
    if (message.sourceLine !== undefined && !IN_MACROS.includes(message.group))
      places.set(`${message.group} ${message.sourceLine}`, message)
  }
  if (places.size === 0) return undefined
  const candidates = XEN_RELEASES.slice(first, last + 1).flatMap((release) => {
    const offsets = [...places.values()].map((message) => distance(message, release))
    const known = offsets.filter((offset) => offset !== undefined)
    if (known.length === 0) return []
    const worst = Math.max(...known.map(Math.abs))
    // Lines only grow within a stable branch: offsets of both signs speak against it.
    const mixed = known.some((offset) => offset > 0) && known.some((offset) => offset < 0)
    return [{ release, known: known.length, worst, mixed, exact: known.every((offset) => offset === 0) }]
  })
  const exact = candidates.filter((one) => one.exact).toSorted((a, b) => b.known - a.known)
  if (exact.length > 0) {
    const best = exact.filter((one) => one.known === exact[0].known)
    const [from, to] = [best[0].release, best.at(-1)!.release]
    const counted = places.size === 1 ? 'one line number' : `${exact[0].known} of ${places.size} line numbers`
    return {
      version: named(from, to),
      from,
      to,
      how: 'line-numbers',
      sure:
        exact[0].known === 1
          ? `likely: ${counted} of the log is where Xen ${named(from, to)} has it`
          : `almost certain: ${counted} are where Xen ${named(from, to)} has them`,
    }
  }
  const near = candidates
    .filter((one) => one.worst <= (one.known > 1 ? NEAR : NEAR_ALONE))
    .toSorted((a, b) => b.known - a.known || Number(a.mixed) - Number(b.mixed) || a.worst - b.worst)[0]
  if (near === undefined) return between([...places.values()], first, last)
  return {
    version: near.release,
    from: near.release,
    to: near.release,
    how: 'near-line-numbers',
    sure: `roughly: its line numbers are at most ${near.worst} away from those of Xen ${named(near.release, near.release)}: a point release of that branch or patched`,
  }
}

/**
 * Lines beyond those of one release and short of the next one's are of a release between them; unless files shrank on the
 * way, and there are two such places.
 */
function between(messages: readonly XenMessage[], first: number, last: number): LoggedXen | undefined {
  const sides = XEN_RELEASES.flatMap((release) => {
    const known = messages
      .map((message) => distance(message, release))
      .filter((offset) => offset !== undefined)
    const side = known.every((offset) => offset > 0) ? 1 : known.every((offset) => offset < 0) ? -1 : 0
    return known.length === 0 ? [] : [{ release, side }]
  })
  const turns = sides
    .slice(1)
    .map((next, i) => [sides[i], next])
    .filter(([a, b]) => a.side * b.side === -1)
    .filter(([a, b]) => index(a.release) <= last && index(b.release) >= first)
  if (turns.length !== 1) return undefined
  const from = XEN_RELEASES[Math.max(first, index(turns[0][0].release))]
  const to = XEN_RELEASES[Math.min(last, index(turns[0][1].release))]
  return {
    version: named(from, to),
    from,
    to,
    how: 'near-line-numbers',
    sure: `a range: its line numbers lie between those of Xen ${named(from, from)} and ${named(to, to)}`,
  }
}

function byWording(messages: readonly XenMessage[], first: number, last: number): LoggedXen {
  const [from, to] = [XEN_RELEASES[first], XEN_RELEASES[last]]
  if (messages.length === 0 || (first === 0 && last === END))
    return { version: 'unknown', from, to, how: 'nothing', sure: 'not known: no line of the log tells' }
  return {
    version: named(from, to),
    from,
    to,
    how: 'wording',
    sure: `a range: the wording and the prefixes of its messages are those of Xen ${named(from, to)}`,
  }
}

/** What the table knows by a name of its own. */
const UNRELEASED: Readonly<Record<string, string>> = { seed: '4.2-unstable of April and May 2011' }

function named(from: string, to: string): string {
  const name = (release: string) => UNRELEASED[release] ?? release
  return from === to ? name(from) : `${name(from)} to ${name(to)}`
}
