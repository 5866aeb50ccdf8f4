import { ENTRY_BYTES, REGION, slotAt } from '../../bits/address.ts'
import { A, entryHi, entryLo, P, PSE, US } from '../../bits/pte.ts'
import { REF_XEN_HEAP } from '../../machine/frames.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { ownerOf, setRefsWord } from './frame-record.ts'

/** What the M2P says of a frame that has no pfn: all ones, which a message prints as ffffffffffffffff. */
export const INVALID_M2P = -1

/**
 * The machine-to-physical table: for every frame of RAM the pfn that its owner gave it, eight bytes each, in frames of
 * Xen's own that every guest can read at the start of Xen's range.
 */
export class M2p {
  readonly firstFrame: number
  /** One past its last frame. */
  readonly end: number
  /** The L3 that maps it, and stands in slot 256 of every L4. */
  l3 = 0
  /** Frames below this have an entry. */
  readonly covered: number
  private readonly xen: Hypervisor
  /** The entries that map the table, in the order in which they were made. */
  private readonly entries: { readonly table: number; readonly slot: number }[] = []
  private lastFrame = -1
  private lastWords = 0

  constructor(xen: Hypervisor, firstFrame: number, covered: number) {
    this.xen = xen
    this.firstFrame = firstFrame
    this.covered = covered
    // One frame of the table describes 512 frames.
    this.end = firstFrame + covered / 512
  }

  /** Map the table for guests: large read-only pages, for those parts that describe a group of RAM. */
  build(l3?: number): void {
    this.l3 = this.xen.allocateXenTable(l3)
    if (this.xen.version.rules.m2pTableIsHeap) {
      setRefsWord(this.xen, this.xen.memory.record(this.l3), REF_XEN_HEAP)
    }
    const l2s = new Map<number, number>()
    // A large page of the table describes 2^18 frames: four groups.
    for (let first = 0; first < this.covered; first += 0x40000) {
      if (!this.xen.host.ram.some((r) => r.start < first + 0x40000 && r.end > first)) continue
      const va = REGION.m2p + first * 8
      const l3Slot = slotAt(va, 3)
      let l2 = l2s.get(l3Slot)
      if (l2 === undefined) {
        l2 = this.xen.allocateXenTable()
        l2s.set(l3Slot, l2)
        this.write(this.l3, l3Slot, l2, P | US)
      }
      this.write(
        l2,
        Math.floor((va % ENTRY_BYTES[3]) / ENTRY_BYTES[2]),
        this.firstFrame + first / 512,
        P | US | PSE,
      )
    }
  }

  /** Which of the entries that map the table a guest has used: a walk that Xen prints shows the CPU's mark. */
  get accessed(): readonly number[] {
    return this.entries.flatMap((entry, i) => ((this.xen.memory.u32[this.at(entry)] & A) !== 0 ? [i] : []))
  }

  /** Mark those of another machine like this one. Numbers of no entry mark nothing. */
  markAccessed(numbers: readonly number[]): void {
    for (const n of numbers) {
      const entry = this.entries[n]
      if (entry !== undefined) this.xen.memory.u32[this.at(entry)] |= A
    }
  }

  private at({ table, slot }: { readonly table: number; readonly slot: number }): number {
    return this.xen.memory.frameWords(table) + slot * 2
  }

  private write(table: number, slot: number, mfn: number, flags: number): void {
    this.entries.push({ table, slot })
    const at = this.at({ table, slot })
    this.xen.memory.u32[at] = entryLo(mfn, flags)
    this.xen.memory.u32[at + 1] = entryHi(mfn)
  }

  /** The part of the table about a group of frames that has just been made: no frame in it has a pfn yet. */
  initGroup(firstMfn: number): void {
    for (let frame = 0; frame < 128; frame++) {
      const at = this.xen.memory.frameWords(this.firstFrame + firstMfn / 512 + frame)
      this.xen.memory.u8.fill(0xff, at * 4, at * 4 + 4096)
    }
  }

  /** The pfn of a frame, or INVALID_M2P. */
  get(mfn: number): number {
    if (this.xen.memory.record(mfn) === -1 || mfn >= this.covered) return INVALID_M2P
    const at = this.wordOf(mfn)
    const lo = this.xen.memory.u32[at]
    const hi = this.xen.memory.u32[at + 1]
    return hi === 0xffffffff && lo === 0xffffffff ? INVALID_M2P : hi * 0x1_0000_0000 + lo
  }

  /** The frame of RAM that a domain has for a pfn, or -1. Looks at every frame; for people's questions. */
  find(pfn: number, owner: number): number {
    for (const { start, end } of this.xen.host.ram) {
      for (let mfn = start; mfn < end; mfn++) {
        if (this.get(mfn) === pfn && ownerOf(this.xen, this.xen.memory.record(mfn)) === owner) return mfn
      }
    }
    return -1
  }

  /** Word index of a frame's entry in the table. */
  wordOf(mfn: number): number {
    // Questions come in runs: the frame of the table that answered the last one is remembered.
    const frame = mfn >>> 9
    if (frame !== this.lastFrame) {
      this.lastFrame = frame
      this.lastWords = this.xen.memory.frameWords(this.firstFrame + frame)
    }
    return this.lastWords + (mfn & 511) * 2
  }

  /** `count` frames in a row, which one frame of the table tells of, have no pfn any more. */
  forget(mfn: number, count: number): void {
    if (mfn >= this.covered) return
    const at = this.wordOf(mfn)
    this.xen.memory.touchPage(at >>> 10)
    this.xen.memory.u32.fill(0xffffffff, at, at + count * 2)
  }

  set(mfn: number, lo: number, hi: number): void {
    if (mfn >= this.covered) return
    const at = this.wordOf(mfn)
    // Guests of old versions can execute what lies there.
    this.xen.memory.touchPage(at >>> 10)
    this.xen.memory.u32[at] = lo
    this.xen.memory.u32[at + 1] = hi
  }
}
