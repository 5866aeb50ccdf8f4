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
import { type BackendPage, eoiFrames } from '../../xen/domain.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { isXenSlot } from '../../xen/mm/tables.ts'
import { kernelRootOf, recordFrames } from '../../xen/pv-vcpu.ts'

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
  /** The place of a vCPU's record that Xen stores to. */
  | { readonly kind: 'vcpu-info'; readonly domain: number }
  /** The page in which Xen says which interrupts need an end. */
  | { readonly kind: 'eoi-flags'; readonly domain: number }
  /** A mapping in dom0, for the daemon that serves the page. */
  | { readonly kind: 'backend'; readonly user: BackendPage['user'] }
  /** That it was given to its owner; with `shared`, what Xen uses it for together with a domain. */
  | { readonly kind: 'allocation'; readonly shared?: SharedFrame }

/** A frame of Xen's own that a domain may use, too. */
export type SharedFrame = { readonly domain: number; readonly as: 'shared_info' | 'grant table' }

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
  /** Entries that hold it, too, and are not listed. */
  readonly more: number
}

/** What is listed at most, as a guest can map a page, and use a table, any number of times. */
const MOST_ENTRIES = 1000
const MOST_ADDRESSES = 4
const MOST_PARENTS = 64

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
    ...frameHolders(xen, mfn),
  }
}

function frameHolders(xen: Hypervisor, mfn: number): { holders: FrameHolder[]; more: number } {
  const holders: FrameHolder[] = []
  const roots = rootsOf(xen)
  const { found, count } = findEntries(xen, mfn, MOST_ENTRIES)
  const parents = parentsOf(xen, found)
  for (const { table, level, slot, lo, hi } of found) {
    // A table that maps itself holds no reference; it is shown all the same.
    const addresses = addressesOf(parents, table, level, slot, roots).slice(0, MOST_ADDRESSES)
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
    for (const vcpu of domain.vcpus) {
      const { gdtFrames, ldtFrames } = vcpu
      if (gdtFrames.includes(mfn)) holders.push({ kind: 'descriptors', domain: id, table: 'gdt' })
      if ([...ldtFrames.values()].includes(mfn))
        holders.push({ kind: 'descriptors', domain: id, table: 'ldt' })
      if (recordFrames(vcpu).includes(mfn)) holders.push({ kind: 'vcpu-info', domain: id })
    }
    if (eoiFrames(domain).includes(mfn)) holders.push({ kind: 'eoi-flags', domain: id })
    for (const page of domain.backendPages) {
      if (page.mfn === mfn) holders.push({ kind: 'backend', user: page.user })
    }
  }
  if ((xen.memory.u32[record + REFS_WORD] & REF_ALLOCATED) !== 0) {
    const shared = sharedFrame(xen, mfn)
    holders.push({ kind: 'allocation', ...(shared === null ? {} : { shared }) })
  }
  return { holders, more: count - found.length }
}

/** What Xen shares a frame for, or null for an ordinary one. */
function sharedFrame(xen: Hypervisor, mfn: number): SharedFrame | null {
  for (const domain of xen.owners) {
    if (domain === undefined) continue
    if (domain.sharedInfo === mfn) return { domain: domain.id, as: 'shared_info' }
    if (domain.grantFrames.includes(mfn)) return { domain: domain.id, as: 'grant table' }
  }
  return null
}

type Entry = { table: number; level: 1 | 2 | 3 | 4; slot: number; lo: number; hi: number }

/** Every entry of a validated table, of any level, that points to a frame. */
export function entriesTo(xen: Hypervisor, mfn: number): Entry[] {
  return findEntries(xen, mfn, Infinity).found
}

/** The same, the first `most` of them, and how many there are. */
function findEntries(xen: Hypervisor, mfn: number, most: number): { found: Entry[]; count: number } {
  const found: Entry[] = []
  let count = 0
  forEachEntry(xen, 1, 4, (table, level, slot, lo, hi) => {
    if (entryFrame(lo, hi) !== mfn) return
    if (count++ < most) found.push({ table, level, slot, lo, hi })
  })
  return { found, count }
}

/** The entries that lead to the tables of some entries, and on to the roots: by table. */
function parentsOf(xen: Hypervisor, entries: readonly Entry[]): ReadonlyMap<number, readonly Entry[]> {
  const parents = new Map<number, Entry[]>()
  let wanted = new Set<number>()
  for (const level of [2, 3, 4] as const) {
    for (const entry of entries) if (entry.level === level - 1) wanted.add(entry.table)
    const next = new Set<number>()
    forEachEntry(xen, level, level, (table, _, slot, lo, hi) => {
      const target = entryFrame(lo, hi)
      if (!wanted.has(target)) return
      const known = parents.get(target) ?? []
      if (known.length === MOST_PARENTS) return
      known.push({ table, level, slot, lo, hi })
      parents.set(target, known)
      next.add(table)
    })
    wanted = next
  }
  return parents
}

/** Look at every present entry of the validated tables of the levels from `lowest` to `highest`. */
function forEachEntry(
  xen: Hypervisor,
  lowest: number,
  highest: number,
  look: (table: number, level: Entry['level'], slot: number, lo: number, hi: number) => void,
): void {
  const { memory } = xen
  const words = memory.u32
  for (const [firstMfn, firstWord, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = firstWord + i * 4
      const type = words[record]
      const level = type >>> TYPE_SHIFT
      if (level < lowest || level > highest || (type & TYPE_VALIDATED) === 0 || (type & TYPE_COUNT) === 0)
        continue
      if (!memory.isTouched(firstMfn + i)) continue
      const at = memory.backing(record)
      for (let slot = 0; slot < SLOTS; slot++) {
        const lo = words[at + slot * 2]
        if ((lo & P) === 0 || isXenSlot(level, slot)) continue
        look(firstMfn + i, level as Entry['level'], slot, lo, words[at + slot * 2 + 1])
      }
    }
  }
}

type Root = { mfn: number; domain: number; mode: 'kernel' | 'user' }

function rootsOf(xen: Hypervisor): Root[] {
  const roots: Root[] = []
  for (const domain of xen.owners) {
    for (const vcpu of domain?.vcpus ?? []) {
      const { id } = vcpu.domain
      roots.push({ mfn: kernelRootOf(vcpu), domain: id, mode: 'kernel' })
      if (vcpu.userRoot !== 0) roots.push({ mfn: vcpu.userRoot, domain: id, mode: 'user' })
    }
  }
  return roots
}

/** The addresses that an entry maps, found upwards from its table to the roots. */
function addressesOf(
  parents: ReadonlyMap<number, readonly Entry[]>,
  table: number,
  level: 1 | 2 | 3 | 4,
  slot: number,
  roots: readonly Root[],
): number[] {
  const offset = slot * ENTRY_BYTES[level]
  if (level === 4) return roots.some((r) => r.mfn === table) ? [offset] : []
  const addresses: number[] = []
  for (const parent of parents.get(table) ?? []) {
    if (parent.level !== level + 1) continue
    for (const base of addressesOf(parents, parent.table, parent.level, parent.slot, roots))
      addresses.push(base + offset)
    if (addresses.length >= MOST_ADDRESSES) break
  }
  return addresses.sort((a, b) => Number(b >= REGION.directMap) - Number(a >= REGION.directMap) || a - b)
}
