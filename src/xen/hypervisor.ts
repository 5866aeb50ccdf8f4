import { TYPE_CODE } from '../bits/type-word.ts'
import { type Board, type BoardOptions, newBoard } from '../machine/board/board.ts'
import { Clock } from '../machine/clock.ts'
import {
  OWNER_FIRST_DOMAIN,
  OWNER_IO,
  OWNER_XEN,
  RECORD_WORDS,
  REF_ALLOCATED,
  REF_COUNT,
  REF_XEN_HEAP,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../machine/frames.ts'
import { type FrameRange, MAX_FRAMES, type Memory } from '../machine/memory.ts'
import { Walk, walk } from '../machine/vcpu/mmu.ts'
import { type FaultingStore, type Host, type Trap, Vcpu } from '../machine/vcpu/vcpu.ts'
import type { Sink } from '../trace/events.ts'
import type { E820Entry } from './abi.ts'
import type { Call } from './call.ts'
import { Console } from './console/console.ts'
import { GuestLogLimit } from './console/guest-log.ts'
import { type Fact, type Facts, format, type MessageId, printedBy } from './console/messages.ts'
import { DOM_IO_ID, DOM_XEN_ID, type Domain, emptyDomain, firstPirqs } from './domain.ts'
import { type EntryUpdate, newUpdate } from './frames/entry-update.ts'
import { refsWordOf, setRecord, typeWordOf } from './frames/frame-record.ts'
import { Heap, type SavedHeap } from './frames/heap.ts'
import { M2p } from './frames/m2p.ts'
import { newVcpu, type PvVcpu } from './pv-vcpu.ts'
import type { Refusal } from './refusal.ts'
import type { XenVersion } from './versions/version.ts'
import { refsText, typeText } from './words.ts'
import { COST_NS, Work } from './work.ts'

/** The machine's physical memory as Xen found it: RAM in ascending frames, everything else is devices or nothing. */
export type HostMemory = {
  readonly ram: readonly FrameRange[]
  /** The map that Xen gives dom0: XENMEM_machine_memory_map. */
  readonly map: readonly E820Entry[]
  /** Frames of devices that a domU may map, as the toolstack's e820_host arranges it. */
  readonly passedThrough?: readonly FrameRange[]
  /** Bits of a physical address that the CPU has; 46 when nothing is said. */
  readonly addressBits?: number
  /** Frames below the last address that are the CPU's own links to others, HyperTransport: nobody maps them. */
  readonly cpuLinks?: FrameRange
  /**
   * RAM that Xen keeps for its own frames: what it shares with guests, and its tables. Guests of 2011 look up the pfn of
   * shared_info, so it has to be where the M2P has an entry. Left out, these frames lie far behind RAM.
   */
  readonly xenHeap?: FrameRange
  /** What there is besides memory and CPUs, for a dom0; left out, there is nothing, and no ports answer. */
  readonly board?: BoardOptions
}

/** The type word of a frame that is not checked before stores and can never change its type: one permanent reference. */
const WRITABLE_FOR_EVER = (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED | 1

/** The slot of its L3 in which Xen's text lies: 0xffff82d040000000. */
const XEN_TEXT_SLOT = 0x141

/** Frames that Xen is to use for itself, where a run has to be like another. Xen chooses those that are not named. */
export type XenFrames = {
  /** The M2P's first frame of data, and the L3 that maps it. */
  readonly m2p?: number | undefined
  readonly m2pL3?: number | undefined
  /** The L3s behind slots 260, 261 and 262 of every L4. */
  readonly perDomain?: number | undefined
  readonly text?: number | undefined
  readonly directMap?: number | undefined
}

/** What `Hypervisor.save` gives. */
export type SavedXen = {
  readonly now: number
  readonly heap: SavedHeap
  readonly log: readonly [number, number, number]
  readonly work: readonly [number, number]
  readonly refusal: Refusal | null
  readonly board: Board | null
  readonly m2pAccessed: readonly number[]
}

/**
 * Xen on one machine: its version, its memory, its domains. The rules are functions over this in the folders of the room;
 * here is only what they share. xen.ts makes a hypervisor of it and them.
 */
export abstract class Hypervisor implements Host {
  readonly memory: Memory
  /** The rules. Searches change them between two runs, to see which hole a sequence needs. */
  version: XenVersion
  readonly console: Console
  readonly m2p: M2p
  readonly host: HostMemory
  readonly heap: Heap
  /** Xen's own L3 tables that stand in every L4, by slot: the per-domain area and the hypervisor's text and maps. */
  readonly xenL3s = new Map<number, number>()
  /** Domains by the number that frame records have for their owner. */
  readonly owners: (Domain | undefined)[] = []
  readonly domIo = emptyDomain(DOM_IO_ID, OWNER_IO, false)
  readonly domXen = emptyDomain(DOM_XEN_ID, OWNER_XEN, false)
  /** One past the highest frame of RAM: Xen's max_page. */
  readonly maxPage: number
  sink: Sink | null = null
  /** The vCPU whose hypercall or fault is being handled; messages name it. */
  current: PvVcpu | null = null
  /** What Xen refused last, and why: what `refuse` has recorded. Null before anything was refused. */
  refusal: Refusal | null = null
  /** The update of an entry that is being carried out, and the walk that Xen made last: there is one of each at a time. */
  readonly update: EntryUpdate
  readonly found = new Walk()
  /** Xen was started with guest_loglvl=all: every message is printed. */
  guestLogAll = false
  readonly clock = new Clock()
  /** The devices that dom0 has; null where the machine is only what a domU sees of one. */
  board: Board | null
  /** What Xen does for its guests, and for how long at a time. */
  readonly work = new Work()
  private readonly logLimit = new GuestLogLimit()
  /** Hypercalls that were carried out while the guest was in user mode: none, unless XSA-213 is open. */
  userModeCalls = 0
  /** A multicall is running: it may not contain another. */
  inMulticall = false
  /** By the number of the port. */
  private readonly calls: Call[] = []
  private nextXenHeap: number
  /** The next frame of the host's `xenHeap`, as long as there is one. */
  private nextInRam: number

  constructor(version: XenVersion, host: HostMemory, memory: Memory, frames: XenFrames = {}) {
    this.version = version
    this.host = host
    this.memory = memory
    this.board = host.board === undefined ? null : newBoard(host.board)
    this.console = new Console(() => this.sink)
    this.update = newUpdate(this.domIo)
    this.heap = new Heap(host.xenHeap === undefined ? host.ram : without(host.ram, host.xenHeap))
    this.nextInRam = host.xenHeap?.start ?? 0
    this.maxPage = Math.max(0, ...host.ram.map((r) => r.end))
    // The M2P lies far behind the machine's RAM, so that a guest may own all of it and what follows is nothing.
    const covered = Math.ceil(this.maxPage / 0x10000) * 0x10000
    const heapStart = MAX_FRAMES - 0x10000
    const tableStart = heapStart - Math.ceil(covered / 512 / 0x10000) * 0x10000
    this.m2p = new M2p(this, frames.m2p ?? tableStart, covered)
    this.nextXenHeap = heapStart
    const xenHeap = { start: tableStart, end: MAX_FRAMES }
    memory.reset([...host.ram, { start: 0, end: 0x100 }, xenHeap], (mfn, word) => this.initFrames(mfn, word))
    memory.isRam = (mfn) => mfn >= covered || this.host.ram.some((r) => mfn >= r.start && mfn < r.end)
    this.owners[OWNER_IO] = this.domIo
    this.owners[OWNER_XEN] = this.domXen
    for (let mfn = this.m2p.firstFrame; mfn < this.m2p.end; mfn++) this.heap.takeFrame(mfn)
    this.m2p.build(frames.m2pL3)
    this.xenL3s.set(260, this.allocateXenTable(frames.perDomain))
    this.xenL3s.set(261, this.allocateXenTable(frames.text))
    this.xenL3s.set(262, this.allocateXenTable(frames.directMap))
    this.mapMemory(262, 0)
    this.mapMemory(261, XEN_TEXT_SLOT)
  }

  /** Xen's own mappings, which a guest cannot use: that they are there shows in the error code of its faults. */
  private mapMemory(slot: number, first: number): void {
    const at = this.memory.frameWords(this.xenL3s.get(slot) as number)
    const SUPERVISOR_LARGE = 0xe3
    const last = slot === 262 ? Math.min(511, Math.floor((this.maxPage - 1) / 0x40000)) : first
    for (let i = first; i <= last; i++) this.memory.u32[at + i * 2] = SUPERVISOR_LARGE
  }

  /**
   * Records of a group of 64 Ki frames when it is first looked at. RAM is free; what is not RAM belongs to dom_io and
   * can never change its type, as its permanent reference holds it (`arch_init_memory`, `share_xen_page_with_guest`).
   */
  private initFrames(first: number, word: number): void {
    const end = first + 0x10000
    if (first < this.m2p.covered) this.initHoles(first, word)
    // Shared with everybody, read-only: its permanent reference is on no type, which keeps it from ever having one.
    const from = Math.max(first, this.m2p.firstFrame)
    const refs = REF_ALLOCATED | REF_XEN_HEAP | 1
    const count = Math.min(end, this.m2p.end) - from
    this.memory.fillRecords(word + (from - first) * RECORD_WORDS, count, TYPE_VALIDATED | 1, refs, OWNER_XEN)
    if (first < this.m2p.covered) this.m2p.initGroup(first)
  }

  private initHoles(first: number, word: number): void {
    const end = first + 0x10000
    let hole = first
    const refs = REF_ALLOCATED | (this.version.rules.ioFramesAreHeap ? REF_XEN_HEAP : 0) | 1
    const io = (from: number, to: number): void => {
      const at = word + (from - first) * RECORD_WORDS
      this.memory.fillRecords(at, to - from, WRITABLE_FOR_EVER, refs, OWNER_IO)
    }
    for (const range of this.host.ram) {
      // The first MiB belongs to dom_io whether it is RAM or not.
      const start = Math.max(range.start, 0x100)
      if (range.end <= hole || start >= end) continue
      io(hole, Math.max(hole, start))
      hole = Math.max(hole, Math.min(range.end, end))
    }
    io(hole, end)
  }

  /** What Xen keeps outside of the machine's memory and of its domains, as plain data. */
  save(): SavedXen {
    return {
      now: this.clock.now,
      heap: this.heap.save(),
      log: this.logLimit.save(),
      work: this.work.save(),
      refusal: this.refusal,
      board: structuredClone(this.board),
      m2pAccessed: this.m2p.accessed,
    }
  }

  restore(saved: SavedXen): void {
    this.clock.now = saved.now
    this.heap.restore(saved.heap)
    this.logLimit.restore(saved.log)
    this.work.restore(saved.work)
    this.refusal = saved.refusal
    this.board = structuredClone(saved.board)
    this.m2p.markAccessed(saved.m2pAccessed)
  }

  get machineMap(): readonly E820Entry[] {
    return this.host.map
  }

  // ---- domains ----

  addDomain(id: number, privileged: boolean): Domain {
    const owner = Math.max(OWNER_FIRST_DOMAIN, this.owners.length)
    const domain = emptyDomain(id, owner, privileged)
    if (privileged) domain.pirqs.push(...firstPirqs(this.board))
    this.owners[owner] = domain
    return domain
  }

  /** The next vCPU of a domain; its port has a number of its own in the machine. */
  addVcpu(domain: Domain): PvVcpu {
    const port = new Vcpu(this.memory, this, this.calls.length)
    const vcpu = newVcpu(domain, port)
    domain.vcpus.push(vcpu)
    this.calls.push({ xen: this, domain, vcpu, port })
    return vcpu
  }

  /** Who asks by a port. */
  callOf(port: Vcpu): Call {
    return this.calls[port.id]
  }

  vcpuOf(port: Vcpu): PvVcpu {
    return this.calls[port.id].vcpu
  }

  domainOf(port: Vcpu): Domain {
    return this.calls[port.id].domain
  }

  /** The vCPU of the guest that a run is about: the last domain that was made. */
  get guestVcpu(): Vcpu {
    const vcpu = this.owners.at(-1)?.vcpus[0]?.port
    if (vcpu === undefined) throw new Error('no domain has been built')
    return vcpu
  }

  /** The domain with an id, or undefined. */
  domainById(id: number): Domain | undefined {
    return this.owners.find((d) => d !== undefined && d.id === id && d.owner >= OWNER_FIRST_DOMAIN)
  }

  /**
   * The first of 2^order free frames in a row, out of the heap, or -1: alloc_domheap_pages().
   *
   * @param below one past the last frame that it may have
   */
  takeExtent(order: number, below = Infinity): number {
    if (order > 0) return this.heap.takeTop(2 ** order, 2 ** order, below)
    return below === Infinity ? this.heap.take() : this.heap.takeBelow(below)
  }

  /** A frame of Xen's own for `owner`, shared writable for ever: shared_info and the like. */
  allocateXenFrame(owner: number, place?: number): number {
    const mfn = this.takeXenFrame(place)
    const refs = REF_ALLOCATED | REF_XEN_HEAP | 1
    setRecord(this, this.memory.record(mfn), WRITABLE_FOR_EVER, refs, owner)
    return mfn
  }

  /** A frame for a table of Xen's own: it has no owner and no references, and guests cannot get one on it. */
  allocateXenTable(place?: number): number {
    return this.takeXenFrame(place)
  }

  private takeXenFrame(place: number | undefined): number {
    if (place === undefined) {
      return this.nextInRam < (this.host.xenHeap?.end ?? 0) ? this.nextInRam++ : this.nextXenHeap++
    }
    this.heap.takeFrame(place)
    return place
  }

  // ---- what is made of the rules: xen.ts ----

  abstract hypercall(port: Vcpu): void
  abstract pageFault(
    port: Vcpu,
    va: number,
    error: number,
    store: FaultingStore | undefined,
  ): 'emulated' | 'retry' | 'deliver'
  abstract deliver(port: Vcpu, vector: number, error: number): void
  /** int n of a vector that the guest allows: like an exception, but without an error code. */
  abstract deliverSoftware(port: Vcpu, vector: number): void
  abstract loadSegment(port: Vcpu, selector: number): Trap | null
  /**
   * A frame becomes a table, or a page of descriptors, and ceases to be one: mm/tables.ts. The type system asks for it by
   * this name, as tables take the types of what is in them.
   */
  abstract promoteTable(domain: Domain, mfn: number, record: number, code: number): number
  abstract demoteTable(domain: Domain, mfn: number, record: number, code: number): void

  // ---- translations ----

  /**
   * Whether cached translations follow every change of an entry at once. On a real CPU they do not: an entry that was
   * used stays in force until something flushes it, and a guest that forgets to ask for that sees what was there before.
   */
  coherentTlb = true
  /** Flushes so far: Xen's TLB clock. */
  private tlbClock = 1
  /** The clock when a frame's type was last given up, for frames of which that is known: tlbflush_timestamp. */
  private readonly lastUse = new Map<number, number>()

  /** A present entry of a table of `level` changed, at a word index of the machine's memory. */
  entryChanged(level: number, at: number): void {
    if (!this.coherentTlb) return
    if (level > 1) {
      this.flushTlbs()
      return
    }
    for (const domain of this.owners) {
      if (domain !== undefined) for (const { port } of domain.vcpus) port.tlb.flushEntry(at)
    }
  }

  /** A frame gets another type: old translations must not remain. One flush since its last use is enough. */
  typeChanges(mfn: number): void {
    // A coherent TLB has no old translations: they went with the entries.
    if (!this.coherentTlb && this.mayBeCached(mfn)) this.flushTlbs()
  }

  /** The last reference to a frame's type is gone, or the frame is free. */
  typeLeft(mfn: number): void {
    if (!this.coherentTlb) this.lastUse.set(mfn, this.tlbClock)
  }

  /** Whether nothing has been flushed since the frame's last type was given up, so that translations may be left. */
  mayBeCached(mfn: number): boolean {
    return (this.lastUse.get(mfn) ?? 0) >= this.tlbClock
  }

  /** Set the TLB clock so that of all frames just these may be cached: for searches, which go back in time. */
  setMayBeCached(frames: Iterable<number>): void {
    this.tlbClock = 1
    this.lastUse.clear()
    for (const mfn of frames) this.lastUse.set(mfn, 1)
  }

  /** Forget the translation of one page. */
  flushPage(port: Vcpu, va: number): void {
    port.tlb.flushPage(va)
  }

  /** Forget all translations. */
  flushTlbs(): void {
    this.work.done += COST_NS.flush
    this.tlbClock++
    for (const domain of this.owners) {
      if (domain !== undefined) for (const { port } of domain.vcpus) port.tlb.flush()
    }
  }

  /** The pfn that the tables in use have at an address, or -1. */
  pfnAt(port: Vcpu, va: number): number {
    const found = walk(this.memory, port.root, va, this.found)
    return found.missing === 0 ? this.m2p.get(found.mfn) : -1
  }

  // ---- messages ----

  /** A guest that ends has written to Xen's console all it will: what it has begun there is a line. */
  endConsoleLine(domain: Domain): void {
    if (domain.consoleLine !== '') this.console.guest(domain.consoleLine)
    domain.consoleLine = ''
  }

  /** Print one of Xen's lines about the current vCPU, which is told the facts that its wordings name. */
  log<Id extends MessageId>(id: Id, ...[facts]: Facts<Id>): void {
    this.print(id, facts ?? {})
  }

  /** The same for who has checked the facts already; those that no wording names are left out. */
  print(id: MessageId, facts: Readonly<Record<string, Fact>>): void {
    const message = printedBy(this.version.messages, id)
    if (message === null || (!this.guestLogAll && !this.admits(message.level))) return
    const who = message.namesVcpu ? `${this.who()} ` : ''
    this.console.xen(message.place + who + format(message.template, message.fields, facts))
  }

  private admits(level: number): boolean {
    return this.logLimit.admits(level, this.version.messages.guestLog, this.clock.now, (missed) =>
      this.console.xen(`printk: ${missed} messages suppressed.`),
    )
  }

  private who(): string {
    if (this.current === null) return 'd[IDLE]v0'
    const { domain, id } = this.current
    return this.version.messages.namesVcpu ? `d${domain.id}v${id}` : `d${domain.id}`
  }

  /** A type word as this version prints it, from the packed one. */
  typeText(packed: number): string {
    return typeText(this.version.words.type, packed)
  }

  /** A count word as this version prints it (%08lx), from the packed one. */
  refsText(packed: number): string {
    return refsText(packed)
  }

  /**
   * Count and type word of a frame as a message prints them. A free frame's words are shared with the heap's own notes:
   * the state in the count, and in the type what the frame's last type left in its highest byte, that translations of it
   * may be cached, and that no part of it is known to be dirty.
   */
  wordsText(mfn: number, record: number): readonly [caf: string, taf: string] {
    const [type, refs] = [typeWordOf(this, record), refsWordOf(this, record)]
    if ((refs & REF_COUNT) !== 0 || !this.heap.has(mfn)) return [this.refsText(refs), this.typeText(type)]
    const { unscrubbed, freeCount, freeType } = this.version.words
    if (unscrubbed !== null && this.heap.isUnscrubbed(mfn)) return unscrubbed
    const top = this.typeText(type).slice(0, 2)
    // A frame and the one behind it are one piece of the heap; its head says where the part begins that is to be scrubbed.
    const isHead = unscrubbed !== null && mfn % 2 === 0 && this.heap.isUnscrubbed(mfn + 1)
    return [freeCount, top + (isHead ? `${freeType.slice(0, -8)}00000001` : freeType)]
  }
}

/** What is left of ranges of frames when one of them is taken out. */
function without(ranges: readonly FrameRange[], taken: FrameRange): FrameRange[] {
  return ranges
    .flatMap(({ start, end }) => [
      { start, end: Math.min(end, taken.start) },
      { start: Math.max(start, taken.end), end },
    ])
    .filter(({ start, end }) => end > start)
}
