import { SLOTS } from '../bits/address.ts'
import { entryFrame, P, RW } from '../bits/pte.ts'
import {
  OWNER_IO,
  OWNER_WORD,
  RECORD_WORDS,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_LOCKED,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'

/**
 * The ghost check: what every frame's counts must be, counted again from the tables themselves and from the few places
 * outside them that hold frames. It shares no code with the rules, so a difference is a mistake in one of the two.
 */
export type Holders = {
  /** Frames in root registers: each holds its table once. */
  readonly roots: readonly number[]
  /** Frames of GDTs and LDTs in use: each holds its page of descriptors once. */
  readonly descriptors: readonly number[]
  /** Whether this version counts same-level references; others leave that count alone. */
  readonly countsLinear: boolean
}

export type Miscount = {
  readonly mfn: number
  readonly what: 'references' | 'type count' | 'same-level count' | 'locked'
  readonly counted: number
  readonly recorded: number
}

const LEVEL_4 = 4
const FIRST_XEN_SLOT = 256
const LAST_XEN_SLOT = 271

class Count {
  refs = 0
  type = 0
  linear = 0
}

/** Frames whose record differs from what the tables say; none when all is well. At most `most` of them. */
export function recount(memory: Memory, holders: Holders, most = 10): Miscount[] {
  const counts = new Map<number, Count>()
  const of = (mfn: number): Count => {
    let count = counts.get(mfn)
    if (count === undefined) {
      count = new Count()
      counts.set(mfn, count)
    }
    return count
  }
  const hold = (mfn: number): void => {
    const count = of(mfn)
    count.refs++
    count.type++
  }
  for (const mfn of [...holders.roots, ...holders.descriptors]) hold(mfn)
  const words = memory.u32
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const type = words[word + i * RECORD_WORDS]
      if (type === 0) continue
      if ((type & TYPE_PINNED) !== 0) hold(first + i)
      const level = type >>> TYPE_SHIFT
      const isLive = (type & TYPE_VALIDATED) !== 0 && (type & TYPE_COUNT) !== 0
      if (isLive && level >= 1 && level <= LEVEL_4)
        countTable(memory, first + i, word + i * RECORD_WORDS, level, of)
    }
  }
  return compare(memory, counts, holders.countsLinear, most)
}

function countTable(
  memory: Memory,
  table: number,
  record: number,
  level: number,
  of: (mfn: number) => Count,
): void {
  const words = memory.u32
  const at = memory.backing(record)
  for (let slot = 0; slot < SLOTS; slot++) {
    if (level === LEVEL_4 && slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT) continue
    const lo = words[at + slot * 2]
    if ((lo & P) === 0) continue
    const mfn = entryFrame(lo, words[at + slot * 2 + 1])
    const target = memory.record(mfn)
    if (level === 1) {
      // Nothing is held on a device.
      if (target === -1 || (words[target + OWNER_WORD] & 0xff) === OWNER_IO) continue
      const count = of(mfn)
      count.refs++
      if ((lo & RW) !== 0) count.type++
      continue
    }
    // A table that maps itself holds nothing.
    if (mfn === table) continue
    const count = of(mfn)
    count.refs++
    count.type++
    if (target !== -1 && words[target] >>> TYPE_SHIFT === level) {
      of(table).linear++
      count.linear--
    }
  }
}

function compare(
  memory: Memory,
  counts: ReadonlyMap<number, Count>,
  countsLinear: boolean,
  most: number,
): Miscount[] {
  const words = memory.u32
  const none = new Count()
  const wrong: Miscount[] = []
  for (const [first, word, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames && wrong.length < most; i++) {
      const at = word + i * RECORD_WORDS
      const refs = words[at + REFS_WORD]
      const type = words[at] & TYPE_COUNT
      const count = counts.get(first + i)
      if (count === undefined && refs === 0 && type === 0) continue
      const expected = count ?? none
      const owner = words[at + OWNER_WORD]
      // What no guest may retype has one reference to its type for ever.
      const isPermanent = (refs & REF_XEN_HEAP) !== 0 || ((owner & 0xff) === OWNER_IO && refs !== 0)
      const expectedRefs = expected.refs + ((refs & REF_ALLOCATED) !== 0 ? 1 : 0)
      const expectedType = expected.type + (isPermanent ? 1 : 0)
      const mfn = first + i
      if (expectedRefs !== (refs & REF_COUNT))
        wrong.push({ mfn, what: 'references', counted: expectedRefs, recorded: refs & REF_COUNT })
      if (expectedType !== type)
        wrong.push({ mfn, what: 'type count', counted: expectedType, recorded: type })
      if (countsLinear && expected.linear !== 0 && expected.linear !== owner >> 16)
        wrong.push({ mfn, what: 'same-level count', counted: expected.linear, recorded: owner >> 16 })
      if ((words[at] & TYPE_LOCKED) !== 0) wrong.push({ mfn, what: 'locked', counted: 0, recorded: 1 })
    }
  }
  return wrong
}
