import { type EventColumns, eventAt, kindAt } from '../../trace/event-log.ts'
import { traceLine } from '../../trace/export.ts'
import { type Film, lastAt } from './film.ts'

/** Where two films of the same machine part: the first deed of each that is not the same. */
export type FirstDifference = {
  /** The event of the first film, and the one of the second that stands beside it; one past the end where a film is over. */
  readonly event: number
  readonly beside: number
  /** Frames that look different then, by index; none when only what was asked for differs. */
  readonly frames: readonly number[]
}

/**
 * Two films that are shown together. The moment is the first one's; the other follows. What counts are deeds: stores,
 * faults, hypercalls, changes of type. What is only said, by the kernel of itself or on the console, makes no difference.
 */
export class FilmPair {
  readonly first: FirstDifference | null
  private readonly a: Film
  private readonly b: Film
  private readonly deedsOfA: Uint32Array
  private readonly deedsOfB: Uint32Array
  private readonly marksOfB = new Map<string, number>()

  constructor(a: Film, b: Film) {
    this.a = a
    this.b = b
    this.deedsOfA = deedsOf(a)
    this.deedsOfB = deedsOf(b)
    this.first = firstDifference(a, b, this.deedsOfA, this.deedsOfB)
    for (const { key, event } of b.data.landmarks) if (!this.marksOfB.has(key)) this.marksOfB.set(key, event)
  }

  /**
   * The event of the second film that stands beside one of the first: the same deed, up to where they part; then as far
   * behind the landmark that both have last passed. A film that is over stays at its end.
   */
  beside(event: number): number {
    const { a, b, first } = this
    if (event >= a.events) return b.events
    if (first !== null && event === first.event) return Math.min(first.beside, b.events)
    if (first === null || event < first.event) {
      const deed = countUpTo(this.deedsOfA, event)
      return deed === 0 ? Math.min(event, this.deedsOfB[0] - 1) : this.deedsOfB[deed - 1]
    }
    const marks = a.data.landmarks
    for (let i = lastAt(marks, event); i >= 0; i--) {
      const theirs = this.marksOfB.get(marks[i].key)
      if (theirs !== undefined) return Math.min(b.events, theirs + event - marks[i].event)
    }
    return Math.min(event, b.events)
  }

  /** How many frames look different at the moments that are shown. */
  differing(): number {
    const { a, b } = this
    if (a.frames !== b.frames) return Math.max(a.frames, b.frames)
    let count = 0
    for (let i = 0; i < a.looks.length; i++) if (a.looks[i] !== b.looks[i]) count++
    return count
  }
}

/** Numbers of the events that do something. */
function deedsOf(film: Film): Uint32Array {
  const { events } = film.data
  const deeds = new Uint32Array(film.events)
  let count = 0
  for (let n = 1; n <= film.events; n++) {
    const kind = kindAt(events, n)
    if (kind !== 'linux' && kind !== 'console' && kind !== 'op') deeds[count++] = n
  }
  return deeds.subarray(0, count)
}

/** How many numbers of an ascending list are not above `most`. */
function countUpTo(list: Uint32Array, most: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle] <= most) low = middle + 1
    else high = middle
  }
  return low
}

/** The first deed that is not the same in both: what was done, or how frames look after it. Null when all are. */
function firstDifference(
  a: Film,
  b: Film,
  deedsOfA: Uint32Array,
  deedsOfB: Uint32Array,
): FirstDifference | null {
  let [lastA, lastB] = [0, 0]
  const most = Math.max(deedsOfA.length, deedsOfB.length)
  for (let i = 0; i < most; i++) {
    const event = deedsOfA[i] ?? a.events + 1
    const beside = deedsOfB[i] ?? b.events + 1
    if (event > a.events || beside > b.events) return { event, beside, frames: [] }
    const frames = differingFlips(a, b, [lastA, event], [lastB, beside])
    if (frames.length > 0 || !sameEvent(a.data.events, b.data.events, event, beside))
      return { event, beside, frames }
    lastA = event
    lastB = beside
  }
  return null
}

function sameEvent(a: EventColumns, b: EventColumns, event: number, beside: number): boolean {
  const [i, j] = [event - 1, beside - 1]
  const sameNumbers =
    a.kind[i] === b.kind[j] &&
    a.frame[i] === b.frame[j] &&
    a.slot[i] === b.slot[j] &&
    a.va[i] === b.va[j] &&
    a.lo[i] === b.lo[j] &&
    a.hi[i] === b.hi[j] &&
    a.result[i] === b.result[j]
  if (!sameNumbers) return false
  // Of what is left, stores have a number too; requests and types have words, which each log numbers for itself.
  const kind = kindAt(a, event)
  if (kind === 'hypercall' || kind === 'type')
    return traceLine(eventAt(a, event)) === traceLine(eventAt(b, beside))
  return a.extra[i] === b.extra[j]
}

/** Frames that one film changes with an event and the other does not, or otherwise. */
function differingFlips(
  a: Film,
  b: Film,
  [afterA, upToA]: readonly [number, number],
  [afterB, upToB]: readonly [number, number],
): number[] {
  const [p, q] = [a.data, b.data]
  const [fromA, toA, fromB, toB] = [p.until[afterA], p.until[upToA], q.until[afterB], q.until[upToB]]
  let same = toA - fromA === toB - fromB
  for (let i = 0; same && i < toA - fromA; i++) {
    same = p.flipped[fromA + i] === q.flipped[fromB + i] && p.bits[fromA + i] === q.bits[fromB + i]
  }
  if (same) return []
  const bits = new Map<number, number>()
  for (let i = fromA; i < toA; i++) bits.set(p.flipped[i], (bits.get(p.flipped[i]) ?? 0) ^ p.bits[i])
  for (let i = fromB; i < toB; i++) bits.set(q.flipped[i], (bits.get(q.flipped[i]) ?? 0) ^ q.bits[i])
  return [...bits].filter(([, left]) => left !== 0).map(([frame]) => frame)
}
