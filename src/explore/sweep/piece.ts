import { forecastOutcome } from '../../run/boot/forecast.ts'
import { bootOutcome, type Outcome } from '../../run/boot/outcome.ts'
import type { KernelEnd } from '../../run/kernel/kernel-outcome.ts'
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
export type Row = KernelEnd & {
  readonly n: number
  /** Its boot was not carried out: the outcome is forecast. */
  readonly skipped?: true
  /** The outcome was forecast and the boot carried out all the same, to check the forecast. */
  readonly checked?: true
  /** The forecast, where the boot came out otherwise. The row is then the boot's. */
  readonly forecast?: Outcome
}

/** Machines in a piece of work: with every boot carried out, some seconds. A real kernel takes as long alone. */
const [OF_MODELS, OF_REAL_KERNELS] = [64, 1]
/** Share of the skipped boots that are carried out as a check. */
export const CHECKED_SHARE = 0.02

/** Machines in a piece of a sweep; its last one may have fewer. */
export function pieceSize({ real }: Space): number {
  return real === undefined ? OF_MODELS : OF_REAL_KERNELS
}

/** How many pieces a sweep has. */
export function pieceCount(space: Space): number {
  return Math.ceil(machineCount(space) / pieceSize(space))
}

/** The numbers of a piece's machines, in order. */
export function machinesIn(space: Space, piece: number): number[] {
  const size = pieceSize(space)
  const first = piece * size
  return Array.from({ length: Math.min(machineCount(space) - first, size) }, (_, i) => first + i)
}

/** Boot the models of one piece, in order. */
export function run(spec: SweepSpec, piece: number): Row[] {
  return machinesIn(spec.space, piece).map((n) => rowOf(spec, n))
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
