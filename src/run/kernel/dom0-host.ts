import { PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { WALL_CLOCK } from '../../guest/guest.ts'
import { acpiTables } from '../../machine/board/acpi.ts'
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
  /** Frames that the dom0 of the map's log had; null where it does not say. */
  readonly mapPages: number | null
  /** The map that Xen found, in order, with the firmware's tables in it. */
  readonly entries: readonly E820Entry[]
  readonly firmwareMap: boolean
  readonly acpi: boolean
}

/** Xen's own: shared_info, as many frames of a grant table as any version gives, and a few tables. */
const XEN_PAGES = 0x80
/** dom0's vCPUs: CPUs that the firmware tells of. */
const VCPUS = 1

/** What the options say of the machine. Throws BadInput for a map that no dom0 starts on. */
export function dom0Board({ map: given, firmwareMap = false, acpi = true }: Dom0Options): Dom0Board {
  const map = typeof given === 'string' ? findMap(given) : given
  const sorted = map.entries.toSorted((a, b) => a.start - b.start)
  const entries = acpi ? acpiTables({ vcpus: VCPUS, map: sorted }).map : sorted
  return { mapName: map.name, mapPages: map.nrPages ?? null, entries, firmwareMap, acpi }
}

/** Xen on the machine of a board, with what its firmware has put there. */
export function dom0Xen(board: Dom0Board, version: XenVersion, memory: Memory): Hypervisor {
  const xen = new Xen(version, dom0Host(board, version), memory)
  if (!board.acpi) return xen
  for (const { at, bytes } of acpiTables({ vcpus: VCPUS, map: board.entries }).pieces) {
    putFirmware(memory, at, bytes)
  }
  return xen
}

/** Bytes that the firmware has left at a machine address, where nobody can store to. */
function putFirmware(memory: Memory, at: number, bytes: Uint8Array): void {
  for (const [i, byte] of bytes.entries()) {
    const frame = Math.floor((at + i) / PAGE)
    memory.u8[memory.device(frame) * 4 + ((at + i) % PAGE)] = byte
  }
}

/** The machine under a dom0. Xen's own frames are the last of its RAM, as a kernel looks up the pfn of shared_info there. */
function dom0Host({ mapName, entries, firmwareMap, acpi }: Dom0Board, version: XenVersion): HostMemory {
  const ram = ramFrames(entries)
  const last = ram.at(-1)
  if (last === undefined || last.end - last.start <= XEN_PAGES || last.end <= 0x100 + XEN_PAGES) {
    throw new BadInput(
      `${mapName}: the map's last range of RAM has no room for Xen; it needs ${(XEN_PAGES * PAGE) / 1024} KiB`,
    )
  }
  const xenHeap = { start: last.end - XEN_PAGES, end: last.end }
  const denied = deniedMmio(version.rules.deniedLapicPages)
  const map = firmwareMap ? hostMapForDom0(entries, denied) : entries
  return { ram, xenHeap, map, passedThrough: [], board: { wallClock: WALL_CLOCK, hasAcpi: acpi } }
}
