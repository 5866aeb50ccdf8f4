import { EntryMarks, NOWHERE, SEVERAL, shareMark } from './entry-marks.ts'

/**
 * The TLB: for a page of virtual addresses, the place of its bytes. It has a read half and a write half; the write half
 * holds only pages that may be stored to with no further question, which makes it the machine's only write barrier.
 *
 * It is direct-mapped. A tag is the page's 48-bit address, -1 for an empty slot. Xen's model of the TLB is coherent:
 * whoever changes an entry that may be cached calls `flush`.
 */
const SLOTS = 256
const STAGGER = 37

/** Another cache of the same translations, which forgets what this one is told to. */
export type TlbFollower = { flush(): void; flushPage(va: number): void; flushEntry(entry: number): void }

export class Tlb {
  /** The TLB of the core that executes the vCPU's code. */
  follower: TlbFollower | null = null
  private readonly tags = new Float64Array(SLOTS * 2).fill(-1)
  readonly readTag = this.tags.subarray(0, SLOTS)
  readonly writeTag = this.tags.subarray(SLOTS)
  /** Word index of the page's bytes, for both halves: they never disagree, as one page has one place. */
  readonly words = new Uint32Array(SLOTS)
  /** Word index of the entry that a translation came from, so that it can be forgotten when that entry changes. */
  readonly entries = new Uint32Array(SLOTS)
  private readonly marks = new EntryMarks()
  /**
   * What the CPU has of the hypervisor's own linear map of the tables in use: by 2 MiB of addresses, the frame of the L1 that
   * maps them. Only versions that forget to flush it look here; src/xen/mm/linear-map.ts.
   */
  private readonly linear = new Map<number, number>()
  private filled = false

  fill(page: number, words: number, writable: boolean, entry: number): void {
    const slot = tlbSlot(page)
    this.readTag[slot] = page
    this.writeTag[slot] = writable ? page : -1
    this.words[slot] = words
    this.entries[slot] = entry
    this.marks.set(entry, slot)
    this.filled = true
  }

  /** The L1 frame that is cached for a 2 MiB region, or else this one from now on. */
  linearL1(region: number, table: number): number {
    const cached = this.linear.get(region)
    if (cached !== undefined) return cached
    this.linear.set(region, table)
    this.filled = true
    return table
  }

  /** What is cached for a region; 0 for nothing. */
  cachedL1(region: number): number {
    return this.linear.get(region) ?? 0
  }

  flushPage(va: number): void {
    this.follower?.flushPage(va)
    const slot = tlbSlot(va)
    if (this.readTag[slot] !== va - ((va >>> 0) & 0xfff)) return
    this.readTag[slot] = -1
    this.writeTag[slot] = -1
  }

  /** Forget what was translated by the entry at a word index. */
  flushEntry(entry: number): void {
    this.follower?.flushEntry(entry)
    const place = this.marks.placeOf(entry)
    if (!this.filled || place === NOWHERE) return
    let isShared = false
    if (place !== SEVERAL) isShared = this.forget(place, entry)
    else for (let slot = 0; slot < SLOTS; slot++) if (this.forget(slot, entry)) isShared = true
    if (!isShared) this.marks.clear(entry)
  }

  /** Forget a slot if it is an entry's. Whether it is another's that shares its mark. */
  private forget(slot: number, entry: number): boolean {
    if (this.entries[slot] !== entry) return this.readTag[slot] !== -1 && shareMark(this.entries[slot], entry)
    this.readTag[slot] = -1
    this.writeTag[slot] = -1
    return false
  }

  flush(): void {
    this.follower?.flush()
    if (!this.filled) return
    this.tags.fill(-1)
    this.marks.clearAll()
    this.linear.clear()
    this.filled = false
  }
}

/**
 * The slot of a page; works for any address inside it. Addresses a MiB or more apart are staggered, as what a kernel
 * uses together begins at round ones.
 */
export function tlbSlot(va: number): number {
  const page = (va >>> 0) >>> 12
  return (page + (page >>> 8) * STAGGER) & (SLOTS - 1)
}
