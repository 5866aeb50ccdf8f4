import type { Memory } from '../../machine/memory.ts'
import { EntryMarks, NOWHERE, SEVERAL, shareMark } from '../../machine/vcpu/entry-marks.ts'
import {
  CODE_TLB,
  CODE_TLB_BYTES,
  CODE_TLB_ENTRIES,
  CODE_TLB_ENTRY_BYTES,
  TLB,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
} from '../state.ts'

const PAGE = 4096
/** In place of an entry: the slot has no translation that could be forgotten. */
const NO_ENTRY = 0xffff_ffff

/** Slots that a table knows to be filled: more than most guests fill before they have everything forgotten again. */
const KNOWN = 256

/** The layout of a table, in words: how many slots, how long, where the entry stands, and how long the tags are, which come first. */
type Slots = {
  readonly count: number
  readonly words: number
  readonly entry: number
  readonly tags: number
}
const DATA_SLOTS: Slots = {
  count: TLB_ENTRIES,
  words: TLB_ENTRY_BYTES >> 2,
  entry: TLB.entry >> 2,
  tags: 4,
}
const CODE_SLOTS: Slots = {
  count: CODE_TLB_ENTRIES,
  words: CODE_TLB_ENTRY_BYTES >> 2,
  entry: CODE_TLB.entry >> 2,
  tags: 2,
}

/** One table, and which of its slots were filled since all of it was forgotten: it is large, and they are mostly few. */
class Table {
  readonly slots: Slots
  /** Word index of its first slot, and of what is behind its last one. */
  readonly start: number
  readonly end: number
  private readonly words: Uint32Array
  private readonly known = new Int32Array(KNOWN)
  /** How many slots were filled, one that was filled twice counted twice; only the first KNOWN are known. */
  private filled = Infinity

  /** What lies there is forgotten. */
  constructor(words: Uint32Array, at: number, slots: Slots) {
    this.words = words
    this.slots = slots
    this.start = at >>> 2
    this.end = this.start + slots.count * slots.words
    this.flush()
  }

  /** The slot at a word index is filled. */
  fill(at: number): void {
    if (this.filled < KNOWN) this.known[this.filled] = at
    this.filled++
  }

  flush(): void {
    const { words, known, filled, slots } = this
    if (filled > KNOWN) words.fill(0xffff_ffff, this.start, this.end)
    else {
      for (let n = 0; n < filled; n++) {
        for (let i = 0, at = known[n]; i < slots.words; i++, at++) words[at] = 0xffff_ffff
      }
    }
    this.filled = 0
  }
}

/**
 * The interpreter's TLB, in the machine's memory: one direct-mapped table for loads and stores, whose write half holds only
 * pages that may be stored to with no further question, and one for pages that code runs in. Pages are named by their
 * 48-bit address, a number.
 */
export class SoftTlb {
  readonly data: number
  readonly code: number
  private readonly words: Uint32Array
  private readonly dataTable: Table
  private readonly codeTable: Table
  private readonly marks = new EntryMarks()
  /** Pages of the machine's memory that may be stored to with no further question, and the slots that say so. */
  private readonly stores = new EntryMarks()
  /** Where few translations are kept: the slots of those of data and of code, the oldest first. */
  private readonly kept: { readonly most: number; readonly data: number[]; readonly code: number[] } | null

  /** @param most translations that are kept, of data and of code each; all that there is room for when nothing is said */
  constructor(memory: Memory, most?: number) {
    this.kept = most === undefined ? null : { most, data: [], code: [] }
    this.words = memory.u32
    this.data = memory.takePages(TLB_BYTES / PAGE) * PAGE
    this.code = memory.takePages(CODE_TLB_BYTES / PAGE) * PAGE
    this.dataTable = new Table(this.words, this.data, DATA_SLOTS)
    this.codeTable = new Table(this.words, this.code, CODE_SLOTS)
  }

  /** @param hi high half of the page's 64-bit address, @param lo its low half */
  fill(lo: number, hi: number, page: number, readable: boolean, writable: boolean, entry: number): void {
    const at = this.slot(lo, hi)
    const w = this.words
    set(w, at + (TLB.read >> 2), readable, lo, hi)
    set(w, at + (TLB.write >> 2), writable, lo, hi)
    w[at + (TLB.host >> 2)] = page << 12
    w[at + (TLB.entry >> 2)] = entry
    this.marks.set(entry, at)
    if (writable) this.stores.set(markOf(page), at)
    this.dataTable.fill(at)
    if (this.kept !== null) this.keep(this.kept.data, at, DATA_SLOTS)
  }

