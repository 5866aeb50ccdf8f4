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
