import { PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { Memory } from '../../machine/memory.ts'
import { deniedMmio, hostMapForDom0 } from '../../toolstack/machine-map.ts'
import type { E820Entry } from '../../xen/abi.ts'
import type { HostMemory, Hypervisor } from '../../xen/hypervisor.ts'
import type { XenVersion } from '../../xen/versions/version.ts'
import { Xen } from '../../xen/xen.ts'
import { findMap, type MemoryMap } from '../maps/maps.ts'
import { ramFrames } from '../maps/ram-frames.ts'

/** The machine under a dom0, as its user says. */
export type Dom0Options = {
  /** The host's memory: a shipped map's name, or a map. */
  readonly map: string | MemoryMap
  /** The map is the firmware's: Xen adds what it keeps of the APICs' pages before dom0 sees it. */
  readonly firmwareMap?: boolean
  /** Whether the machine's firmware has ACPI tables. Default true. */
  readonly acpi?: boolean
  /** Pairs pfn, mfn: each pair swaps two frames of the p2m. */
  readonly mfn?: readonly (readonly [pfn: number, mfn: number])[]
}

/** The same as decided, all that a machine is made of again: plain data, as snapshots have it. */
export type Dom0Board = {
  readonly mapName: string
  /** The map that Xen found, in order, with the firmware's tables in it. */
  readonly entries: readonly E820Entry[]
  readonly firmwareMap: boolean
  readonly acpi: boolean
}

/** Xen's own: shared_info, as many frames of a grant table as any version gives, and a few tables. */
const XEN_PAGES = 0x80

/** What the options say of the machine. Throws BadInput for a map that no dom0 starts on. */
export function dom0Board({ map: given, firmwareMap = false, acpi = true }: Dom0Options): Dom0Board {
  const map = typeof given === 'string' ? findMap(given) : given
  const entries = map.entries.toSorted((a, b) => a.start - b.start)
  return { mapName: map.name, entries, firmwareMap, acpi }
}

/** Xen on the machine of a board, with what its firmware has put there. */
export function dom0Xen(board: Dom0Board, version: XenVersion, memory: Memory): Hypervisor {
  return new Xen(version, dom0Host(board, version), memory)
}

/** The machine under a dom0. Xen's own frames are the last of its RAM, as a kernel looks up the pfn of shared_info there. */
function dom0Host({ mapName, entries, firmwareMap }: Dom0Board, version: XenVersion): HostMemory {
  const ram = ramFrames(entries)
  const last = ram.at(-1)
  if (last === undefined || last.end - last.start <= XEN_PAGES || last.end <= 0x100 + XEN_PAGES) {
    throw new BadInput(
      `${mapName}: the map's last range of RAM has no room for Xen; it needs ${(XEN_PAGES * PAGE) / 1024} KiB`,
    )
  }
  const xenHeap = { start: last.end - XEN_PAGES, end: last.end }
  const denied = deniedMmio(version.rules.deniedLapicPages)
  return { ram, xenHeap, map: firmwareMap ? hostMapForDom0(entries, denied) : entries, passedThrough: [] }
}
