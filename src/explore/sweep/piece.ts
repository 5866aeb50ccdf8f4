import { forecastOutcome } from '../../run/boot/forecast.ts'
import { bootOutcome, type Outcome } from '../../run/boot/outcome.ts'
import { machineAt, machineCount, type Space } from './space.ts'

/** A sweep as its workers get it: plain data, the same everywhere. */
export type SweepSpec = {
  readonly space: Space
  /** Decides which of the forecast boots are carried out all the same. */
  readonly seed: number
  /** Whether boots may be skipped where their outcome is forecast. */
  readonly forecast: boolean
}

/** What became of one machine. */
export type Row = Outcome & {
  readonly n: number
  /** Its boot was not carried out: the outcome is forecast. */
  readonly skipped?: true
  /** The outcome was forecast and the boot carried out all the same, to check the forecast. */
  readonly checked?: true
  /** The forecast, where the boot came out otherwise. The row is then the boot's. */
  readonly forecast?: Outcome
}

/** Machines in a piece of work: with every boot carried out, some seconds. */
export const PIECE = 64
/** Share of the skipped boots that are carried out as a check. */
export const CHECKED_SHARE = 0.02

/** How many pieces a sweep has. */
export function pieceCount(space: Space): number {
  return Math.ceil(machineCount(space) / PIECE)
}

/** Boot the machines of one piece, in order. */
export function run(spec: SweepSpec, piece: number): Row[] {
  const end = Math.min(machineCount(spec.space), (piece + 1) * PIECE)
  const rows: Row[] = []
  for (let n = piece * PIECE; n < end; n++) rows.push(rowOf(spec, n))
  return rows
}

function rowOf({ space, seed, forecast }: SweepSpec, n: number): Row {
  const options = machineAt(space, n)
  const expected = forecast ? forecastOutcome(options) : null
  if (expected === null) return { n, ...bootOutcome(options) }
  if (!isChecked(seed, n)) return { n, ...expected, skipped: true }
  const outcome = bootOutcome(options)
  if (sameOutcome(expected, outcome)) return { n, ...outcome, checked: true }
  return { n, ...outcome, checked: true, forecast: expected }
}

function sameOutcome(a: Outcome, b: Outcome): boolean {
  return a.outcome === b.outcome && a.signature === b.signature && a.pfn === b.pfn
}

/** Whether machine n is one of the random share: decided by the seed and its number alone, in any shard. */
export function isChecked(seed: number, n: number): boolean {
  return (
    hash(hash(seed >>> 0) ^ hash((n >>> 0) ^ hash(Math.floor(n / 2 ** 32) + 1))) / 2 ** 32 < CHECKED_SHARE
  )
}

/** Mixes the bits of a 32-bit number so that neighbours have nothing in common (the finaliser of MurmurHash3). */
function hash(word: number): number {
  let h = (word + 0x9e37_79b9) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return (h ^ (h >>> 16)) >>> 0
}
