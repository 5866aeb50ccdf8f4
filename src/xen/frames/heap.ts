import type { FrameRange } from '../../machine/memory.ts'
import { FrameSet } from './frame-set.ts'

type Range = { start: number; end: number }

/** The heap's own notes, as plain data. */
export type SavedHeap = {
  readonly ranges: readonly Range[]
  readonly freed: readonly Range[]
  readonly lastResort: readonly Range[]
  readonly unscrubbed: readonly number[]
}

/**
 * The frames of RAM that nobody owns: the domain heap. Frames are taken from the lowest range upwards; a freed frame is
 * the next to be given out again.
 */
export class Heap {
  private ranges: { start: number; end: number }[]
  /** Frames that were freed, the last one at the end of the last range. */
  private readonly freed: { start: number; end: number }[] = []
  /** The same, to ask for one: a guest that frees its frames one here and one there makes many ranges. */
  private readonly isFreed = new FrameSet()
  /**
   * The first MiB, which real Xen keeps. Maps count its RAM as the machine's, so a guest that is to own all of that gets it
   * when everything else is given out.
   */
  private readonly lastResort: { start: number; end: number }[]
  /** Freed frames that nobody owned any more: Xen still has to scrub them, and says so in their words. */
  private readonly unscrubbed = new Set<number>()
  /** Frames to give out next, where they are free: the choices of another run. */
  wishes: number[] = []
  /** Told of every single frame that is given out or freed while something watches; null otherwise. */
  observer: ((mfn: number) => void) | null = null

  constructor(ram: readonly FrameRange[]) {
    // The first MiB is never given out.
    this.ranges = ram
      .map((r) => ({ start: Math.max(r.start, 0x100), end: r.end }))
      .filter((r) => r.end > r.start)
    this.lastResort = ram
      .map((r) => ({ start: r.start, end: Math.min(r.end, 0x100) }))
      .filter((r) => r.end > r.start)
  }

  save(): SavedHeap {
    return {
      ranges: copyOf(this.ranges),
      freed: copyOf(this.freed),
      lastResort: copyOf(this.lastResort),
      unscrubbed: [...this.unscrubbed],
    }
  }

  restore({ ranges, freed, lastResort, unscrubbed }: SavedHeap): void {
    this.ranges = copyOf(ranges)
    this.freed.length = 0
    this.isFreed.clear()
    for (const { start, end } of freed) {
      this.freed.push({ start, end })
      for (let mfn = start; mfn < end; mfn++) this.isFreed.add(mfn)
    }
    this.lastResort.splice(0, this.lastResort.length, ...copyOf(lastResort))
    this.unscrubbed.clear()
    for (const mfn of unscrubbed) this.unscrubbed.add(mfn)
  }

  /** The most that one guest can own: all of it, and the first MiB. */
  get most(): number {
    return [...this.ranges, ...this.lastResort].reduce((sum, r) => sum + r.end - r.start, 0)
  }

  get available(): number {
    return [...this.ranges, ...this.freed].reduce((sum, r) => sum + r.end - r.start, 0)
  }

  /**
   * A contiguous run of `count` frames from the top of the highest range that has it, or -1. The start is aligned to
   * `align` frames, and all of it lies before the frame `below`.
   */
  takeTop(count: number, align: number, below = Infinity): number {
    for (let i = this.ranges.length - 1; i >= 0; i--) {
      const range = this.ranges[i]
      const start = Math.floor((Math.min(range.end, below) - count) / align) * align
      if (start < range.start) continue
      const tail = { start: start + count, end: range.end }
      const head = { start: range.start, end: start }
      this.ranges.splice(i, 1, ...[head, tail].filter((r) => r.end > r.start))
      return start
    }
    return -1
  }

  /** Up to `count` frames from the bottom, as ranges. */
  takeBottom(count: number): FrameRange[] {
    const taken: FrameRange[] = []
    let left = count
    while (left > 0) {
      const from = this.ranges.length > 0 ? this.ranges : this.lastResort
      const range = from[0]
      if (range === undefined) break
      const end = Math.min(range.end, range.start + left)
      taken.push({ start: range.start, end })
      left -= end - range.start
      if (end === range.end) from.shift()
      else range.start = end
    }
    return taken
  }

  /** One frame, or -1 when there is none. */
  take(): number {
    const mfn = this.takeAny()
    if (this.observer !== null) this.observer(mfn)
    return mfn
  }

  /** One frame before the frame `below`, or -1: of those freed the last, else the highest. */
  takeBelow(below: number): number {
    const freed = this.freed.findLast(({ start }) => start < below)
    const mfn = freed === undefined ? this.takeTop(1, 1, below) : Math.min(freed.end, below) - 1
    if (freed !== undefined) this.takeFrame(mfn)
    if (this.observer !== null) this.observer(mfn)
    return mfn
  }

  private takeAny(): number {
    const wished = this.wishes.shift()
    if (wished !== undefined && this.takeFrame(wished)) return wished
    const last = this.freed.at(-1)
    if (last === undefined) return this.ranges.length === 0 ? -1 : this.takeBottom(1)[0].start
    last.end--
    if (last.end === last.start) this.freed.pop()
    this.unscrubbed.delete(last.end)
    this.isFreed.delete(last.end)
    return last.end
  }

  /** Take one frame that is known to be free. False when it is not in the heap. */
  takeFrame(mfn: number): boolean {
    this.unscrubbed.delete(mfn)
    if (!this.isFreed.has(mfn)) return takeOut(this.ranges, mfn)
    this.isFreed.delete(mfn)
    return takeOut(this.freed, mfn)
  }

  /** Whether a frame is in the heap. */
  has(mfn: number): boolean {
    return this.isFreed.has(mfn) || this.ranges.some((r) => r.start <= mfn && mfn < r.end)
  }

  /** A freed frame had no owner: it has to be scrubbed, which Xen does when it is idle. */
  markUnscrubbed(mfn: number): void {
    this.unscrubbed.add(mfn)
  }

  isUnscrubbed(mfn: number): boolean {
    return this.unscrubbed.has(mfn)
  }

  /** Free a frame, or `count` of them one after the other, upwards. */
  free(mfn: number, count = 1): void {
    const end = mfn + count
    for (let one = mfn; one < end; one++) {
      if (this.observer !== null) this.observer(one)
      this.isFreed.add(one)
    }
    const last = this.freed.at(-1)
    if (last !== undefined && last.end === mfn) last.end = end
    else this.freed.push({ start: mfn, end })
  }
}

function copyOf(ranges: readonly Range[]): Range[] {
  return ranges.map(({ start, end }) => ({ start, end }))
}

/** Take one frame out of a list of ranges. False when none has it. */
function takeOut(ranges: { start: number; end: number }[], mfn: number): boolean {
  const i = ranges.findIndex((r) => r.start <= mfn && mfn < r.end)
  if (i === -1) return false
  const range = ranges[i]
  const { start, end } = range
  // Domains are built frame by frame, mostly from an end of a range.
  if (end - start === 1) ranges.splice(i, 1)
  else if (mfn === start) range.start++
  else if (mfn === end - 1) range.end--
  else ranges.splice(i, 1, { start, end: mfn }, { start: mfn + 1, end })
  return true
}
