import { SLOTS } from '../bits/address.ts'
import { RECORD_WORDS, TYPE_PINNED, TYPE_SHIFT } from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'
import { isXenSlot, levelOf, tallyOf } from './recount.ts'
import { type Holders, LEVEL_4, type Miscount, SEGDESC, type Tally, WRITABLE } from './tally.ts'

/**
 * The ghost check for long runs: counts once, and from then on only what has changed since the last look. It keeps a copy of
 * every table, so that it sees a change in the words themselves; who makes it is nothing to it. What it must be told is
 * which frames have become tables.
 *
 * It does not see a record that changes while nothing near it does, and leaves same-level counts alone. So a whole count has to
 * follow now and then.
 */
export class RunningCount {
  private readonly memory: Memory
  private readonly tally: Tally
  /** Every frame that is, or once was, a table, with what it held when it was looked at last. */
  private readonly tables = new Map<number, Seen>()
  private roots: readonly number[]
  private descriptors: readonly number[]
  private writable: readonly number[]

  constructor(memory: Memory, holders: Holders) {
    this.memory = memory
    this.tally = tallyOf(memory, holders)
    this.roots = holders.roots
    this.descriptors = holders.descriptors
    this.writable = holders.writable
    for (const [first, word, frames] of memory.recordGroups()) {
      for (let i = 0; i < frames; i++) {
        // A frame that was a table once can be one again without a word.
        const code = memory.u32[word + i * RECORD_WORDS] >>> TYPE_SHIFT
        if (code >= 1 && code <= LEVEL_4) this.see(first + i)
      }
    }
  }

  /** A table whose entries and pin are in the tally already. */
  private see(mfn: number): void {
    const record = this.memory.record(mfn)
    const seen = new Seen()
    seen.level = levelOf(this.memory.u32[record])
    seen.isPinned = (this.memory.u32[record] & TYPE_PINNED) !== 0
    if (seen.level !== 0) seen.words.set(this.wordsOf(record))
    this.tables.set(mfn, seen)
  }

  private wordsOf(record: number): Uint32Array {
    const at = this.memory.backing(record)
    return this.memory.u32.subarray(at, at + SLOTS * 2)
  }

  /**
   * Frames whose records differ from what holds them, of those around which anything has changed.
   *
   * @param types frames that may have become tables since the last look
   */
  compare(holders: Holders, types: Iterable<number>): Miscount[] {
    const { tally, memory } = this
    const touched = new Set<number>()
    this.register(this.roots, holders.roots, LEVEL_4, touched)
    this.register(this.descriptors, holders.descriptors, SEGDESC, touched)
    this.register(this.writable, holders.writable, WRITABLE, touched)
    this.roots = holders.roots
    this.descriptors = holders.descriptors
    this.writable = holders.writable
    for (const mfn of types) if (!this.tables.has(mfn)) this.tables.set(mfn, new Seen())
    for (const [mfn, seen] of this.tables) {
      touched.add(mfn)
      this.look(mfn, seen, touched)
    }
    const wrong: Miscount[] = []
    for (const mfn of touched) {
      const record = memory.record(mfn)
      if (record !== -1) tally.compare(mfn, record, false, wrong)
    }
    return wrong
  }

  private register(
    before: readonly number[],
    after: readonly number[],
    type: number,
    touched: Set<number>,
  ): void {
    for (const mfn of before) this.tally.hold(mfn, type, -1)
    for (const mfn of after) this.tally.hold(mfn, type, 1)
    for (const mfn of [...before, ...after]) touched.add(mfn)
  }

  /** Count what has changed in one table, or all of it where it has become one or is one no longer. */
  private look(mfn: number, seen: Seen, touched: Set<number>): void {
    const record = this.memory.record(mfn)
    const type = this.memory.u32[record]
    const isPinned = (type & TYPE_PINNED) !== 0
    if (isPinned !== seen.isPinned) this.tally.hold(mfn, 0, isPinned ? 1 : -1)
    seen.isPinned = isPinned
    const level = levelOf(type)
    if (level !== seen.level) {
      this.change(mfn, seen, NOTHING, touched)
      seen.level = level
    }
    if (level !== 0) this.change(mfn, seen, this.wordsOf(record), touched)
  }

  private change(table: number, seen: Seen, now: Uint32Array, touched: Set<number>): void {
    const { tally } = this
    const { words, level } = seen
    if (level === 0) return
    for (let at = 0; at < SLOTS * 2; at += 2) {
      if (words[at] === now[at] && words[at + 1] === now[at + 1]) continue
      if (!isXenSlot(level, at >> 1)) {
        for (const mfn of [
          tally.entry(table, level, words[at], words[at + 1], -1),
          tally.entry(table, level, now[at], now[at + 1], 1),
        ])
          if (mfn !== -1) touched.add(mfn)
      }
      words[at] = now[at]
      words[at + 1] = now[at + 1]
    }
  }
}

/** A table as it was: its level, 0 while it is none, its pin, and its entries. */
class Seen {
  level = 0
  isPinned = false
  readonly words = new Uint32Array(SLOTS * 2)
}

const NOTHING = new Uint32Array(SLOTS * 2)
