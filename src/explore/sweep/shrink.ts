import type { BootOptions } from '../../run/boot/boot.ts'
import { ownPages, planBoot } from '../../run/boot/boot-plan.ts'
import { isLaidOutToday } from '../../run/boot/layout-outcome.ts'
import { bootOutcome, type Outcome } from '../../run/boot/outcome.ts'
import { findMap, type MemoryMap } from '../../run/maps/maps.ts'
import { type Boundary, boundariesOf } from './boundary.ts'
import { bootCommand } from './command.ts'
import { machineAt, type Space } from './space.ts'

/** The smallest machine that was found to fail like another one. */
export type Smallest = {
  readonly command: string
  /** The map of that machine, where it is no shipped one any more. */
  readonly map: MemoryMap | null
  readonly pfn: string | null
  readonly detail: string | null
  /** How many boots the search took. */
  readonly boots: number
  readonly boundaries: readonly Boundary[]
}

/** Failures to shrink: the job's kind `shrink`, a piece a failure. */
export type ShrinkSpec = {
  readonly space: Space
  readonly failures: readonly { readonly n: number; readonly signature: string }[]
}

/** More boots than this are not worth a smaller machine. */
const MOST_BOOTS = 400
/** Name of a shrunk map: the file into which whoever boots it puts the ranges. */
const SHRUNK_FILE = 'shrunk.txt'
/** v_end and kernel sizes move in steps of 4 MiB. */
const MIB_4 = 4 << 20

/** Carry out a piece: the smallest machine that fails as one does, or null. What a job's module has to have. */
export function run({ space, failures }: ShrinkSpec, piece: number): Smallest | null {
  const { n, signature } = failures[piece]
  return shrink(machineAt(space, n), signature)
}

/**
 * Shrink a failing machine step by step, keeping each step after which it fails alike: no host under it, less memory, fewer
 * ranges in its map, a shorter initial mapping. Then say from where to where it fails.
 *
 * @param signature as `bootOutcome` gives it for these options
 * @returns null for a machine that does not fail so, whatever a file of results says
 */
export function shrink(options: BootOptions, signature: string): Smallest | null {
  let outcome = bootOutcome(options)
  if (outcome.signature !== signature) return null
  let boots = 0
  const fails = (candidate: BootOptions): boolean => {
    if (boots >= MOST_BOOTS) return false
    boots++
    const its = bootOutcome(candidate)
    if (its.signature !== signature) return false
    outcome = its
    return true
  }
  let current = withoutExtras(explicit(options), fails)
  for (let before = ''; before !== JSON.stringify(current) && boots < MOST_BOOTS; ) {
    before = JSON.stringify(current)
    current = withLess(current, 'memory', 1, fails)
    current = withLess(current, 'vEnd', MIB_4, fails)
    current = withLess(current, 'initrdSize', MIB_4, fails)
    current = withLess(current, 'kernelSize', MIB_4, fails)
    current = withFewerRanges(current, fails)
  }
  const { pfn, detail }: Outcome = outcome
  const map = typeof current.map === 'object' ? current.map : null
  return {
    command: bootCommand(current),
    map,
    pfn: pfn ?? null,
    detail: detail ?? null,
    boots,
    boundaries: boundariesOf(current, signature),
  }
}

/** The same machine with its defaults written out, so that each can be made smaller. */
function explicit(options: BootOptions): BootOptions {
  const map = typeof options.map === 'string' ? findMap(options.map) : (options.map ?? null)
  const memory = options.memory ?? ownPages(map)
  const domain = options.domain ?? (map === null || map.kind === 'guest' ? 'domU' : 'dom0')
  const whole = { ...options, memory, domain }
  if (options.kernelSize !== undefined || options.vEnd !== undefined || isLaidOutToday(options.linux))
    return whole
  return { ...whole, vEnd: planBoot(whole).layout.vEnd }
}

/** Without what it may not need: command line, single commits, the host. */
function withoutExtras(options: BootOptions, fails: (candidate: BootOptions) => boolean): BootOptions {
  let current = options
  const attempt = (candidate: BootOptions): void => {
    if (fails(candidate)) current = candidate
  }
  if (current.append !== undefined && current.append !== '') attempt({ ...current, append: '' })
  for (const hash of current.with ?? [])
    attempt({ ...current, with: current.with!.filter((one) => one !== hash) })
  for (const hash of current.without ?? [])
    attempt({ ...current, without: current.without!.filter((one) => one !== hash) })
  if (current.map !== undefined) {
    const { map: _, firmwareMap: __, ...alone } = current
    attempt({ ...alone, domain: 'domU' })
  }
  return current
}

/** The least value of an option, in steps of `unit`, that is reached by halving steps. */
function withLess(
  options: BootOptions,
  name: 'memory' | 'vEnd' | 'kernelSize' | 'initrdSize',
  unit: number,
  fails: (candidate: BootOptions) => boolean,
): BootOptions {
  let current = options
  const start = current[name]
  if (start === undefined) return current
  for (let step = 2 ** Math.floor(Math.log2(Math.max(1, start / unit))) * unit; step >= unit; step /= 2) {
    for (;;) {
      const less = current[name]! - step
      if (less <= 0 || !fails({ ...current, [name]: less })) break
      current = { ...current, [name]: less }
    }
  }
  return current
}

/** Ranges of the map that it fails without. */
function withFewerRanges(options: BootOptions, fails: (candidate: BootOptions) => boolean): BootOptions {
  if (options.map === undefined) return options
  let map = typeof options.map === 'string' ? findMap(options.map) : options.map
  let changed = false
  for (let i = map.entries.length - 1; i >= 0; i--) {
    const fewer: MemoryMap = { ...map, name: SHRUNK_FILE, entries: map.entries.filter((_, at) => at !== i) }
    if (fewer.entries.length === 0 || !fails({ ...options, map: fewer })) continue
    map = fewer
    changed = true
  }
  return changed ? { ...options, map } : options
}
