import type { BootOptions } from '../../run/boot/boot.ts'
import { bootOutcome } from '../../run/boot/outcome.ts'

/** From where to where a machine fails when one of its sizes changes and nothing else does. */
export type Boundary = {
  readonly option: 'memory' | 'v-end' | 'kernel-size'
  /** The first and the last failing value: frames for memory, bytes else. `to` is null where no end was found. */
  readonly from: number
  readonly to: number | null
  /** In words: `refused for 1 to 18 pages above a 2 MiB boundary`. */
  readonly says: string
}

/** Frames of 2 MiB: one L1 table maps them. */
const REGION = 512
/** Other boundaries that must fail in the same way before all are said to. */
const OTHERS = [1, 2, 3, 17]
/** How far the search for an end goes: as many steps as would double the value this often. */
const MOST_DOUBLINGS = 12

type Axis = { option: Boundary['option']; field: 'memory' | 'vEnd' | 'kernelSize'; unit: number }

const AXES: readonly Axis[] = [
  { option: 'memory', field: 'memory', unit: 1 },
  { option: 'v-end', field: 'vEnd', unit: 4 << 20 },
  { option: 'kernel-size', field: 'kernelSize', unit: 4096 },
]

/** The boundaries of a failing machine along each size that it states. */
export function boundariesOf(options: BootOptions, signature: string): Boundary[] {
  return AXES.filter(({ field }) => options[field] !== undefined).map((axis) =>
    boundary(options, signature, axis),
  )
}

function boundary(options: BootOptions, signature: string, { option, field, unit }: Axis): Boundary {
  const at = options[field]!
  const seen = new Map<number, boolean>()
  const fails = (value: number): boolean => {
    if (value <= 0) return false
    const known = seen.get(value)
    if (known !== undefined) return known
    const answer = bootOutcome({ ...options, [field]: value }).signature === signature
    seen.set(value, answer)
    return answer
  }
  const from = edge(at, -unit, fails) ?? at
  const to = edge(at, unit, fails)
  const outcome = signature.startsWith('refused') ? 'refused' : 'fails'
  const says =
    option === 'memory'
      ? memorySays(from, to, outcome, fails)
      : `${outcome} for ${option} ${hex(from)}${to === null ? ' and more' : to === from ? ' alone' : ` to ${hex(to)}`}`
  return { option, from, to, says }
}

/** The last failing value in one direction: steps that double, then halves; null where none was found. */
function edge(at: number, step: number, fails: (value: number) => boolean): number | null {
  let inside = at
  for (let i = 0; i < MOST_DOUBLINGS; i++) {
    const next = at + step * 2 ** i
    if (!fails(next)) return between(inside, next, step, fails)
    inside = next
  }
  return null
}

/** The last failing value between one that fails and one that does not. */
function between(inside: number, outside: number, step: number, fails: (value: number) => boolean): number {
  let [last, past] = [inside, outside]
  while (Math.abs(past - last) > Math.abs(step)) {
    const middle: number = last + Math.trunc((past - last) / step / 2) * step
    if (fails(middle)) last = middle
    else past = middle
  }
  return last
}

function memorySays(
  from: number,
  to: number | null,
  outcome: string,
  fails: (value: number) => boolean,
): string {
  const plain = `${outcome} for a memory of ${hex(from)}p${to === null ? ' and more' : to === from ? ' alone' : ` to ${hex(to)}p`}`
  if (to === null || to - from >= REGION - 1) return plain
  const base = from - (from % REGION)
  // The same pages above other multiples of 2 MiB, and their neighbours: only then is it the boundary that counts.
  const isAlike = OTHERS.every((k) => {
    const shift = k * REGION
    return fails(from + shift) && fails(to + shift) && !fails(from - 1 + shift) && !fails(to + 1 + shift)
  })
  if (!isAlike) return plain
  const [first, last] = [from - base, to - base]
  const pages = first === last ? `${first} page${first === 1 ? '' : 's'}` : `${first} to ${last} pages`
  return `${outcome} for ${pages} above a 2 MiB boundary`
}

function hex(n: number): string {
  return `0x${n.toString(16)}`
}
