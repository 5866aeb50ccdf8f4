import type { SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import { alignRuns, type Difference, differenceOf, type Pair } from './align.ts'
import { kindOf, UNEXPLAINED } from './explained.ts'
import type { MadeCall } from './roles.ts'
import { type Run, runsOf } from './runs.ts'

/** Two recordings beside each other. */
export type Comparison = {
  readonly pairs: readonly Pair[]
  /** Calls whose place the moment decides, by role, as they were on both sides. */
  readonly moments: readonly Pair[]
  /** Calls of each side that face one of their role, and all. */
  readonly facing: { readonly ours: number; readonly xens: number }
  readonly all: { readonly ours: number; readonly xens: number }
  readonly differences: Readonly<Record<Difference, number>>
  /** How many runs differ, by the kind of difference: those of explained.ts, and `UNEXPLAINED`. */
  readonly kinds: ReadonlyMap<string, number>
}

/** Compare the hypercalls of one kernel on two machines. */
export function compareCalls(
  ours: readonly MadeCall[],
  xens: readonly MadeCall[],
  symbols: SymbolTable,
): Comparison {
  const [here, there] = [runsOf(ours, symbols), runsOf(xens, symbols)]
  const pairs = alignRuns(here.runs, there.runs)
  const roles = new Set([...here.moments.keys(), ...there.moments.keys()])
  const moments = [...roles].sort().map((role) => ({
    ours: here.moments.get(role) ?? null,
    xens: there.moments.get(role) ?? null,
  }))
  const differences = { 'missing here': 0, 'extra here': 0, 'another number': 0, 'another result': 0 }
  const kinds = new Map<string, number>()
  const facing = { ours: 0, xens: 0 }
  for (const pair of pairs) {
    const difference = differenceOf(pair)
    if (difference !== null) differences[difference]++
    const kind = kindOf(pair)
    if (kind !== null) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    if (pair.ours === null || pair.xens === null) continue
    facing.ours += pair.ours.calls
    facing.xens += pair.xens.calls
  }
  return { pairs, moments, facing, all: { ours: ours.length, xens: xens.length }, differences, kinds }
}

const COLUMN = 12
/** Marks at the front of a line. */
const MARKS: Readonly<Record<Difference, string>> = {
  'missing here': '-',
  'extra here': '+',
  'another number': '#',
  'another result': '!',
}

/** Lines for people: both sequences, or of them what differs, those of the moment as counts, and the sums. */
export function reportLines(comparison: Comparison, showsAll: boolean): string[] {
  const { pairs, moments, facing, all, differences, kinds } = comparison
  const shown = showsAll ? pairs : pairs.filter((pair) => differenceOf(pair) !== null)
  return [
    `  ${'here'.padStart(COLUMN)} ${'real Xen'.padStart(COLUMN)}`,
    ...shown.map(pairLine),
    'Where the moment decides:',
    ...moments.map((pair) => `  ${columns(pair)} ${roleOfPair(pair)}`),
    `${all.ours} hypercalls here, ${all.xens} on real Xen; of these ${facing.ours} and ${facing.xens} face each other in order`,
    Object.entries(differences)
      .map(([kind, count]) => `${kind}: ${count}`)
      .join(', '),
    `${pairs.length} runs, of which differ:`,
    ...[...kinds].map(([kind, count]) => `${String(count).padStart(COLUMN)} ${kind}`),
  ]
}

function pairLine(pair: Pair): string {
  const difference = differenceOf(pair)
  const mark = difference === null ? ' ' : MARKS[difference]
  const results =
    difference === 'another result' ? ` | ${resultsOf(pair.ours)} | ${resultsOf(pair.xens)}` : ''
  const why = kindOf(pair) === UNEXPLAINED ? ` (${UNEXPLAINED})` : ''
  return `${mark} ${columns(pair)} ${roleOfPair(pair)}${results}${why}`
}

function roleOfPair({ ours, xens }: Pair): string {
  return (ours ?? xens)?.text ?? ''
}

function columns({ ours, xens }: Pair): string {
  return `${times(ours).padStart(COLUMN)} ${times(xens).padStart(COLUMN)}`
}

/** Calls, and in brackets their requests, where there are more. */
function times(run: Run | null): string {
  if (run === null) return '-'
  return run.requests === run.calls ? `${run.calls}` : `${run.calls} (${run.requests})`
}

function resultsOf(run: Run | null): string {
  if (run === null) return '-'
  return [...run.results].map(([rc, calls]) => `${rc ?? 'none'}${calls > 1 ? ` x ${calls}` : ''}`).join(', ')
}
