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
