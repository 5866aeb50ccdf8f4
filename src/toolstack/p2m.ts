import { hex } from '../bits/address.ts'

/** A run of the p2m: `count` pfns from `pfn` on have the frames from `mfn` on, upwards (`step` 1) or downwards (-1). */
export type P2mRun = {
  readonly pfn: number
  readonly mfn: number
  readonly count: number
  readonly step: 1 | -1
}

/** Told of a stretch of pfns whose frames follow one another, as in a `P2mRun`. */
export type RunVisitor = (pfn: number, mfn: number, count: number, step: 1 | -1) => void

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
      runs.push({ pfn, mfn, count: end - pfn, step: 1 })
    }
    return new P2m(runs)
  }

  get(pfn: number): number {
    const run = this.runs[this.indexOf(pfn)]
    return frameOf(run, pfn)
  }

  /** The pfn that has a frame, or -1. */
  pfnOf(mfn: number): number {
    for (const { pfn, mfn: first, count, step } of this.runs) {
      const n = (mfn - first) * step
      if (n >= 0 && n < count) return pfn + n
    }
    return -1
  }

  /** Give a pfn another frame. */
  set(pfn: number, mfn: number): void {
    const i = this.indexOf(pfn)
    const run = this.runs[i]
    const before = pfn - run.pfn
    const parts = [
      { ...run, count: before },
      { pfn, mfn, count: 1, step: 1 as const },
      { ...run, pfn: pfn + 1, mfn: run.mfn + (before + 1) * run.step, count: run.count - before - 1 },
    ]
    this.runs.splice(i, 1, ...parts.filter(({ count }) => count > 0))
  }

  /** The frames of `count` pfns from `first` on, by stretches in which they follow one another. */
  forEachRun(first: number, count: number, visit: RunVisitor): void {
    const end = first + count
    let i = count > 0 ? this.indexOf(first) : 0
    for (let pfn = first; pfn < end; i++) {
      const run = this.runs[i]
      if (run === undefined) throw new Error(`no frame for pfn ${hex(pfn)}`)
      const length = Math.min(end, run.pfn + run.count) - pfn
      visit(pfn, frameOf(run, pfn), length, run.step)
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

function frameOf({ pfn: first, mfn, step }: P2mRun, pfn: number): number {
  return mfn + (pfn - first) * step
}
