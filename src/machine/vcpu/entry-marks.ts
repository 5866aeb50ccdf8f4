/** Marks of entries: many times what a TLB holds, so that few entries share one. */
const MARKS = 2 ** 14

/** No translation is there by an entry, or by any that shares its mark. */
export const NOWHERE = -1
/** There may be several: whoever wants to know must look. */
export const SEVERAL = -2

/**
 * Of which entries of page tables a TLB may hold translations, and where. Xen has a TLB forget every entry that it changes, and
 * nearly none of them is there: a guest that changes entries by the million must not have all of the TLB looked through for
 * each. An entry is named by its word index in the machine's memory, and may share its mark with others.
 */
export class EntryMarks {
  /** The round in which the mark was set last. */
  private readonly rounds = new Uint32Array(MARKS)
  /** Where the mark's translation went, or SEVERAL. */
  private readonly places = new Int32Array(MARKS)
  private round = 1

  /** A translation by this entry is at a place from now on; places are the TLB's own numbers, 0 and above. */
  set(entry: number, place: number): void {
    const mark = markOf(entry)
    const isFirst = this.rounds[mark] !== this.round || this.places[mark] === place
    this.rounds[mark] = this.round
    this.places[mark] = isFirst ? place : SEVERAL
  }

  /** The one place where a translation by this entry may be, NOWHERE or SEVERAL. */
  placeOf(entry: number): number {
    const mark = markOf(entry)
    return this.rounds[mark] === this.round ? this.places[mark] : NOWHERE
  }

  /** No translation is there by any entry that has the mark of this one. */
  clear(entry: number): void {
    this.rounds[markOf(entry)] = 0
  }

  /** No translation is there at all. A round that comes again finds marks that are too many, never too few. */
  clearAll(): void {
    this.round = this.round === 0xffff_ffff ? 1 : this.round + 1
  }
}

/** Entries of one table, and of tables next to each other, have different marks. */
function markOf(entry: number): number {
  return (entry >>> 1) & (MARKS - 1)
}

/** Whether two entries have the same mark. */
export function shareMark(a: number, b: number): boolean {
  return markOf(a) === markOf(b)
}
