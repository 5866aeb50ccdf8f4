import { ENTRY_BYTES, REGION, SLOTS } from '../../bits/address.ts'
import { entryFrame, P, RW } from '../../bits/pte.ts'
import { type FrameType, TYPE_NAMES } from '../../bits/type-word.ts'
import {
  OWNER_WORD,
  REF_ALLOCATED,
  REF_COUNT,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { isXenSlot } from '../../xen/mm/tables.ts'

/** Somebody who keeps a reference on a frame. */
export type FrameHolder =
  | {
      readonly kind: 'entry'
      readonly level: 1 | 2 | 3 | 4
      readonly table: number
      readonly slot: number
      readonly lo: number
      readonly hi: number
      readonly writable: boolean
      /** Addresses at which the entry is reached from a root in use; none while its table is not linked. */
      readonly addresses: readonly number[]
    }
  | { readonly kind: 'pin' }
  | { readonly kind: 'root'; readonly domain: number; readonly mode: 'kernel' | 'user' }
  | { readonly kind: 'descriptors'; readonly domain: number; readonly table: 'gdt' | 'ldt' }
  | { readonly kind: 'allocation' }

/** What Xen knows of a frame, and who holds it: the question that a log line leaves open. */
export type FrameReport = {
  readonly mfn: number
  /** -1 when the frame has none. */
  readonly pfn: number
  readonly owner: number | null
  readonly type: FrameType
  readonly typeCount: number
  readonly validated: boolean
  readonly pinned: boolean
  readonly refCount: number
  /** As the version prints them. */
  readonly typeWord: string
  readonly refsWord: string
  readonly holders: readonly FrameHolder[]
}

/** Addresses of one entry that are listed at most. */
const MOST_ADDRESSES = 4

/** The report on a frame; null for a frame that the machine does not have. */
export function reportFrame(xen: Hypervisor, mfn: number): FrameReport | null {
  const record = xen.memory.record(mfn)
  if (record === -1) return null
  const words = xen.memory.u32
  const type = words[record]
  const refs = words[record + REFS_WORD]
  return {
    mfn,
    pfn: xen.m2p.get(mfn),
    owner: xen.owners[words[record + OWNER_WORD] & 0xff]?.id ?? null,
    type: TYPE_NAMES[type >>> TYPE_SHIFT],
    typeCount: type & TYPE_COUNT,
    validated: (type & TYPE_VALIDATED) !== 0,
    pinned: (type & TYPE_PINNED) !== 0,
    refCount: refs & REF_COUNT,
    typeWord: xen.typeText(type),
    refsWord: xen.refsText(refs),
    holders: frameHolders(xen, mfn),
  }
}

function frameHolders(xen: Hypervisor, mfn: number): FrameHolder[] {
  const holders: FrameHolder[] = []
  const roots = rootsOf(xen)
  for (const { table, level, slot, lo, hi } of entriesTo(xen, mfn)) {
    // A table that maps itself holds no reference; it is shown all the same.
    const addresses = addressesOf(xen, table, level, slot, roots).slice(0, MOST_ADDRESSES)
    holders.push({ kind: 'entry', level, table, slot, lo, hi, writable: (lo & RW) !== 0, addresses })
  }
  const record = xen.memory.record(mfn)
  if ((xen.memory.u32[record] & TYPE_PINNED) !== 0) holders.push({ kind: 'pin' })
  for (const root of roots) {
    if (root.mfn === mfn) holders.push({ kind: 'root', domain: root.domain, mode: root.mode })
  }
  for (const domain of xen.owners) {
    if (domain === undefined) continue
    const id = domain.id
    if (domain.gdtFrames.includes(mfn)) holders.push({ kind: 'descriptors', domain: id, table: 'gdt' })
    if ([...domain.ldtFrames.values()].includes(mfn))
      holders.push({ kind: 'descriptors', domain: id, table: 'ldt' })
  }
  if ((xen.memory.u32[record + REFS_WORD] & REF_ALLOCATED) !== 0) holders.push({ kind: 'allocation' })
  return holders
}

type Entry = { table: number; level: 1 | 2 | 3 | 4; slot: number; lo: number; hi: number }

/** Every entry of a validated table, of any level, that points to a frame. */
export function entriesTo(xen: Hypervisor, mfn: number): Entry[] {
  const { memory } = xen
  const words = memory.u32
  const found: Entry[] = []
  for (const [firstMfn, firstWord, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = firstWord + i * 4
      const type = words[record]
      const level = type >>> TYPE_SHIFT
      if (level < 1 || level > 4 || (type & TYPE_VALIDATED) === 0 || (type & TYPE_COUNT) === 0) continue
      if (!memory.isTouched(firstMfn + i)) continue
      const at = memory.backing(record)
      for (let slot = 0; slot < SLOTS; slot++) {
        const lo = words[at + slot * 2]
        if ((lo & P) === 0 || isXenSlot(level, slot)) continue
        const hi = words[at + slot * 2 + 1]
        if (entryFrame(lo, hi) === mfn) {
          found.push({ table: firstMfn + i, level: level as 1 | 2 | 3 | 4, slot, lo, hi })
        }
      }
    }
  }
  return found
}

type Root = { mfn: number; domain: number; mode: 'kernel' | 'user' }

function rootsOf(xen: Hypervisor): Root[] {
  const roots: Root[] = []
  for (const domain of xen.owners) {
    for (const vcpu of domain?.vcpus ?? []) {
      const mfn = vcpu.kernelMode ? vcpu.root : (domain?.kernelRoot ?? 0)
      roots.push({ mfn, domain: domain?.id ?? 0, mode: 'kernel' })
    }
    if (domain !== undefined && domain.userRoot !== 0) {
      roots.push({ mfn: domain.userRoot, domain: domain.id, mode: 'user' })
    }
  }
  return roots
}

/** The addresses that an entry maps, found upwards from its table to the roots. */
function addressesOf(
  xen: Hypervisor,
  table: number,
  level: 1 | 2 | 3 | 4,
  slot: number,
  roots: readonly Root[],
): number[] {
  const offset = slot * ENTRY_BYTES[level]
  if (level === 4) return roots.some((r) => r.mfn === table) ? [offset] : []
  const addresses: number[] = []
  for (const parent of entriesTo(xen, table)) {
    if (parent.level !== level + 1) continue
    for (const base of addressesOf(xen, parent.table, parent.level, parent.slot, roots))
      addresses.push(base + offset)
    if (addresses.length >= MOST_ADDRESSES) break
  }
  return addresses.sort((a, b) => Number(b >= REGION.directMap) - Number(a >= REGION.directMap) || a - b)
}