  fillCode(lo: number, hi: number, map: number, entry: number): void {
    const at = (this.code + ((lo >>> 12) & (CODE_TLB_ENTRIES - 1)) * CODE_TLB_ENTRY_BYTES) >>> 2
    set(this.words, at + (CODE_TLB.tag >> 2), true, lo, hi)
    this.words[at + (CODE_TLB.map >> 2)] = map
    this.words[at + (CODE_TLB.entry >> 2)] = entry
    this.marks.set(entry, at)
    this.codeTable.fill(at)
    if (this.kept !== null) this.keep(this.kept.code, at, CODE_SLOTS)
  }

  /** A slot has been filled: the oldest one beyond the limit is forgotten. */
  private keep(slots: number[], at: number, { tags }: Slots): void {
    const known = slots.indexOf(at)
    if (known !== -1) slots.splice(known, 1)
    slots.push(at)
    if (slots.length <= (this.kept?.most ?? Infinity)) return
    const oldest = slots.shift() as number
    this.words.fill(0xffff_ffff, oldest, oldest + tags)
  }

  /** Word index of the entry for a page: the hash that the interpreter's emitter computes, too. */
  private slot(lo: number, hi: number): number {
    const number = (lo >>> 12) | (hi << 20)
    return (this.data >>> 2) + ((number ^ (number >>> 10)) & (TLB_ENTRIES - 1)) * (TLB_ENTRY_BYTES >> 2)
  }

  /** Where the byte at an address is that has a translation for loads, or for stores; 0 where it has none. */
  find(lo: number, hi: number, store: boolean): number {
    const w = this.words
    const at = this.slot(lo, hi)
    const tag = at + ((store ? TLB.write : TLB.read) >> 2)
    const isHere = w[tag] === (lo & -PAGE) >>> 0 && w[tag + 1] === hi >>> 0
    return isHere ? w[at + (TLB.host >> 2)] + (lo & (PAGE - 1)) : 0
  }

  flush(): void {
    this.marks.clearAll()
    this.stores.clearAll()
    this.dataTable.flush()
    this.codeTable.flush()
  }

  flushCode(): void {
    this.codeTable.flush()
  }

  flushPage(lo: number, hi: number): void {
    const at = this.slot(lo, hi)
    this.words.fill(0xffff_ffff, at, at + 4)
    const code = (this.code + ((lo >>> 12) & (CODE_TLB_ENTRIES - 1)) * CODE_TLB_ENTRY_BYTES) >>> 2
    this.words.fill(0xffff_ffff, code, code + 2)
  }

  /** Forget what was translated by the entry of a page table at a word index of the machine's memory. */
  flushEntry(entry: number): void {
    const place = this.marks.placeOf(entry)
    if (place === NOWHERE) return
    let isShared = false
    if (place === SEVERAL) {
      const inData = this.forgetAll(entry, this.dataTable)
      isShared = this.forgetAll(entry, this.codeTable) || inData
    } else {
      const isData = place >= this.dataTable.start && place < this.dataTable.end
      isShared = this.forget(entry, place, isData ? DATA_SLOTS : CODE_SLOTS)
    }
    if (!isShared) this.marks.clear(entry)
  }

  /** Forget an entry wherever it is in a table. Whether another one is there that shares its mark. */
  private forgetAll(entry: number, table: Table): boolean {
    let isShared = false
    for (let at = table.start; at < table.end; at += table.slots.words) {
      if (this.forget(entry, at, table.slots)) isShared = true
    }
    return isShared
  }

  /** Forget the slot at a word index if it is an entry's. Whether it is another's that shares its mark. */
  private forget(entry: number, at: number, slots: Slots): boolean {
    const w = this.words
    const other = w[at + slots.entry]
    if (other !== entry) return other !== NO_ENTRY && shareMark(other, entry)
    for (let i = 0; i < slots.tags; i++) w[at + i] = 0xffff_ffff
    w[at + slots.entry] = NO_ENTRY
    return false
  }

  /** Let stores to a page of the machine's memory be seen from now on, wherever it is mapped. */
  protect(page: number): void {
    const place = this.stores.placeOf(markOf(page))
    if (place === NOWHERE) return
    if (place !== SEVERAL) this.refuseStores(page, place)
    else {
      const { start, end, slots } = this.dataTable
      for (let at = start; at < end; at += slots.words) this.refuseStores(page, at)
    }
    // The mark stays: another page may share it.
  }

  private refuseStores(page: number, at: number): void {
    const w = this.words
    if (w[at + (TLB.host >> 2)] === page * PAGE) w.fill(0xffff_ffff, at + 2, at + 4)
  }
}

/** By what a page is marked as an entry is: neighbours have different marks. */
function markOf(page: number): number {
  return page * 2
}

function set(words: Uint32Array, at: number, valid: boolean, lo: number, hi: number): void {
  words[at] = valid ? lo : 0xffff_ffff
  words[at + 1] = valid ? hi : 0xffff_ffff
}
