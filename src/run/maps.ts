import { BadInput } from '../bits/bad-input.ts'
import type { E820Entry } from '../xen/abi.ts'

/** A machine's or a guest's physical memory map, with what its log says about the kernel that ran there. */
export type MemoryMap = {
  readonly name: string
  /** `host`: as Xen saw it; `guest`: as the kernel printed it. */
  readonly kind: 'host' | 'guest'
  readonly entries: readonly E820Entry[]
  /** Whether the source says that lines are missing. */
  readonly partial: boolean
  /** Where the map comes from, for people. */
  readonly source: string
  /** Frames of 4 KiB that the domain had, when the log says it. */
  readonly nrPages?: number
  /** Bytes, relative to the kernel's virtual base, when the log says it. */
  readonly vEnd?: number
}

/** Every map that ships with the program. */
export function shippedMaps(): readonly MemoryMap[] {
  return []
}

/** The shipped map of that name; BadInput with the nearest name when there is none. */
export function findMap(name: string): MemoryMap {
  throw new BadInput(`no map '${name}' ships`)
}

/** A map from a file's text: JSON, or the lines of a boot log. */
export function parseMap(_text: string, fileName: string): MemoryMap {
  throw new Error(`parseMap(${fileName}) is not built yet`)
}
