import { SLOTS } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { entryFrame, P } from '../../bits/pte.ts'
import {
  OWNER_FIRST_DOMAIN,
  OWNER_WORD,
  REF_COUNT,
  REFS_WORD,
  TYPE_COUNT,
  TYPE_PINNED,
  TYPE_SHIFT,
} from '../../machine/frames.ts'
import type { FrameRange } from '../../machine/memory.ts'
import { EventLog, grown } from '../../trace/event-log.ts'
import type { TraceEvent } from '../../trace/events.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { typeInTheWay } from '../../xen/refusal.ts'
import type { BootOptions } from '../boot/boot.ts'
import { type BootPlan, planBoot } from '../boot/boot-plan.ts'
import { runBoot } from '../boot/boot-run.ts'
import {
  type BufferAt,
  type FilmData,
  type Landmark,
  type LineAt,
  LOOK_HELD,
  LOOK_OWNER_SHIFT,
  LOOK_PINNED,
  LOOK_TYPED,
  type P2mRun,
  type Refusal,
} from './film.ts'

/** Flips between two keyframes at least: what a page flips in a few milliseconds. */
const KEYFRAME_FLIPS = 1 << 20
/** A byte a frame: 1 TiB of RAM is as much as a page can hold. */
const MOST_FRAMES = 2 ** 28

/**
 * Boot once and film it.
 *
 * @param progress is told how much of the guest's memory has been mapped, 0 to 1
 * @throws BadInput for options that cannot be
 */
export function makeFilm(options: BootOptions, progress: (part: number) => void = () => {}): FilmData {
  const plan = planBoot(options)
  const frames = plan.host.ram.reduce((sum, { start, end }) => sum + end - start, 0)
  if (frames > MOST_FRAMES)
    throw new BadInput(
      'the machine has more than 1 TiB of RAM, which is too much for a film; take a smaller map',
    )
  const camera = new Camera(plan, frames, progress)
  const run = runBoot(plan, { sink: (event) => camera.event(event), ready: (xen) => camera.ready(xen) })
  const { outcome, via, pfn } = run.ending
  return {
    schema: 1,
    linux: plan.generation.name,
    xen: plan.version.name,
    map: plan.mapName,
    outcome,
    via,
    pfn,
    nrPages: plan.nrPages,
    vEnd: plan.layout.vEnd,
    ranges: plan.host.ram,
    ...camera.finish(),
    stop: camera.stop(outcome, via),
  }
}

/**
 * Watches a run and notes how frames change. A frame's record changes only in a request that is about it: with an entry
 * that names it, as a table with all its entries, as a root, or when the heap gives or takes it. Those frames are looked at
 * when the request is over. A look at every frame, at each keyframe and at the end, finds what this would miss.
 */
class Camera {
  private readonly plan: BootPlan
  private readonly progress: (part: number) => void
  private readonly log = new EventLog()
  private readonly looks: Uint8Array
  private readonly keyframeFlips: number
  private flipped = new Uint32Array(1 << 16)
  private bits = new Uint8Array(1 << 16)
  private until = new Uint32Array(1 << 14)
  private flips = 0
  private late = 0
  private readonly keyframes: { flips: number; looks: Uint8Array }[] = []
  private p2m: P2mRun[] = []
  private readonly buffers: BufferAt[] = []
  private readonly lines: LineAt[] = []
  private readonly landmarks: Landmark[] = []
  private refusal: Refusal | null = null
  private lastFault = 0
  private seenRefusal: Hypervisor['refusal'] = null
  private refusalIsNew = false

  private xen!: Hypervisor
  /** What each slot of a table named when it was last looked at. */
  private readonly tables = new Map<number, Int32Array>()
  /** Tables whose type changed in the request that runs, and frames that the heap gave or took. */
  private changing: number[] = []
  private moved: number[] = []
  private root = 0
  private regions = 0

  constructor(plan: BootPlan, frames: number, progress: (part: number) => void) {
    this.plan = plan
    this.progress = progress
    this.looks = new Uint8Array(frames)
    // A keyframe of a large machine is large itself: there may be few of them.
    this.keyframeFlips = Math.max(KEYFRAME_FLIPS, frames >>> 1)
  }

  /** The machine is built and nothing has run on it. */
  ready(xen: Hypervisor): void {
    this.xen = xen
    xen.heap.observer = (mfn) => void this.moved.push(mfn)
    this.forEachRecord((index, mfn, record) => {
      this.looks[index] = this.lookOf(record)
      if (isTable(xen.memory.u32[record])) this.readTable(mfn, false)
    })
    this.p2m = p2mRuns(xen, this.plan.host.ram)
    this.root = xen.guestVcpu.root
    this.keyframes.push({ flips: 0, looks: this.looks.slice() })
  }

