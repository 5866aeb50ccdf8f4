import { SLOTS } from '../bits/address.ts'
import { entryFrame, P, PAT, PCD, PSE, PWT, RW, US } from '../bits/pte.ts'
import { OWNER_FIRST_DOMAIN, OWNER_IO, OWNER_WORD, RECORD_WORDS } from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'
import type { Tlb } from '../machine/vcpu/tlb.ts'
import { isXenSlot, levelOf } from './recount.ts'

/**
 * What must never be, whatever a guest does: Xen's safety, read off the raw tables as the CPU walks them. It shares no code
 * with the rules, and knows the frames' types only as what they promise.
 *
 * - `writable-table`: a frame in use as a page table can be stored to through a mapping.
 * - `stale-writable`: the CPU still has a translation by which the guest can store to a table in use.
 * - `foreign-writable`: a frame that is another domain's, or Xen's own, can be stored to through a mapping.
 * - `cached-device`: a device is mapped through the cache.
 * - `table-chain`: a table refers to another of its level that refers to a third; giving such a chain back has no bound.
 * - `descriptor-limit`: a page is held as one of descriptors that no descriptor table of the guest reaches.
 * - `user-mode-call`: a hypercall was carried out while the guest was in user mode.
 */
export type PropertyName =
  | 'writable-table'
  | 'stale-writable'
  | 'foreign-writable'
  | 'cached-device'
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
  readonly tlbs: readonly Tlb[]
  readonly userModeCalls: number
  /** Where something may have changed since all properties held; nothing else is then looked at. */
  readonly changed?: Changed
}

/** Places in memory that may have changed: these frames' records, and these slots of theirs. */
export type Changed = { readonly frames: readonly number[]; readonly slots: readonly number[] }

const ALL_SLOTS = Array.from({ length: SLOTS }, (_, slot) => slot)

const GUEST_MAY_STORE = P | RW | US
const DESCRIPTORS_A_PAGE = 512

/** Properties that do not hold, each frame once; empty when all is well. */
export function brokenProperties(view: MachineView): Broken[] {
  const broken: Broken[] = []
  for (const guest of view.guests) {
    broken.push(...brokenMappings(view, guest))
    for (const [page, mfn] of guest.ldtFrames) {
      if (page * DESCRIPTORS_A_PAGE < guest.ldtEntries) continue
      const says = `frame ${mfn.toString(16)} is held for page ${page} of an LDT of ${guest.ldtEntries} descriptors`
      broken.push({ property: 'descriptor-limit', mfn, says })
    }
  }
  const tables = tablesInUse(view)
  broken.push(...staleTranslations(view, tables), ...cachedDevices(view, tables), ...chains(view, tables))
  if (view.userModeCalls > 0) {
    const says = `${view.userModeCalls} hypercalls were carried out while the guest was in user mode`
    broken.push({ property: 'user-mode-call', mfn: null, says })
  }
  return broken
}

function brokenMappings(view: MachineView, guest: GuestView): Broken[] {
  const { memory } = view
  const broken = new Map<number, Broken>()
  writableRuns(view, guest.roots, (first, frames) => {
    for (let mfn = first; mfn < first + frames; mfn++) {
      const record = memory.record(mfn)
      // Beyond the frame table and behind it there is no memory of anybody's.
      if (record === -1) continue
      const owner = memory.u32[record + OWNER_WORD] & 0xff
      if (tableLevel(memory, record) !== 0) {
        const says = `frame ${mfn.toString(16)} is a table in use, and a mapping lets the guest store to it`
        broken.set(mfn, { property: 'writable-table', mfn, says })
      } else if (owner !== guest.owner && !isLent(guest, owner)) {
        const says = `frame ${mfn.toString(16)} is not the guest's own, and a mapping lets it store there`
        broken.set(mfn, { property: 'foreign-writable', mfn, says })
      }
    }
  })
  return [...broken.values()]
}

/** Whether a guest may map frames of this owner, which is not itself. */
function isLent(guest: GuestView, owner: number): boolean {
  return guest.mayMapOthers && (owner === OWNER_IO || owner >= OWNER_FIRST_DOMAIN)
}

/**
 * What the CPU lets a guest store to: the frames at the end of paths whose entries all have RW and US, one or a large page
 * of them at a time. Tables are read at the level at which the walk comes to them, whatever their type says, as the CPU
 * does.
 */
