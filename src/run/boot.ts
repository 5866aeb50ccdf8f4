import type { MemoryMap } from './maps.ts'

/** What a boot is made of. All fields are optional; together the defaults are the seed's scenario. */
export type BootOptions = {
  /** A generation (`B`), a Linux version (`2.6.39-rc4`), default B. */
  linux?: string
  /** Commits to add to it or to leave out of it, by hash. */
  with?: readonly string[]
  without?: readonly string[]
  /** The version profile of Xen, default `seed`. */
  xen?: string
  /** The host's map for a dom0, the guest's own for a domU: a shipped map's name, or a map. */
  map?: string | MemoryMap
  domain?: 'dom0' | 'domU'
  /** Frames of 4 KiB. */
  memory?: number
  /** End of the initial mapping, relative to the kernel's virtual base: bytes, a multiple of 4 MiB. */
  vEnd?: number
  /** Bytes; from these two the domain builder's rule gives v_end. */
  kernelSize?: number
  initrdSize?: number
  /** The kernel's command line. */
  append?: string
  /** Pairs pfn, mfn: each pair swaps two frames of the default p2m. */
  mfn?: readonly (readonly [pfn: number, mfn: number])[]
}

/** What a boot came to, as plain data. */
export type BootResult = {
  schema: 1
  linux: string
  xen: string
  outcome: 'booted' | 'refused' | 'fault'
  via: string | null
  call: number | null
  pfn: string | null
  mfn: string | null
  buffers: { start: string; end: string; top: string }[]
  /** One string a line, the guest's and Xen's in printed order. */
  console: string[]
  holder: object | null
}

/** Receives the events of a run, in order. */
export type Sink = (event: object) => void

/** Boots the machine that the options describe. */
export function boot(_options: BootOptions = {}, _sink?: Sink): BootResult {
  throw new Error('boot() is not built yet')
}
