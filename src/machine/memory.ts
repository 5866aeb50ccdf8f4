import { BadInput } from '../bits/bad-input.ts'
import { BACKING_WORD, OWNER_IO, OWNER_WORD, RECORD_WORDS } from './frames.ts'
import { linkLoops, type MemoryLoops } from './memory-loops.ts'

const PAGE_WORDS = 1024
/** Frames whose records are made together: 64 Ki frames, 1 MiB of records. Xen populates its frame table in like groups. */
const GROUP_SHIFT = 16
const GROUP_FRAMES = 1 << GROUP_SHIFT
const GROUP_PAGES = (GROUP_FRAMES * RECORD_WORDS) / PAGE_WORDS
/** Frames below 2^31 can have a record: 8 TiB of machine addresses. Above it an mfn is valid nowhere. */
export const MAX_FRAMES = 2 ** 31

/** Pages that are never handed out: the first 64 KiB, where the registers of vCPUs lie; see src/cpu/state.ts. */
const FIRST_PAGE = 16

/** A core, as far as its decoded instructions are concerned. */
export type CodeWatcher = {
  becomesCode(page: number): void
  touched(page: number): void
  /** Whether it has decoded instructions from one of `bytes` bytes at an offset of a page. */
  isDecoded(page: number, offset: number, bytes: number): boolean
}

/** What one machine can have of memory that is in use: all that 32-bit addresses reach. */
export const MACHINE_BYTES = 2 ** 32

/** The machine has given out all of its memory: whoever needed more cannot go on. */
export class MachineFull extends BadInput {
  override name = 'MachineFull'
}

/** A range of frames, `end` exclusive. */
export type FrameRange = { readonly start: number; readonly end: number }

function reserve(bytes: number): WebAssembly.Memory {
  const pages = Math.floor(bytes / 65536)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    const mib = bytes / 2 ** 20
    throw new BadInput(`the system does not give ${mib} MiB of addresses for a machine; see ulimit -v`)
  }
}

/**
 * The machine's memory: one WebAssembly.Memory made at its final size and never grown, so that the views over it stay
 * valid. It is handed out in pages, to frames on first touch and to groups of frame records, and reset rather than
 * made again. Reserving 4 GiB costs only what is touched.
 */
export class Memory {
  readonly u32: Uint32Array
  /** The same words, signed: loops over many of them use these, as such numbers stay in integer registers. */
  readonly i32: Int32Array
  readonly u8: Uint8Array
  /** The memory itself, for the interpreter of guest code. */
  readonly wasm: WebAssembly.Memory
  /** Number of the next page to hand out. Page 0 is never handed out, so that 0 can mean "no backing". */
  private nextPage = FIRST_PAGE
  private readonly pages: number
  /** Word index of a group's first record, or 0 when nothing in the group has been looked up yet. */
  private groups = new Int32Array(0)
  /** Whether the frame table covers a group: mfn_valid() of the group's frames. */
  private covered = new Uint8Array(0)
  /** Whether a frame is memory. What is not reads as zeros, or as a device's registers, and forgets what is stored. */
  isRam: (mfn: number) => boolean = () => true
  /** Cores that execute what lies in this memory. */
  private watchers: CodeWatcher[] = []
  /** Pages with decoded instructions in them, a byte each; null while no core is there. */
  decoded: Uint8Array | null = null
  private initGroup: (firstMfn: number, firstWord: number) => void = () => {}
  private readonly loops: MemoryLoops

  /**
   * @param bytes how much to reserve: at most 4 GiB, a multiple of 64 KiB
   * @param most how much of it to give out
   * @throws BadInput where the host does not give that much address space
   */
  constructor(bytes = MACHINE_BYTES, most = bytes) {
    const wasm = reserve(bytes)
    this.wasm = wasm
    this.u32 = new Uint32Array(wasm.buffer)
    this.i32 = new Int32Array(wasm.buffer)
    this.u8 = new Uint8Array(wasm.buffer)
    this.pages = Math.floor(Math.min(bytes, most) / 4 / PAGE_WORDS)
    this.loops = linkLoops(wasm)
  }