function writableRuns(
  { memory, changed }: MachineView,
  roots: readonly number[],
  run: (first: number, frames: number) => void,
): void {
  const words = memory.u32
  const slots = changed?.slots ?? ALL_SLOTS
  const seen = new Set<number>()
  const visit = (table: number, level: number): void => {
    const key = table * 8 + level
    const record = memory.record(table)
    if (seen.has(key) || record === -1 || !memory.isTouched(table)) return
    if (changed !== undefined && !changed.frames.includes(table)) return
    seen.add(key)
    const at = memory.backing(record)
    for (const slot of slots) {
      const lo = words[at + slot * 2]
      // A guest's kernel runs in ring 3 as well, so what lacks US is out of its reach.
      if ((lo & GUEST_MAY_STORE) !== GUEST_MAY_STORE) continue
      if (isXenSlot(level, slot)) continue
      const mfn = entryFrame(lo, words[at + slot * 2 + 1])
      const isLarge = (level === 2 || level === 3) && (lo & PSE) !== 0
      if (level === 1) run(mfn, 1)
      else if (isLarge) {
        const frames = level === 2 ? SLOTS : SLOTS * SLOTS
        // A large page that does not begin where one can has reserved bits set: the CPU faults.
        if (mfn % frames === 0) run(mfn, frames)
      } else visit(mfn, level - 1)
    }
  }
  for (const root of roots) visit(root, 4)
}

/** The level of a table in use; 0 of any other frame. */
function tableLevel(memory: Memory, record: number): number {
  return levelOf(memory.u32[record])
}

/** Frame and level of every table of L1 to L4 in use. */
function tablesInUse({ memory, changed }: MachineView): Map<number, number> {
  const tables = new Map<number, number>()
  const add = (mfn: number, record: number): void => {
    const level = tableLevel(memory, record)
    if (level !== 0) tables.set(mfn, level)
  }
  if (changed !== undefined) {
    for (const mfn of changed.frames) add(mfn, memory.record(mfn))
    return tables
  }
  const words = memory.u32
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = word + i * RECORD_WORDS
      if (words[record] !== 0) add(first + i, record)
    }
  }
  return tables
}

/** Translations for stores that a TLB has of tables in use. */
function staleTranslations({ memory, tlbs }: MachineView, tables: ReadonlyMap<number, number>): Broken[] {
  const places = new Set<number>()
  for (const { writeTag, words } of tlbs) {
    for (let slot = 0; slot < words.length; slot++) if (writeTag[slot] !== -1) places.add(words[slot])
  }
  return [...tables.keys()].flatMap((mfn): Broken[] => {
    if (!memory.isTouched(mfn) || !places.has(memory.frameWords(mfn))) return []
    const says = `frame ${mfn.toString(16)} is a table in use, and the CPU still has a translation to store to it`
    return [{ property: 'stale-writable', mfn, says }]
  })
}

/** Entry of Xen's PAT by PAT, PCD and PWT of an L1 entry: whether it caches. WB, WT, UC-, UC, WC, WP, UC, UC. */
const CACHES = [true, true, false, false, false, true, false, false]

/** Mappings of devices by which the CPU would cache what they answer. */
function cachedDevices({ memory, changed }: MachineView, tables: ReadonlyMap<number, number>): Broken[] {
  const words = memory.u32
  const broken = new Map<number, Broken>()
  for (const [table, level] of tables) {
    if (level !== 1) continue
    const at = memory.frameWords(table)
    for (const slot of changed?.slots ?? ALL_SLOTS) {
      const lo = words[at + slot * 2]
      if ((lo & P) === 0 || !CACHES[((lo & PAT) >>> 5) | ((lo & (PCD | PWT)) >>> 3)]) continue
      const mfn = entryFrame(lo, words[at + slot * 2 + 1])
      if (!memory.isDevice(mfn, memory.record(mfn))) continue
      const says = `frame ${mfn.toString(16)} is a device's, and a mapping of it goes through the cache`
      broken.set(mfn, { property: 'cached-device', mfn, says })
    }
  }
  return [...broken.values()]
}

/** Tables that refer to one of their own level which refers to another one. */
function chains({ memory, changed }: MachineView, tables: ReadonlyMap<number, number>): Broken[] {
  const slots = changed?.slots ?? ALL_SLOTS
  const linear = new Map<number, number[]>()
  for (const [mfn, level] of tables) {
    if (level < 2) continue
    const targets = sameLevel(memory, mfn, level, slots)
    if (targets.length > 0) linear.set(mfn, targets)
  }
  return [...linear].flatMap(([mfn, targets]): Broken[] => {
    const through = targets.find((target) => linear.has(target))
    if (through === undefined) return []
    const names = [mfn, through, linear.get(through)![0]].map((frame) => frame.toString(16))
    return [{ property: 'table-chain', mfn, says: `tables of one level in a chain: ${names.join(' -> ')}` }]
  })
}

function sameLevel(memory: Memory, table: number, level: number, slots: readonly number[]): number[] {
  const words = memory.u32
  const at = memory.frameWords(table)
  const targets = new Set<number>()
  for (const slot of slots) {
    if (isXenSlot(level, slot)) continue
    const lo = words[at + slot * 2]
    if ((lo & P) === 0) continue
    const mfn = entryFrame(lo, words[at + slot * 2 + 1])
    const target = mfn === table ? -1 : memory.record(mfn)
    if (target !== -1 && tableLevel(memory, target) === level) targets.add(mfn)
  }
  return [...targets]
}
