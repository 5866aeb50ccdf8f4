import { SLOTS } from '../bits/address.ts'
import { entryFrame, P, PSE, RW } from '../bits/pte.ts'
import {
  OWNER_IO,
  OWNER_NONE,
  OWNER_WORD,
  REF_COUNT,
  REF_XEN_HEAP,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_LOCKED,
  TYPE_SHIFT,
} from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'

/** The places outside of tables that hold frames. */
export type Holders = {
  /** Frames in root registers: each holds its table once. */
  readonly roots: readonly number[]
  /** Frames of GDTs and LDTs in use: each holds its page of descriptors once. */
  readonly descriptors: readonly number[]
  /** Frames that the hypervisor writes to on a guest's behalf: each holds its page as writable once. */
  readonly writable: readonly number[]
  /** Frames of the hypervisor's own that it stores to and shares with a guest: no guest ever owns one of them. */
  readonly shared: readonly number[]
  /** Whether this version counts same-level references; others leave that count alone. */
  readonly countsLinear: boolean
}

export type Miscount = {
  readonly mfn: number
  readonly what: 'references' | 'type count' | 'type' | 'same-level count' | 'locked' | 'Xen heap bit'
  readonly counted: number
  readonly recorded: number
}

/** Type codes as frame records have them. */
export const [LEVEL_4, SEGDESC, WRITABLE] = [4, 5, 7]

/** What holds a frame, counted. */
class Count {
  refs = 0
  type = 0
  linear = 0
  /** How many hold it to each type, by code. */
  readonly as = [0, 0, 0, 0, 0, 0, 0, 0]
}

const NONE = new Count()

/**
 * What every frame's record must say, counted from those who hold it. It shares no code with the rules, so a difference is
 * a mistake in one of the two.
 */
export class Tally {
  readonly counts = new Map<number, Count>()
  private readonly memory: Memory

  constructor(memory: Memory) {
    this.memory = memory
  }

  /** A frame is held to a type, `by` times more: by a root, a table of descriptors, or its pin (type 0: to none). */
  hold(mfn: number, type: number, by: number): void {
    const count = this.of(mfn)
    count.refs += by
    count.type += by
    count.as[type] += by
  }

  /** An entry of a table of `level` is there, or (`by` -1) no longer. Returns the frame it holds, -1 for none. */
  entry(table: number, level: number, lo: number, hi: number, by: number): number {
    if ((lo & P) === 0) return -1
    const { memory } = this
    const words = memory.u32
    const mfn = entryFrame(lo, hi)
    const record = memory.record(mfn)
    if (level === 1) {
      // Nothing is held on a device.
      if (record === -1 || (words[record + OWNER_WORD] & 0xff) === OWNER_IO) return -1
      if ((lo & RW) !== 0) this.hold(mfn, WRITABLE, by)
      else this.of(mfn).refs += by
      return mfn
    }
    // A table that maps itself holds nothing.
    if (mfn === table) return -1
    // Xen's builder maps the p2m list of a dom0 by pages of 2 MiB, each frame of which is held.
    if (level === 2 && (lo & PSE) !== 0 && record !== -1 && words[record] >>> TYPE_SHIFT === WRITABLE) {
      for (let i = 0; i < SLOTS; i++) this.hold(mfn + i, WRITABLE, by)
      return mfn
    }
    const isLinear = record !== -1 && words[record] >>> TYPE_SHIFT === level
    this.hold(mfn, isLinear ? level : level - 1, by)
    if (isLinear) {
      this.of(table).linear += by
      this.of(mfn).linear -= by
    }
    return mfn
  }

  /** Where a frame's record differs from what was counted. */
  compare(mfn: number, record: number, countsLinear: boolean, wrong: Miscount[]): void {
    const words = this.memory.u32
    const refs = words[record + REFS_WORD]
    const type = words[record]
    const count = this.counts.get(mfn)
    if (count === undefined && refs === 0 && (type & TYPE_COUNT) === 0) return
    const expected = count ?? NONE
    const owner = words[record + OWNER_WORD]
    // What no guest may retype has one reference to its type for ever. Tables of Xen's own, which nobody owns, have none.
    const isShared = (refs & REF_XEN_HEAP) !== 0 && (owner & 0xff) !== OWNER_NONE
    const isPermanent = isShared || ((owner & 0xff) === OWNER_IO && refs !== 0)
    const expectedRefs = expected.refs + (refs >>> 31)
    const expectedType = expected.type + (isPermanent ? 1 : 0)
    if (expectedRefs !== (refs & REF_COUNT))
      wrong.push({ mfn, what: 'references', counted: expectedRefs, recorded: refs & REF_COUNT })
    if (expectedType !== (type & TYPE_COUNT))
      wrong.push({ mfn, what: 'type count', counted: expectedType, recorded: type & TYPE_COUNT })
    if (countsLinear && expected.linear !== 0 && expected.linear !== owner >> 16)
      wrong.push({ mfn, what: 'same-level count', counted: expected.linear, recorded: owner >> 16 })
    if ((type & TYPE_LOCKED) !== 0) wrong.push({ mfn, what: 'locked', counted: 0, recorded: 1 })
    if (count === undefined) return
    // Those who hold it to a type must all mean the one that it has.
    const code = type >>> TYPE_SHIFT
    for (let as = 1; as < count.as.length; as++) {
      if (count.as[as] > 0 && as !== code) wrong.push({ mfn, what: 'type', counted: as, recorded: code })
    }
  }

  private of(mfn: number): Count {
    let count = this.counts.get(mfn)
    if (count === undefined) {
      count = new Count()
      this.counts.set(mfn, count)
    }
    return count
  }
}
