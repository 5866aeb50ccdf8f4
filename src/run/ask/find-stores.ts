import type { FrameReport } from './frame-report.ts'
import { holds } from './holding.ts'
import { eventMoment, storeMoment } from './moment.ts'
import { type GuestCode, type RunSpec, rerun, StopRun } from './rerun.ts'
import type { Watched } from './watch-frame.ts'

/** Instructions that are executed one by one at most, for all entries together: some seconds of ours. */
const MOST_STEPS = 2_000_000
/** How far a guest goes of which nothing is to be seen. */
const FAR = 10_000_000

type Store = NonNullable<Watched['store']>

/** Instructions, one after the other, of which some made stores that are looked for. */
type Range = { after: number; by: number; readonly wanted: Watched[] }

/**
 * Find the instructions that stored entries, of which `watchFrame` knows only between which moments that was: the guest runs once
 * more, and in between them instruction by instruction. The moments are written into `since`. What would take more than
 * MOST_STEPS stays as it is.
 *
 * @returns how many instructions were executed one by one; 0 where the run was not made at all
 */
export function findStores(spec: RunSpec, { mfn }: FrameReport, holders: readonly Watched[]): number {
  const ranges = rangesOf(holders)
  if (ranges.length === 0) return 0
  let code: GuestCode | null = null
  let steps = 0
  let [lastEvent, lastRip, isStepping] = [0, 0, false]
  /** The last event that the step under way has had. */
  let during: ReturnType<typeof eventMoment> | null = null

  const look = (range: Range, n: number, at: GuestCode, xen: Parameters<typeof holds>[0]): void => {
    for (const watched of range.wanted) {
      const isThere = holds(xen, mfn, watched.holder)
      if (isStepping && isThere && !watched.isThere) {
        watched.since = during ?? storeMoment(lastEvent, at.instructions(), lastRip, at)
        watched.store = null
      }
      watched.isThere = isThere
    }
    lastEvent = n
    lastRip = at.rip()
    during = null
  }

  rerun(spec, {
    ready: (_xen, guestCode) => {
      code = guestCode
    },
    event: (n, event) => {
      during = eventMoment(n, event)
    },
    stride: (n, xen) => {
      if (code === null) return FAR
      const now = code.instructions()
      for (; ranges.length > 0; isStepping = false) {
        const [range] = ranges
        if (now < range.after) return Math.min(FAR, range.after - now)
        look(range, n, code, xen)
        if (now < range.by) break
        ranges.shift()
      }
      if (ranges.length === 0) throw new StopRun()
      isStepping = true
      steps++
      return 1
    },
  })
  return steps
}

/** What is to be looked at, in its order, as far as it is not too much; ranges that overlap are one. */
function rangesOf(holders: readonly Watched[]): Range[] {
  const ranges: Range[] = []
  const found = holders.filter((watched): watched is Watched & { store: Store } => watched.store !== null)
  let left = MOST_STEPS
  for (const watched of found.toSorted((a, b) => a.store.after - b.store.after)) {
    const { after, by } = watched.store
    const last = ranges.at(-1)
    const more = last === undefined ? by - after : Math.max(0, by - Math.max(after, last.by))
    if (more > left) continue
    left -= more
    if (last !== undefined && after < last.by) {
      last.by = Math.max(last.by, by)
      last.wanted.push(watched)
    } else ranges.push({ after, by, wanted: [watched] })
  }
  return ranges
}
