import type { Run } from './runs.ts'

/** Two sequences beside each other: runs of one role face each other, or one of them nothing. */
export type Pair = { readonly ours: Run | null; readonly xens: Run | null }

/** How two runs that face each other differ, or one that faces none. */
export type Difference = 'missing here' | 'extra here' | 'another number' | 'another result'

/**
 * Put two sequences beside each other so that as many runs as can face one of their role: the longest common subsequence, by
 * Myers's algorithm, whose time grows with what differs.
 */
export function alignRuns(ours: readonly Run[], xens: readonly Run[]): Pair[] {
  const pairs: Pair[] = []
  let [x, y] = [ours.length, xens.length]
  const trace = furthest(ours, xens)
  for (let d = trace.length - 1; x > 0 || y > 0; d--) {
    const before = d === 0 ? null : trace[d - 1]
    const k = x - y
    const isDown = before !== null && (k === -d || (k !== d && before[k - 1 + d] < before[k + 1 + d]))
    const [toX, toY] = before === null ? [0, 0] : from(before, d, isDown ? k + 1 : k - 1)
    while (x > toX && y > toY) pairs.push({ ours: ours[--x], xens: xens[--y] })
    if (x > toX) pairs.push({ ours: ours[--x], xens: null })
    if (y > toY) pairs.push({ ours: null, xens: xens[--y] })
  }
  return pairs.reverse()
}

/** The place on diagonal k that d - 1 differences reach. */
function from(row: Int32Array, d: number, k: number): [x: number, y: number] {
  const x = row[k + d]
  return [x, x - k]
}

/** For each number of differences how far it leads on every diagonal k: at k + d + 1, places of the first sequence. */
function furthest(ours: readonly Run[], xens: readonly Run[]): Int32Array[] {
  const trace: Int32Array[] = []
  let row = new Int32Array(3)
  for (let d = 0; ; d++) {
    // Diagonals -d-1 to d+1, so that the next row finds neighbours of all of its own.
    const next = new Int32Array(2 * d + 3).fill(-1)
    for (let k = -d; k <= d; k += 2) {
      const isDown = k === -d || (k !== d && row[k - 1 + d] < row[k + 1 + d])
      let x = d === 0 ? 0 : isDown ? row[k + 1 + d] : row[k - 1 + d] + 1
      while (x < ours.length && x - k < xens.length && ours[x].text === xens[x - k].text) x++
      next[k + d + 1] = x
      if (x >= ours.length && x - k >= xens.length) {
        trace.push(next)
        return trace
      }
    }
    trace.push(next)
    row = next
  }
}

/** What differs in a pair; null where nothing does. */
export function differenceOf({ ours, xens }: Pair): Difference | null {
  if (ours === null) return 'missing here'
  if (xens === null) return 'extra here'
  const results = (run: Run): string => [...run.results.keys()].map(String).sort().join()
  if (results(ours) !== results(xens)) return 'another result'
  return ours.requests === xens.requests ? null : 'another number'
}
