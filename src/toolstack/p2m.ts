import { hex } from '../bits/address.ts'

/** A run of the p2m: `count` pfns from `pfn` on have the frames from `mfn` on. */
export type P2mRun = { readonly pfn: number; readonly mfn: number; readonly count: number }

/** Which frames the pfns of a domain have, while it is being built: all of them, from 0 on. */
export class P2m {
  /** By pfn, without gaps. */
  private readonly runs: P2mRun[]

  constructor(runs: readonly P2mRun[]) {
    this.runs = [...runs]
  }

  /** A p2m of frames by pfn. */
  static of(frames: readonly number[]): P2m {
    const runs: P2mRun[] = []
    for (let pfn = 0, end = 0; pfn < frames.length; pfn = end) {
      const mfn = frames[pfn]
      end = pfn + 1
      while (end < frames.length && frames[end] === mfn + end - pfn) end++
      runs.push({ pfn, mfn, count: end - pfn })
    }
    return new P2m(runs)
  }

  get(pfn: number): number {
    const run = this.runs[this.indexOf(pfn)]
    return run.mfn + pfn - run.pfn
  }

  /** The pfn that has a frame, or -1. */
  pfnOf(mfn: number): number {
    const run = this.runs.find((r) => mfn >= r.mfn && mfn < r.mfn + r.count)
    return run === undefined ? -1 : run.pfn + mfn - run.mfn
  }

  /** Give a pfn another frame. */
  set(pfn: number, mfn: number): void {
    const i = this.indexOf(pfn)
    const run = this.runs[i]
    const before = pfn - run.pfn
    const parts = [
      { ...run, count: before },
      { pfn, mfn, count: 1 },
      { pfn: pfn + 1, mfn: run.mfn + before + 1, count: run.count - before - 1 },
    ]
    this.runs.splice(i, 1, ...parts.filter(({ count }) => count > 0))
  }

  /** The frames of `count` pfns from `first` on, by stretches in which they follow one another. */
  forEachRun(first: number, count: number, visit: (pfn: number, mfn: number, count: number) => void): void {
    const end = first + count
    let i = count > 0 ? this.indexOf(first) : 0
    for (let pfn = first; pfn < end; i++) {
      const run = this.runs[i]
      if (run === undefined) throw new Error(`no frame for pfn ${hex(pfn)}`)
      const length = Math.min(end, run.pfn + run.count) - pfn
      visit(pfn, run.mfn + pfn - run.pfn, length)
      pfn += length
    }
  }

  /** Index of the run that a pfn is in. */
  private indexOf(pfn: number): number {
    let [low, high] = [0, this.runs.length]
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.runs[middle].pfn <= pfn) low = middle
      else high = middle
    }
    const run = this.runs[low]
    if (run === undefined || pfn < run.pfn || pfn >= run.pfn + run.count) {
      throw new Error(`no frame for pfn ${hex(pfn)}`)
    }
    return low
  }
}
