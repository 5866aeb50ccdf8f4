import { TYPE_NAMES } from '../../bits/type-word.ts'
import { TYPE_SHIFT } from '../../machine/frames.ts'
import type { TraceEvent } from '../../trace/events.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import type { FrameHolder, FrameReport } from './frame-report.ts'
import { holds, tableLevel } from './holding.ts'
import { BUILT, eventMoment, type Moment, RESTORED, rangeMoment } from './moment.ts'
import { type GuestCode, type RunSpec, rerun, StopRun } from './rerun.ts'

/** What is known of a holder of the frame, and since when. */
export type Watched = {
  readonly holder: FrameHolder
  /** Whether it holds the frame at the moment that was last looked at. */
  isThere: boolean
  since: Moment
  /**
   * A store to the entry that no event tells of was made between two looks: behind `after` instructions and after `event`, and not
   * behind `by` instructions.
   */
  store: { readonly event: number; readonly after: number; readonly by: number } | null
  /** Of an entry, whether its table is one in use, and since when: the entry holds nothing before. */
  isTable: boolean
  tableSince: Moment
}

/** A frame up to a moment: its holders, and what it was. */
export type FrameWatch = {
  readonly holders: readonly Watched[]
  readonly history: readonly (Moment & { readonly type: string })[]
  /** Changes of the type before those. */
  readonly earlier: number
}

/** Changes of a type that are told at most: a guest can make any number of them. */
const MOST_HISTORY = 1000

/**
 * Run again up to an event, and note when each holder of a frame came to hold it, and when the frame's type changed.
 *
 * Of models and scripts every store is an event. A guest's code stores as it likes; its entries are looked at whenever it has come
 * to Xen, so that a store of its own is known to be behind one of these moments and before the next.
 */
export function watchFrame(spec: RunSpec, report: FrameReport, until: number): FrameWatch {
  const { mfn } = report
  const holders = report.holders.map(
    (holder): Watched => ({
      holder,
      isThere: false,
      since: BUILT,
      store: null,
      isTable: false,
      tableSince: BUILT,
    }),
  )
  const types = new TypeHistory(mfn)
  let code: GuestCode | null = null
  let [lastEvent, lastInstruction] = [0, 0]
  /** What began in the middle of a request, which is told of when it is over. */
  let unnamed: ((moment: Moment) => void)[] = []

  const look = (xen: Hypervisor, n: number, event: TraceEvent | null): void => {
    const now = code?.instructions() ?? 0
    for (const watched of holders) {
      const isThere = holds(xen, mfn, watched.holder)
      const began = isThere && !watched.isThere
      watched.isThere = isThere
      if (watched.holder.kind === 'entry') {
        const { table, level, slot } = watched.holder
        // Types change in requests, which are told of.
        const wasTable = watched.isTable
        if (event !== null || n === 0) watched.isTable = tableLevel(xen, table) === level
        if (watched.isTable && !wasTable) unnamed.push((moment) => (watched.tableSince = moment))
        if (event !== null && writes(event, table, slot)) {
          watched.since = eventMoment(n, event)
          watched.store = null
        } else if (began && now > lastInstruction) {
          watched.store = { event: lastEvent, after: lastInstruction, by: now }
          watched.since = rangeMoment(lastEvent, lastInstruction, now)
        } else if (began && code !== null) unnamed.push((moment) => (watched.since = moment))
      } else if (began) unnamed.push((moment) => (watched.since = moment))
    }
    lastEvent = n
    lastInstruction = now
  }

  rerun(spec, {
    ready: (xen, guestCode) => {
      look(xen, 0, null)
      const first = guestCode?.isRestored === true ? RESTORED : BUILT
      for (const name of unnamed) name(first)
      unnamed = []
      for (const watched of holders) watched.since = first
      types.look(xen)?.(first)
      code = guestCode
      lastInstruction = code?.instructions() ?? 0
    },
    event: (n, event, xen) => {
      // Plain stores change no type.
      const changed = event.kind === 'fill' ? null : types.look(xen)
      if (changed !== null) unnamed.push(changed)
      look(xen, n, event)
      if (unnamed.length > 0 && event.kind !== 'type' && event.kind !== 'console') {
        const moment = eventMoment(n, event)
        for (const name of unnamed) name(moment)
        unnamed = []
      }
      if (n === until) throw new StopRun()
    },
    returned: (n, xen) => look(xen, n, null),
  })
  return { holders, ...types.result() }
}

/** The types that a frame has had, the last of them. */
class TypeHistory {
  private readonly mfn: number
  private readonly history: (Moment & { type: string })[] = []
  private last = -1
  private earlier = 0

  constructor(mfn: number) {
    this.mfn = mfn
  }

  /** Note what the frame is now; where that is new, what takes the moment of it. */
  look(xen: Hypervisor): ((moment: Moment) => void) | null {
    const type = xen.memory.u32[xen.memory.record(this.mfn)] >>> TYPE_SHIFT
    if (type === this.last) return null
    this.last = type
    const change = { ...BUILT, type: TYPE_NAMES[type] }
    this.history.push(change)
    if (this.history.length >= 2 * MOST_HISTORY) this.forget()
    return (moment) => Object.assign(change, moment)
  }

  private forget(): void {
    const over = Math.max(0, this.history.length - MOST_HISTORY)
    this.history.splice(0, over)
    this.earlier += over
  }

  result(): Pick<FrameWatch, 'history' | 'earlier'> {
    this.forget()
    return { history: this.history, earlier: this.earlier }
  }
}

/** Whether an event tells of a store to an entry. */
function writes(event: TraceEvent, table: number, slot: number): boolean {
  switch (event.kind) {
    case 'fill':
      return event.table === table && slot >= event.slot && slot < event.slot + event.count
    case 'ptwr':
      return !event.refused && event.table === table && event.slot === slot
    case 'hypercall':
      return event.rc === 0 && event.args.table === table && event.args.slot === slot
    default:
      return false
  }
}