  /** Bytes that can be handed out at all. */
  get size(): number {
    return this.pages * PAGE_WORDS * 4
  }

  /** Bytes handed out so far: what the machine really uses. */
  get used(): number {
    return this.nextPage * PAGE_WORDS * 4
  }

  /**
   * Start over with a frame table that covers `ranges`, widened to whole groups as Xen's is. `initGroup` is called once
   * for each group when its first record is looked up, to fill in what is not a free frame.
   */
  reset(ranges: readonly FrameRange[], initGroup: (firstMfn: number, firstWord: number) => void): void {
    this.u8.fill(0, 0, this.nextPage * PAGE_WORDS * 4)
    this.nextPage = FIRST_PAGE
    const end = Math.max(0, ...ranges.map((r) => r.end))
    if (end > MAX_FRAMES) throw new BadInput('a machine with memory above 8 TiB does not fit the frame table')
    this.groups = new Int32Array(Math.ceil(end / GROUP_FRAMES))
    this.covered = new Uint8Array(this.groups.length)
    for (const range of ranges) {
      for (let g = range.start >>> GROUP_SHIFT; g * GROUP_FRAMES < range.end; g++) this.covered[g] = 1
    }
    this.initGroup = initGroup
    this.isRam = () => true
    this.voidPage = 0
    this.devices.clear()
    this.forgetCores()
  }

  /** The life of cores over this memory is over: their tables are no longer there. */
  private forgetCores(): void {
    this.watchers = []
    this.decoded = null
  }

  /** Whether a frame, by its record's word index, has bytes that are not zero. */
  hasContent(record: number): boolean {
    const page = this.u32[record + BACKING_WORD]
    if (page === 0) return false
    const end = (page + 1) * PAGE_WORDS
    for (let at = page * PAGE_WORDS; at < end; at++) if (this.i32[at] !== 0) return true
    return false
  }

  /** Let a core know of what happens to pages that code lies in. */
  addCodeWatcher(watcher: CodeWatcher): void {
    this.decoded ??= new Uint8Array(this.pages)
    this.watchers.push(watcher)
  }

  /** A page has decoded instructions from now on: stores to it must be seen. */
  pageBecomesCode(page: number): void {
    if (this.decoded !== null) this.decoded[page] = 1
    for (const watcher of this.watchers) watcher.becomesCode(page)
  }

  /** Whether a core has decoded instructions from one of `bytes` bytes at an offset of a page. */
  isDecoded(page: number, offset: number, bytes: number): boolean {
    if (this.decoded === null || this.decoded[page] === 0) return false
    return this.watchers.some((watcher) => watcher.isDecoded(page, offset, bytes))
  }

  /** Somebody may be about to store to a page, who does not look at what is decoded from it: it is forgotten. */
  touchPage(page: number): void {
    if (this.decoded === null || this.decoded[page] === 0) return
    this.decoded[page] = 0
    for (const watcher of this.watchers) watcher.touched(page)
  }

  private voidPage = 0
  /** What loads from a device's frame give, where anything answers: word index of a page. */
  private readonly devices = new Map<number, number>()

  /** Let a frame that is not memory read as these words do; the rest of it as zeros. */
  setDevice(mfn: number, words: ReadonlyMap<number, number>): void {
    const page = this.takePages(1) * PAGE_WORDS
    for (const [at, value] of words) this.u32[page + at] = value
    this.devices.set(mfn, page)
  }

  /** Word index of a page that reads as a frame does that is not memory. */
  device(mfn: number): number {
    const page = this.devices.get(mfn)
    if (page !== undefined) return page
    // Nothing answers: the bus reads as zeros.
    this.setDevice(mfn, new Map())
    return this.devices.get(mfn) as number
  }

