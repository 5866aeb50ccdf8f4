import { SLOTS } from '../bits/address.ts'
import {
  RECORD_WORDS,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'
import { type Holders, LEVEL_4, type Miscount, SEGDESC, Tally, WRITABLE } from './tally.ts'

/**
 * The ghost check: what every frame's counts and type must be, counted again from the tables themselves and from the few
 * places outside them that hold frames.
 */
export function recount(memory: Memory, holders: Holders, most = 10): Miscount[] {
  const tally = tallyOf(memory, holders)
  const words = memory.u32
  const wrong: Miscount[] = []
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames && wrong.length < most; i++) {
      const record = word + i * RECORD_WORDS
      if (words[record + REFS_WORD] !== 0) tally.compare(first + i, record, holders.countsLinear, wrong)
    }
  }
  // A frame with no references at all, which is nevertheless held.
  for (const mfn of tally.counts.keys()) {
    const record = memory.record(mfn)
    if (record !== -1 && words[record + REFS_WORD] === 0)
      tally.compare(mfn, record, holders.countsLinear, wrong)
  }
  // What the hypervisor stores to by its frame must never have been given out again.
  for (const mfn of holders.shared) {
    const record = memory.record(mfn)
    const isKept = record !== -1 && (words[record + REFS_WORD] & REF_XEN_HEAP) !== 0
    if (!isKept) wrong.push({ mfn, what: 'Xen heap bit', counted: 1, recorded: 0 })
  }
  return wrong.slice(0, most)
}

/** Everything that holds frames, counted. */
export function tallyOf(memory: Memory, holders: Holders): Tally {
  const tally = new Tally(memory)
  for (const mfn of holders.roots) tally.hold(mfn, LEVEL_4, 1)
  for (const mfn of holders.descriptors) tally.hold(mfn, SEGDESC, 1)
  for (const mfn of holders.writable) tally.hold(mfn, WRITABLE, 1)
  const words = memory.u32
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const type = words[word + i * RECORD_WORDS]
      if (type === 0) continue
      if ((type & TYPE_PINNED) !== 0) tally.hold(first + i, 0, 1)
      const level = levelOf(type)
      if (level !== 0) countTable(memory, tally, first + i, word + i * RECORD_WORDS, level)
    }
  }
  return tally
}

function countTable(memory: Memory, tally: Tally, table: number, record: number, level: number): void {
  const words = memory.u32
  const at = memory.backing(record)
  for (let slot = 0; slot < SLOTS; slot++) {
    if (!isXenSlot(level, slot)) tally.entry(table, level, words[at + slot * 2], words[at + slot * 2 + 1], 1)
  }
}

/** The level of a table in use, from its type word; 0 of what is none. */
export function levelOf(type: number): number {
  const level = type >>> TYPE_SHIFT
  const isLive = (type & TYPE_VALIDATED) !== 0 && (type & TYPE_COUNT) !== 0
  return isLive && level >= 1 && level <= LEVEL_4 ? level : 0
}

const FIRST_XEN_SLOT = 256
const LAST_XEN_SLOT = 271

/** Whether a slot of a table is one of the L4's that Xen keeps: 256 to 271. */
export function isXenSlot(level: number, slot: number): boolean {
  return level === LEVEL_4 && slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT
}
