import { SLOTS } from '../bits/address.ts'
import { entryFrame, P, PSE, RW, US } from '../bits/pte.ts'
import {
  OWNER_FIRST_DOMAIN,
  OWNER_IO,
  OWNER_WORD,
  RECORD_WORDS,
  TYPE_COUNT,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'

/**
 * What must never be, whatever a guest does: Xen's safety, read off the raw tables as the CPU walks them. It shares no code
 * with the rules, and knows the frames' types only as what they promise.
 *
 * - `writable-table`: a frame in use as a page table can be stored to through a mapping.
 * - `foreign-writable`: a frame that is another domain's, or Xen's own, can be stored to through a mapping.
 * - `table-chain`: a table refers to another of its level that refers to a third; giving such a chain back has no bound.
 * - `descriptor-limit`: a page is held as one of descriptors that no descriptor table of the guest reaches.
 * - `user-mode-call`: a hypercall was carried out while the guest was in user mode.
 */
export type PropertyName =
  | 'writable-table'
  | 'foreign-writable'
  | 'table-chain'
  | 'descriptor-limit'
  | 'user-mode-call'

export type Broken = {
  readonly property: PropertyName
  /** The frame it is about; null where it is about none. */
  readonly mfn: number | null
  readonly says: string
}

/** A domain, as far as its safety goes. */
export type GuestView = {
  /** Its number in frame records. */
  readonly owner: number
  /** It may map devices, the first MiB among them, and domains that it builds: dom0. */
  readonly mayMapOthers: boolean
  /** Frames of its roots: the tables that the CPU can be on. */
  readonly roots: readonly number[]
  /** Descriptors of its LDT, and the frames held for its pages, by page. */
  readonly ldtEntries: number
  readonly ldtFrames: ReadonlyMap<number, number>
}

export type MachineView = {
  readonly memory: Memory
  readonly guests: readonly GuestView[]
  readonly userModeCalls: number
}

const GUEST_MAY_STORE = P | RW | US
const FIRST_XEN_SLOT = 256
const LAST_XEN_SLOT = 271
const DESCRIPTORS_A_PAGE = 512

/** Properties that do not hold, each frame once; empty when all is well. */
export function brokenProperties(view: MachineView): Broken[] {
  const broken: Broken[] = []
  for (const guest of view.guests) {
    broken.push(...brokenMappings(view.memory, guest))
    for (const [page, mfn] of guest.ldtFrames) {
      if (page * DESCRIPTORS_A_PAGE < guest.ldtEntries) continue
      const says = `frame ${mfn.toString(16)} is held for page ${page} of an LDT of ${guest.ldtEntries} descriptors`
      broken.push({ property: 'descriptor-limit', mfn, says })
    }
  }
  broken.push(...chains(view.memory))
  if (view.userModeCalls > 0) {
    const says = `${view.userModeCalls} hypercalls were carried out while the guest was in user mode`
    broken.push({ property: 'user-mode-call', mfn: null, says })
  }
  return broken
}

/** A run of frames that a store can reach: one, or those of a large page. */
type Run = { readonly first: number; readonly frames: number }

function brokenMappings(memory: Memory, guest: GuestView): Broken[] {
  const broken = new Map<number, Broken>()
  for (const { first, frames } of writableRuns(memory, guest.roots)) {
    for (let mfn = first; mfn < first + frames; mfn++) {
      const record = memory.record(mfn)
      // Beyond the frame table and behind it there is no memory of anybody's.
      if (record === -1 || broken.has(mfn)) continue
      const name = mfn.toString(16)
      if (tableLevel(memory, record) !== 0) {
        const says = `frame ${name} is a table in use, and a mapping lets the guest store to it`
        broken.set(mfn, { property: 'writable-table', mfn, says })
        continue
      }
      const owner = memory.u32[record + OWNER_WORD] & 0xff
      const lent = guest.mayMapOthers && (owner === OWNER_IO || owner >= OWNER_FIRST_DOMAIN)
      if (owner === guest.owner || lent) continue
      const says = `frame ${name} is not the guest's own, and a mapping lets it store there`
      broken.set(mfn, { property: 'foreign-writable', mfn, says })
    }
  }
  return [...broken.values()]
}

/**
 * What the CPU lets a guest store to: the frames at the end of paths whose entries all have RW and US. Tables are read at the
 * level at which the walk comes to them, whatever their type says, as the CPU does.
 */
function writableRuns(memory: Memory, roots: readonly number[]): Run[] {
  const words = memory.u32
  const runs: Run[] = []
  const seen = new Set<number>()
  const visit = (table: number, level: number): void => {
    const key = table * 8 + level
    const record = memory.record(table)
    if (seen.has(key) || record === -1 || !memory.isTouched(table)) return
    seen.add(key)
    const at = memory.backing(record)
    for (let slot = 0; slot < SLOTS; slot++) {
      if (level === 4 && slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT) continue
      const lo = words[at + slot * 2]
      // A guest's kernel runs in ring 3 as well, so what lacks US is out of its reach.
      if ((lo & GUEST_MAY_STORE) !== GUEST_MAY_STORE) continue
      const mfn = entryFrame(lo, words[at + slot * 2 + 1])
      const large = (level === 2 || level === 3) && (lo & PSE) !== 0
      if (level === 1) runs.push({ first: mfn, frames: 1 })
      else if (large) runs.push({ first: mfn, frames: level === 2 ? SLOTS : SLOTS * SLOTS })
      else visit(mfn, level - 1)
    }
  }
  for (const root of roots) visit(root, 4)
  return runs
}

/** The level of a table in use; 0 of any other frame. */
function tableLevel(memory: Memory, record: number): number {
  const word = memory.u32[record]
  const level = word >>> TYPE_SHIFT
  const inUse = (word & TYPE_VALIDATED) !== 0 && (word & TYPE_COUNT) !== 0
  return inUse && level >= 1 && level <= 4 ? level : 0
}

/** Tables that refer to one of their own level which refers to another one. */
function chains(memory: Memory): Broken[] {
  const words = memory.u32
  const linear = new Map<number, number[]>()
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = word + i * RECORD_WORDS
      if (words[record] === 0) continue
      const level = tableLevel(memory, record)
      if (level < 2) continue
      const targets = sameLevel(memory, first + i, record, level)
      if (targets.length > 0) linear.set(first + i, targets)
    }
  }
  return [...linear].flatMap(([mfn, targets]): Broken[] => {
    const through = targets.find((target) => linear.has(target))
    if (through === undefined) return []
    const names = [mfn, through, linear.get(through)![0]].map((frame) => frame.toString(16))
    return [{ property: 'table-chain', mfn, says: `tables of one level in a chain: ${names.join(' -> ')}` }]
  })
}

function sameLevel(memory: Memory, table: number, record: number, level: number): number[] {
  const words = memory.u32
  const at = memory.backing(record)
  const targets = new Set<number>()
  for (let slot = 0; slot < SLOTS; slot++) {
    if (level === 4 && slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT) continue
    const lo = words[at + slot * 2]
    if ((lo & P) === 0) continue
    const mfn = entryFrame(lo, words[at + slot * 2 + 1])
    const target = mfn === table ? -1 : memory.record(mfn)
    if (target !== -1 && tableLevel(memory, target) === level) targets.add(mfn)
  }
  return [...targets]
}