  /** Whether a frame, with its record or -1, is not memory. Only frames of dom_io can have a record and be none. */
  isDevice(mfn: number, record: number): boolean {
    return record === -1 || ((this.i32[record + OWNER_WORD] & 0xff) === OWNER_IO && !this.isRam(mfn))
  }

  /** Word index of a page to store to where no memory answers. */
  get nowhere(): number {
    if (this.voidPage === 0) this.voidPage = this.takePages(1)
    return this.voidPage * PAGE_WORDS
  }

  /** Word index of a frame's record, or -1 when the frame table has none: `mfn_valid` is false. */
  record(mfn: number): number {
    if (mfn >= MAX_FRAMES) return -1
    const group = mfn >>> GROUP_SHIFT
    if (group >= this.groups.length) return -1
    const first = this.groups[group]
    if (first !== 0) return first + (mfn & (GROUP_FRAMES - 1)) * RECORD_WORDS
    return this.covered[group] === 0 ? -1 : this.makeGroup(group) + (mfn & (GROUP_FRAMES - 1)) * RECORD_WORDS
  }

  private makeGroup(group: number): number {
    const word = this.takePages(GROUP_PAGES) * PAGE_WORDS
    this.groups[group] = word
    this.initGroup(group * GROUP_FRAMES, word)
    return word
  }

  /** Word index of a frame's bytes; the frame gets backing if it has none. The frame must have a record. */
  frameWords(mfn: number): number {
    return this.backing(this.record(mfn))
  }

  /** The same from the record's word index. */
  backing(record: number): number {
    const page = this.i32[record + BACKING_WORD]
    if (page !== 0) {
      const { decoded } = this
      if (decoded !== null && decoded[page] !== 0) this.touchPage(page)
      return page * PAGE_WORDS
    }
    const fresh = this.takePages(1)
    this.u32[record + BACKING_WORD] = fresh
    return fresh * PAGE_WORDS
  }

  /** Whether a frame was ever touched. One that was not reads as zeros. */
  isTouched(mfn: number): boolean {
    const record = this.record(mfn)
    return record !== -1 && this.u32[record + BACKING_WORD] !== 0
  }

  /** `count` numbers of 64 bits in a row from a word index on: `first`, `first` + `step` and so on, each of 32 bits. */
  fillNumbers(word: number, count: number, first: number, step: 1 | -1): void {
    this.loops.numbers(word * 4, count, first, step)
  }

  /** Type, count and owner words of `count` records in a row; where the frames' bytes are stays. */
  fillRecords(record: number, count: number, type: number, refs: number, owner: number): void {
    this.loops.records(record * 4, count, type, refs, owner)
  }

  /** Zero a frame; one that was never touched is zero already and stays without backing. */
  clearFrame(mfn: number): void {
    const page = this.u32[this.record(mfn) + BACKING_WORD]
    if (page === 0) return
    this.touchPage(page)
    this.u8.fill(0, page * PAGE_WORDS * 4, (page + 1) * PAGE_WORDS * 4)
  }

  /** The number of the first of `count` pages in a row, zeroed, for whoever keeps something in the machine's memory. */
  takePages(count: number): number {
    const page = this.nextPage
    if (page + count > this.pages) {
      const mib = (this.pages * PAGE_WORDS * 4) / 2 ** 20
      throw new MachineFull(
        `the guest needs more than the ${mib} MiB that this machine has; give it less memory`,
      )
    }
    this.nextPage += count
    return page
  }

  /** Every group that has records, as [first mfn, word index of its first record]. For whole-machine scans. */
  *recordGroups(): Generator<readonly [firstMfn: number, firstWord: number, frames: number]> {
    for (let g = 0; g < this.groups.length; g++) {
      if (this.groups[g] !== 0) yield [g * GROUP_FRAMES, this.groups[g], GROUP_FRAMES]
    }
  }
}
