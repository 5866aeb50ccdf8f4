import { flagNames, RW } from '../../bits/pte.ts'
import { type FrameType, TYPE_NAMES } from '../../bits/type-word.ts'
import {
  OWNER_WORD,
  REF_COUNT,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import { Memory } from '../../machine/memory.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { DomainLayout } from '../../toolstack/layouts/model.ts'
import type { Sink } from '../../trace/events.ts'
import { INVALID_M2P } from '../../xen/frames/m2p.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { entriesTo } from '../ask/frame-report.ts'
import type { MemoryMap } from '../maps/maps.ts'
import { planBoot } from './boot-plan.ts'
import { buildMachine } from './boot-run.ts'

/**
 * What a machine for a guest of one's own is made of. All fields are optional; without any it is a domU of 1 GiB under
 * the profile `seed`.
 */
export type MachineOptions = {
  /** The version profile of Xen, default `seed`. */
  xen?: string
  /** Default: dom0 on a host's map, domU on a guest's or without one. A dom0 without a map has the seed's machine. */
  domain?: 'dom0' | 'domU'
  /** Frames of 4 KiB. */
  memory?: number
  /** End of the initial mapping, relative to the kernel's virtual base: bytes, a multiple of 4 MiB. */
  vEnd?: number
  /** The host's map for a dom0, the guest's own for a domU: a shipped map's name, or a map. */
  map?: string | MemoryMap
}

/** What Xen knows of a frame, as plain data. */
export type FrameInfo = {
  mfn: number
  /** The guest's number for it, from the M2P; null when it has none. */
  pfn: number | null
  type: FrameType
  /** References that hold it to its type. */
  typeCount: number
  /** All references. */
  refCount: number
  pinned: boolean
  validated: boolean
  /** Id of the domain that owns it; 0x7ff1 is DOMID_IO, 0x7ff2 is DOMID_XEN. Null: it is free. */
  owner: number | null
  /** Type and count in the one word that Xen keeps, as its messages print it: `saw` in `Bad type (saw … != exp …)`. */
  typeWord: string
}

/** An L1 entry that maps a frame, as plain data. */
export type HolderInfo = {
  /** The L1 that has the entry, and the guest's number for it. */
  table: number
  tablePfn: number | null
  slot: number
  writable: boolean
  /** Names of the entry's flags: `P|RW|US`. */
  flags: string
}

/** A domain on a machine of its own, about to run: what a boot starts from, for a guest that you write. */
export type Machine = {
  /** The guest's CPU: loads, stores and hypercalls. rsi has the address of start info, as at a PV kernel's entry. */
  readonly vcpu: Vcpu
  /** Where the domain builder put kernel, p2m list, start info and page tables. */
  readonly layout: DomainLayout
  /** What Xen has printed so far, a string a line. */
  xenConsole(): string[]
  /** What Xen knows of a frame, or null where the machine has none. */
  frame(mfn: number): FrameInfo | null
  /** Every entry of a validated L1 that maps the frame, whether or not that L1 is linked anywhere. */
  holders(mfn: number): HolderInfo[]
}

/**
 * Build a machine and on it a domain, as Xen and the toolstack do. Each machine has its memory to itself: 4 GiB of
 * address space, of which what is touched is in use, until nobody holds the machine any more.
 *
 * @param sink receives every event: hypercalls, faults, stores, changes of type, console lines
 * @throws BadInput for options that cannot be
 */
export function createMachine(options: MachineOptions = {}, sink?: Sink): Machine {
  const plan = planBoot(options.map === undefined ? { domain: 'domU', ...options } : options)
  const { xen, vcpu } = buildMachine(plan, new Memory())
  if (sink !== undefined) {
    // Each store at once: nobody says when the last one of a run has been made.
    xen.sink = sink
    vcpu.observer = (table, slot, count, lo, hi) => sink({ kind: 'fill', table, slot, count, lo, hi })
  }
  return {
    vcpu,
    layout: plan.layout,
    xenConsole: () => xen.console.lines.filter((line) => line.source === 'xen').map((line) => line.text),
    frame: (mfn) => frameInfo(xen, mfn),
    holders: (mfn) =>
      entriesTo(xen, mfn)
        .filter(({ level }) => level === 1)
        .map(({ table, slot, lo, hi }) => ({
          table,
          tablePfn: pfnOf(xen, table),
          slot,
          writable: (lo & RW) !== 0,
          flags: flagNames(lo, hi),
        })),
  }
}

function frameInfo(xen: Hypervisor, mfn: number): FrameInfo | null {
  const record = xen.memory.record(mfn)
  if (record === -1) return null
  const words = xen.memory.u32
  const type = words[record]
  return {
    mfn,
    pfn: pfnOf(xen, mfn),
    type: TYPE_NAMES[type >>> TYPE_SHIFT],
    typeCount: type & TYPE_COUNT,
    refCount: words[record + REFS_WORD] & REF_COUNT,
    pinned: (type & TYPE_PINNED) !== 0,
    validated: (type & TYPE_VALIDATED) !== 0,
    owner: xen.owners[words[record + OWNER_WORD] & 0xff]?.id ?? null,
    typeWord: xen.typeText(type),
  }
}

function pfnOf(xen: Hypervisor, mfn: number): number | null {
  const pfn = xen.m2p.get(mfn)
  return pfn === INVALID_M2P ? null : pfn
}
