import { BadInput } from '../../bits/bad-input.ts'
import type { MemoryMap } from '../../run/maps/maps.ts'
import { commandOf } from './command.ts'
import type { Row, SweepSpec } from './piece.ts'
import type { Results } from './results.ts'
import type { Smallest } from './shrink.ts'
import { machineAt, outcomesOf, type Space } from './space.ts'

/** Machines by outcome; what has no meaning for a sweep's kernels is left out. */
export type Totals = Record<'booted' | 'refused' | 'fault' | 'impossible', number> & {
  crashed?: number
  ended?: number
}

/** How a machine fails that can be. */
type Failure = Exclude<Row['outcome'], 'booted' | 'impossible'>

/** Machines that failed alike. */
export type Group = {
  readonly outcome: Failure
  /** How, in words, without the numbers of one machine. */
  readonly signature: string
  readonly count: number
  /** How many of them by kernel, and by map. */
  readonly linux: Readonly<Record<string, number>>
  readonly maps: Readonly<Record<string, number>>
  /** The first of them, with the command that boots it. */
  readonly first: {
    readonly n: number
    readonly pfn: string | null
    readonly detail: string | null
    readonly command: string
  }
  /** The smallest machine found that fails like this; null where none was looked for. */
  readonly smallest: Smallest | null
}

/** What a sweep came to, as plain data: docs/sweep.md. */
export type Summary = {
  readonly schema: 1
  readonly machines: number
  readonly totals: Totals
  readonly linux: Readonly<Record<string, Totals>>
  /** Boots that were skipped because their outcome is forecast, and the machines among those that were booted as a check. */
  readonly forecast: {
    readonly seed: number
    readonly skipped: number
    readonly checked: readonly number[]
    readonly differing: readonly number[]
  }
  readonly groups: readonly Group[]
  /** Machines that cannot be, by the reason. */
  readonly impossible: readonly { readonly reason: string; readonly count: number; readonly first: number }[]
  /** Machines that booted in the baseline and fail now; null without a baseline. */
  readonly regressions: readonly number[] | null
}

/** Whether a machine that can be was not booted. */
export function isFailure(row: Row): row is Row & { outcome: Failure } {
  return row.outcome !== 'booted' && row.outcome !== 'impossible'
}

/** The outcomes of a table in the order of its columns. */
export function outcomesIn(totals: Totals): (keyof Totals)[] {
  return Object.keys(totals) as (keyof Totals)[]
}

/** Machines that can be and were not booted. */
export function failuresIn({ refused, fault, crashed = 0, ended = 0 }: Totals): number {
  return refused + fault + crashed + ended
}

/** Name of a machine's map, for tables. */
export function mapName(map: string | MemoryMap | null | undefined): string {
  return map === null || map === undefined ? 'none' : typeof map === 'string' ? map : map.name
}

/** What results come to. `smallest` has the smallest machine of each signature, where it was looked for. */
export function summarize(
  { spec, rows }: Results,
  smallest: ReadonlyMap<string, Smallest> = new Map(),
  baseline: Results | null = null,
): Summary {
  const totals = noTotals(spec.space)
  const linux: Record<string, Totals> = {}
  const impossible = new Map<string, { count: number; first: number }>()
  const failures = new Map<string, Row[]>()
  for (const row of rows) {
    const options = machineAt(spec.space, row.n)
    count(totals, row)
    const name = options.linux ?? ''
    linux[name] ??= noTotals(spec.space)
    count(linux[name], row)
    if (row.outcome === 'impossible') countReason(impossible, row)
    if (!isFailure(row)) continue
    const same = failures.get(row.signature)
    if (same === undefined) failures.set(row.signature, [row])
    else same.push(row)
  }
  const groups = [...failures].map(([signature, same]) =>
    groupOf(spec.space, signature, same, smallest.get(signature)),
  )
  return {
    schema: 1,
    machines: rows.length,
    totals,
    linux,
    forecast: {
      seed: spec.seed,
      skipped: rows.filter((row) => row.skipped).length,
      checked: rows.filter((row) => row.checked).map((row) => row.n),
      differing: rows.filter((row) => row.forecast !== undefined).map((row) => row.n),
    },
    groups: groups.sort((a, b) => b.count - a.count || a.first.n - b.first.n),
    impossible: [...impossible].map(([reason, of]) => ({ reason, ...of })),
    regressions: baseline === null ? null : regressionsOf(rows, baseline),
  }
}

function noTotals(space: Space): Totals {
  return Object.fromEntries(outcomesOf(space).map((outcome) => [outcome, 0])) as Totals
}

function count(totals: Totals, { outcome }: Row): void {
  totals[outcome] = (totals[outcome] ?? 0) + 1
}

/** Reasons that differ in their numbers alone are one. */
function countReason(reasons: Map<string, { count: number; first: number }>, row: Row): void {
  const reason = (row.detail ?? '').replace(/0x[0-9a-f]+|\b\d+\b/g, 'N')
  const known = reasons.get(reason)
  if (known === undefined) reasons.set(reason, { count: 1, first: row.n })
  else known.count++
}

function groupOf(
  space: Results['spec']['space'],
  signature: string,
  rows: readonly Row[],
  smallest: Smallest | undefined,
): Group {
  const [first] = rows
  const machines = rows.map((row) => machineAt(space, row.n))
  return {
    outcome: first.outcome as Group['outcome'],
    signature,
    count: rows.length,
    linux: counted(machines.map((options) => options.linux ?? '')),
    maps: counted(machines.map((options) => mapName(options.map))),
    first: {
      n: first.n,
      pfn: first.pfn ?? null,
      detail: first.detail ?? null,
      command: commandOf(space, first.n),
    },
    smallest: smallest ?? null,
  }
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function regressionsOf(rows: readonly Row[], baseline: Results): number[] {
  const booted = new Set(baseline.rows.filter((row) => row.outcome === 'booted').map((row) => row.n))
  return rows.filter((row) => isFailure(row) && booted.has(row.n)).map((row) => row.n)
}

/**
 * Refuse to compare sweeps whose machines differ in more than their kernels.
 *
 * @throws BadInput
 */
export function sameMachines(spec: SweepSpec, baseline: SweepSpec): void {
  const machines = ({ space: { linux, common, real, ...axes } }: SweepSpec): string => {
    const { with: _, without: __, ...rest } = common
    const wanted = real === undefined ? null : [real.until, real.timeLimit, real.acpi]
    return JSON.stringify([axes, rest, linux.length, wanted])
  }
  if (machines(spec) !== machines(baseline))
    throw new BadInput(
      'the baseline is of other machines; only kernels and commits may differ between the two',
    )
}