  event(event: TraceEvent): void {
    const n = this.log.columns.length + 1
    this.log.add(event)
    if (event.kind === 'type') {
      this.changing.push(event.mfn)
      this.look(event.mfn)
    } else if (event.kind === 'console') {
      this.lines.push({ event: n, source: event.source, text: event.text })
    } else if (event.kind !== 'fill') {
      // Stores change no record, and they are told of when the request that follows them is over.
      if (event.kind === 'fault') this.lastFault = n
      if (event.kind === 'linux') this.kernelSays(n, event.what, event.args)
      this.settle(event)
      this.noteRefusal(n, event)
    }
    if (n === this.until.length) this.until = grown(this.until)
    this.until[n] = this.flips
    const isSettled = event.kind === 'hypercall' || event.kind === 'ptwr'
    if (isSettled && this.flips - this.keyframes.at(-1)!.flips >= this.keyframeFlips) this.keyframe(n)
  }

  /** Where a boot that ended so is to be looked at. */
  stop(outcome: FilmData['outcome'], via: FilmData['via']): number {
    if (outcome === 'refused' && this.refusal !== null) return this.refusal.event
    if (via === 'page-fault' && this.lastFault > 0) return this.lastFault
    return this.log.columns.length
  }

  finish() {
    this.settle(null)
    const n = this.log.columns.length
    this.sweep(n)
    this.until[n] = this.flips
    this.xen.heap.observer = null
    const c = this.log.columns
    return {
      p2m: this.p2m,
      events: c,
      flipped: this.flipped.slice(0, this.flips),
      bits: this.bits.slice(0, this.flips),
      until: this.until.slice(0, n + 1),
      keyframes: this.keyframes,
      late: this.late,
      buffers: this.buffers,
      lines: this.lines,
      landmarks: this.landmarks,
      refusal: this.refusal,
    }
  }

  // ---- frames ----

  /** Look again at every frame that a request can have changed. */
  private settle(event: TraceEvent | null): void {
    const { xen } = this
    for (const mfn of this.changing) this.readTable(mfn, true)
    for (const mfn of this.moved) this.look(mfn)
    if (this.changing.length > 0) this.changing = []
    if (this.moved.length > 0) this.moved = []
    if (event === null || (event.kind !== 'hypercall' && event.kind !== 'ptwr')) return
    if (event.kind === 'ptwr') this.entryWritten(event.table, event.slot)
    else {
      const { table, slot, mfn } = event.args as { table?: number; slot?: number; mfn?: number }
      if (table !== undefined && slot !== undefined) this.entryWritten(table, slot)
      if (mfn !== undefined) this.look(mfn)
    }
    const { root } = xen.guestVcpu
    if (root !== this.root) {
      this.look(this.root)
      this.look(root)
      this.root = root
    }
  }

  private entryWritten(table: number, slot: number): void {
    this.look(table)
    const frames = this.tables.get(table)
    if (frames === undefined) return
    const frame = this.frameIn(table, slot)
    this.look(frames[slot])
    this.look(frame)
    frames[slot] = frame
  }

  /** Look at all that a table named and names. */
  private readTable(mfn: number, look: boolean): void {
    const record = this.xen.memory.record(mfn)
    if (record === -1) return
    let frames = this.tables.get(mfn)
    if (frames === undefined) {
      frames = new Int32Array(SLOTS).fill(-1)
      this.tables.set(mfn, frames)
    }
    if (look) this.look(mfn)
    for (let slot = 0; slot < SLOTS; slot++) {
      const frame = this.frameIn(mfn, slot)
      if (look) {
        if (frames[slot] !== frame) this.look(frames[slot])
        this.look(frame)
      }
      frames[slot] = frame
    }
    if (!isTable(this.xen.memory.u32[record])) this.tables.delete(mfn)
  }

  /** The frame that an entry names, or -1. */
  private frameIn(table: number, slot: number): number {
    const { memory } = this.xen
    const record = memory.record(table)
    if (record === -1 || !memory.isTouched(table)) return -1
    const at = memory.backing(record) + slot * 2
    if ((memory.u32[at] & P) === 0) return -1
    const frame = entryFrame(memory.u32[at], memory.u32[at + 1])
    return frame < 2 ** 31 ? frame : -1
  }

  private lastRange: FrameRange = { start: 0, end: 0 }
  private lastBase = 0

  private indexOf(mfn: number): number {
    if (mfn >= this.lastRange.start && mfn < this.lastRange.end)
      return this.lastBase + mfn - this.lastRange.start
    let base = 0
    for (const range of this.plan.host.ram) {
      if (mfn >= range.start && mfn < range.end) {
        this.lastRange = range
        this.lastBase = base
        return base + mfn - range.start
      }
      base += range.end - range.start
    }
    return -1
  }

