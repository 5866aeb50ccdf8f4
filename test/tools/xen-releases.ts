import type { XenReleases } from './explain-tools.ts'

/** A point in the order of releases: major, minor, point, candidate. */
type Point = readonly [number, number, number, number]

/** From the branching of a release to its end. */
const BEFORE = -1
const LAST = 999

/** Whether what a report says of Xen and what is known of it have a release in common. */
export function compatibleReleases(told: XenReleases, known: string): boolean {
  const [from, to] = [releaseSpan(told.from)?.[0], releaseSpan(told.to)?.[1]]
  const named = releaseSpan(told.version)
  const span = from !== undefined && to !== undefined ? ([from, to] as const) : named
  const wanted = releaseSpan(known)
  if (span === null || wanted === null) return false
  return before(span[0], wanted[1]) && before(wanted[0], span[1])
}

/**
 * First and last point of what is written: `4.1`, `RELEASE-4.11.1`, `4.2-unstable`, `4.16.0-rc1 .. RELEASE-4.16.1`;
 * null when no release is named. What is
 * only `unstable` is after all releases. The master of April to June 2011 was 4.2-unstable.
 */
export function releaseSpan(text: string): readonly [Point, Point] | null {
  if (/master\b.*\b2011-0[456]/.test(text) || /seed-2011|2011-05/.test(text)) {
    return [
      [4, 2, BEFORE, 0],
      [4, 2, BEFORE, LAST],
    ]
  }
  if (text === 'unstable') {
    return [
      [LAST, 0, 0, 0],
      [LAST, LAST, LAST, LAST],
    ]
  }
  const spans = [
    ...text.matchAll(/\b(\d)\.(\d+)(?:\.(\d+))?(?:-rc(\d+)|(-unstable|-dev))?(?=[^\w]|_|$)/g),
  ].map(spanOf)
  if (spans.length === 0) return null
  return [spans[0][0], spans.at(-1)![1]]
}

function spanOf([, major, minor, point, candidate, unstable]: RegExpExecArray): readonly [Point, Point] {
  const [x, y] = [Number(major), Number(minor)]
  if (unstable !== undefined) {
    return [
      [x, y, BEFORE, 0],
      [x, y, BEFORE, LAST],
    ]
  }
  if (point === undefined) {
    return [
      [x, y, 0, 0],
      [x, y, LAST, LAST],
    ]
  }
  const at = Number(point)
  const rc = candidate === undefined ? LAST : Number(candidate)
  return [
    [x, y, at, rc],
    [x, y, at, rc],
  ]
}

function before(a: Point, b: Point): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i]
  return true
}
