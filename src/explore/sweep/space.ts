import { BadInput } from '../../bits/bad-input.ts'
import type { BootOptions } from '../../run/boot/boot.ts'
import { ownPages } from '../../run/boot/boot-plan.ts'
import type { KernelEnd } from '../../run/kernel/kernel-outcome.ts'
import { findMap, type MemoryMap } from '../../run/maps/maps.ts'

/** Numbers `from`, `from + step`, … up to `to`, which is among them when a step meets it. */
export type NumberRange = { readonly from: number; readonly to: number; readonly step: number }

/** Values of one axis, in order. Null is what a boot takes when nothing is said. */
export type Numbers = readonly (number | null | NumberRange)[]

/** A file that a sweep's boots depend on: where it was, and what was in it. */
export type FileIdentity = { readonly file: string; readonly sha256: string }

/** What the boots of real kernels have in common; their kernels are those that `linux` names, in the same order. */
export type RealKernels = {
  readonly files: readonly FileIdentity[]
  readonly ramdisk: FileIdentity | null
  /** The text of the console up to which they are to come; null: they are to power off. */
  readonly until: string | null
  /** The most of its own time that a guest may take, seconds. */
  readonly timeLimit: number
  /** Whether a dom0's machine has ACPI tables. */
  readonly acpi: boolean
}

/**
 * A set of machines: the product of its axes. It is plain data and holds all that its boots depend on, so that it can go
 * into a file or to another machine. Machine number n is a pure function of it: shards, checkpoints and messages are
 * ranges of numbers.
 */
export type Space = {
  /** Names of shipped maps, or maps; null is a machine without one. */
  readonly maps: readonly (string | MemoryMap | null)[]
  /** Frames; null is the map's own size. */
  readonly memory: Numbers
  /** Frames that no machine's guest has more than; null is no limit. */
  readonly memoryCap: number | null
  /** Bytes. Where kernel sizes are given they decide v_end, and `vEnd` is [null]. */
  readonly vEnd: Numbers
  readonly kernelSize: Numbers
  readonly initrdSize: Numbers
  readonly append: readonly (string | null)[]
  readonly xen: readonly string[]
  readonly linux: readonly string[]
  /** What all machines have in common. */
  readonly common: Pick<BootOptions, 'domain' | 'firmwareMap' | 'memoryModel' | 'with' | 'without' | 'holes'>
  /** What the toolstack gives to machines without a map: those whose map is null. */
  readonly toolstack?: Pick<BootOptions, 'maxMemory' | 'hasMap'>
  /** The kernels are real ones. Nothing is said of what models alone have. */
  readonly real?: RealKernels
}

/** More than this many machines have no use for their numbers: they would take years. */
export const MOST_MACHINES = 2 ** 40

/** How many machines there are. */
export function machineCount(space: Space): number {
  const count = axes(space).reduce((product, [, length]) => product * length, 1)
  if (count > MOST_MACHINES)
    throw new BadInput(`the sweep has ${count} machines, which nobody can boot; make its ranges smaller`)
  return count
}

/** Options of machine number n, from 0. The last axis changes fastest: neighbours differ in their kernels only. */
export function machineAt(space: Space, n: number): BootOptions {
  const at: Record<string, number> = {}
  let left = n
  for (const [name, length] of axes(space).toReversed()) {
    at[name] = left % length
    left = Math.floor(left / length)
  }
  const map = space.maps[at.maps]
  const memory = capped(space, map, numberAt(space.memory, at.memory))
  const vEnd = numberAt(space.vEnd, at.vEnd)
  const kernelSize = numberAt(space.kernelSize, at.kernelSize)
  const initrdSize = numberAt(space.initrdSize, at.initrdSize)
  const append = space.append[at.append]
  return {
    ...space.common,
    linux: space.linux[at.linux],
    xen: space.xen[at.xen],
    // Without a map there is no host: such a machine is a domU, whose memory is one range.
    ...(map === null ? { domain: 'domU' as const, ...space.toolstack } : { map }),
    ...(memory === null ? {} : { memory }),
    ...(vEnd === null ? {} : { vEnd }),
    ...(kernelSize === null ? {} : { kernelSize }),
    ...(initrdSize === null ? {} : { initrdSize }),
    ...(append === null ? {} : { append }),
  }
}

/** The axes with their lengths, the slowest first. */
function axes(space: Space): readonly (readonly [name: string, length: number])[] {
  return [
    ['maps', space.maps.length],
    ['memory', countOf(space.memory)],
    ['kernelSize', countOf(space.kernelSize)],
    ['initrdSize', countOf(space.initrdSize)],
    ['vEnd', countOf(space.vEnd)],
    ['append', space.append.length],
    ['xen', space.xen.length],
    ['linux', space.linux.length],
  ]
}

/** How many values an axis has. */
export function countOf(numbers: Numbers): number {
  return numbers.reduce<number>((sum, one) => sum + lengthOf(one), 0)
}

function lengthOf(one: number | null | NumberRange): number {
  return one === null || typeof one === 'number' ? 1 : Math.floor((one.to - one.from) / one.step) + 1
}

function numberAt(numbers: Numbers, index: number): number | null {
  let left = index
  for (const one of numbers) {
    const length = lengthOf(one)
    if (left < length) return one === null || typeof one === 'number' ? one : one.from + left * one.step
    left -= length
  }
  throw new Error(`an axis has no value ${index}`)
}

/** How the boots of a space can end. */
export function outcomesOf({ real }: Space): readonly KernelEnd['outcome'][] {
  return real === undefined ? OF_MODELS : OF_REAL_KERNELS
}

const OF_MODELS = ['booted', 'refused', 'fault', 'impossible'] as const
const OF_REAL_KERNELS = ['booted', 'refused', 'fault', 'crashed', 'ended', 'impossible'] as const

function capped(space: Space, map: string | MemoryMap | null, memory: number | null): number | null {
  if (space.memoryCap === null) return memory
  const own = memory ?? ownPages(typeof map === 'string' ? findMap(map) : map)
  return Math.min(own, space.memoryCap)
}