  /** Note how a frame looks, if that is new. */
  private look(mfn: number): void {
    if (mfn < 0) return
    const index = this.indexOf(mfn)
    if (index === -1) return
    const record = this.xen.memory.record(mfn)
    if (record !== -1) this.flip(index, this.lookOf(record))
  }

  private flip(index: number, look: number): boolean {
    const bits = this.looks[index] ^ look
    if (bits === 0) return false
    if (this.flips === this.flipped.length) {
      this.flipped = grown(this.flipped)
      this.bits = grown(this.bits)
    }
    this.flipped[this.flips] = index
    this.bits[this.flips++] = bits
    this.looks[index] = look
    return true
  }

  private lookOf(record: number): number {
    const words = this.xen.memory.u32
    const type = words[record]
    const owner = words[record + OWNER_WORD] & 0xff
    const refs = words[record + REFS_WORD]
    // Bit 31 says that the allocation holds one of the references.
    const isHeld = (refs & REF_COUNT) > refs >>> 31
    return (
      (type >>> TYPE_SHIFT) |
      ((type & TYPE_PINNED) !== 0 ? LOOK_PINNED : 0) |
      ((type & TYPE_COUNT) !== 0 ? LOOK_TYPED : 0) |
      (isHeld ? LOOK_HELD : 0) |
      (Math.min(owner, OWNER_FIRST_DOMAIN) << LOOK_OWNER_SHIFT)
    )
  }

  /** Look at every frame. What is new was missed. */
  private sweep(n: number): void {
    this.forEachRecord((index, _mfn, record) => {
      if (this.flip(index, this.lookOf(record))) this.late++
    })
    this.until[n] = this.flips
  }

  private keyframe(n: number): void {
    this.sweep(n)
    this.keyframes.push({ flips: this.flips, looks: this.looks.slice() })
  }

  private forEachRecord(look: (index: number, mfn: number, record: number) => void): void {
    for (const [firstMfn, firstWord, count] of this.xen.memory.recordGroups()) {
      let base = 0
      for (const { start, end } of this.plan.host.ram) {
        const to = Math.min(end, firstMfn + count)
        for (let mfn = Math.max(start, firstMfn); mfn < to; mfn++) {
          look(base + mfn - start, mfn, firstWord + (mfn - firstMfn) * 4)
        }
        base += end - start
      }
    }
  }

  // ---- what else there is to see ----

  private kernelSays(n: number, what: string, args: Record<string, unknown>): void {
    const buffer = (what === 'pagetable_reserve' ? args : args.buffer) as BufferAt | undefined
    const last = this.buffers.at(-1)
    if (buffer !== undefined && buffer.top > 0) {
      const { start, end, top } = buffer
      if (last?.start !== start || last.end !== end || last.top !== top)
        this.buffers.push({ event: n, start, end, top })
    }
    if (LANDMARKS.has(what))
      this.landmarks.push({ event: n, key: `${what} ${args.address ?? args.bytes ?? args.base ?? ''}` })
    if (what === 'fill_region') {
      this.regions++
      if (this.regions % 64 === 0) this.progress(Math.min(1, (this.regions * SLOTS) / this.plan.nrPages))
    }
  }

  /** The refusal is known while the request is carried out; the request itself is told of when it ends. */
  private noteRefusal(n: number, event: TraceEvent): void {
    const { refusal } = this.xen
    if (refusal !== this.seenRefusal) this.refusalIsNew = true
    this.seenRefusal = refusal
    const fails = (event.kind === 'hypercall' && event.rc !== 0) || (event.kind === 'ptwr' && event.refused)
    if (!this.refusalIsNew || !fails) return
    this.refusalIsNew = false
    const frame = typeInTheWay(refusal)
    if (frame === null) return
    const { mfn, pfn, saw, exp } = frame
    this.refusal = { event: n, mfn, pfn, saw, exp }
  }
}

const LANDMARKS = new Set(['find_early_table_space', 'fill_region', 'pagetable_reserve', 'node_data'])

function isTable(type: number): boolean {
  const code = type >>> TYPE_SHIFT
  return code >= 1 && code <= 4 && (type & TYPE_COUNT) !== 0
}

/** The p2m in runs, by the M2P. */
function p2mRuns(xen: Hypervisor, ram: readonly FrameRange[]): P2mRun[] {
  const runs: { pfn: number; mfn: number; count: number }[] = []
  for (const [firstMfn, , count] of xen.memory.recordGroups()) {
    for (const { start, end } of ram) {
      for (let mfn = Math.max(start, firstMfn); mfn < Math.min(end, firstMfn + count); mfn++) {
        const pfn = xen.m2p.get(mfn)
        if (pfn < 0) continue
        const last = runs.at(-1)
        if (last !== undefined && last.mfn + last.count === mfn && last.pfn + last.count === pfn) last.count++
        else runs.push({ pfn, mfn, count: 1 })
      }
    }
  }
  return runs
}
