import { TYPE_NAMES } from '../../bits/type-word.ts'
import type { FrameRange } from '../../machine/memory.ts'
import { describeEvent } from '../../trace/describe.ts'
import { type EventColumns, type EventKind, eventAt, kindAt } from '../../trace/event-log.ts'
import type { BootResult } from '../boot/boot.ts'

/**
 * A boot as a film: how every frame of RAM looked after each of its events, and the events themselves. It is plain data,
 * made once by `makeFilm` and handed from a worker to a page; here is how it is read.
 *
 * A frame's look is one byte, and a change of it is the frame and the bits that flip. So the way back is the way forward,
 * and any moment is reached from the nearest keyframe by flipping what lies between.
 *
 *     7..6 owner (0 nobody, 1 dom_io, 2 Xen, 3 a guest) | 5 held by more than its allocation | 4 its type is in use |
 *     3 pinned | 2..0 type code
 */
export const LOOK_TYPE = 0x07
export const LOOK_PINNED = 0x08
export const LOOK_TYPED = 0x10
export const LOOK_HELD = 0x20
export const LOOK_OWNER_SHIFT = 6

/** What a frame is to somebody who looks at the whole machine; a free frame is the first. */
export const FRAME_CLASSES = [
  { name: 'free', says: 'nobody owns it' },
  { name: 'device', says: "dom_io's: the first MiB, and what is no RAM" },
  { name: 'xen', says: "Xen's own" },
  { name: 'unmapped', says: "the guest's; no entry of a table maps it" },
  { name: 'read-only', says: "the guest's, mapped read-only" },
  { name: 'writable', says: "the guest's, mapped writable by one entry or more" },
  { name: 'L1', says: 'a table of level 1, read-only for the guest' },
  { name: 'L2', says: 'a table of level 2' },
  { name: 'L3', says: 'a table of level 3' },
  { name: 'L4', says: 'a table of level 4: a root' },
  { name: 'descriptors', says: 'a page of segment descriptors' },
  { name: 'shared', says: 'shared with another domain' },
] as const

export type FrameClass = (typeof FRAME_CLASSES)[number]['name']

const [FREE, DEVICE, XEN, UNMAPPED, READ_ONLY, WRITABLE, TABLES] = [0, 1, 2, 3, 4, 5, 5]
const CLASS_OF_TYPE = [READ_ONLY, TABLES + 1, TABLES + 2, TABLES + 3, TABLES + 4, 10, 11, WRITABLE]

/** For each look the place of its class in FRAME_CLASSES. */
export const CLASS_OF_LOOK: Uint8Array = Uint8Array.from({ length: 256 }, (_, look) => {
  const owner = look >>> LOOK_OWNER_SHIFT
  if (owner < 3) return [FREE, DEVICE, XEN][owner]
  if ((look & LOOK_TYPED) !== 0) return CLASS_OF_TYPE[look & LOOK_TYPE]
  return (look & LOOK_HELD) !== 0 ? READ_ONLY : UNMAPPED
})

/** A run of the p2m as the domain was built: `count` pfns from `pfn` on have the frames from `mfn` on. */
export type P2mRun = { readonly pfn: number; readonly mfn: number; readonly count: number }

/** The buffer of early tables from an event on, in pfns. */
export type BufferAt = {
  readonly event: number
  readonly start: number
  readonly end: number
  readonly top: number
}

/** A line of the console, and the event that printed it. */
export type LineAt = {
  readonly event: number
  readonly source: BootResult['sources'][number]
  readonly text: string
}

/** Something that boots of different kernels have in common: the same key at different events. */
export type Landmark = { readonly event: number; readonly key: string }

/** Why the boot stopped: the last refusal, and the event in which the refused request ended. */
export type Refusal = {
  readonly event: number
  readonly mfn: number
  readonly pfn: number
  readonly saw: string
  readonly exp: string
}

/** A film, as it travels. */
export type FilmData = {
  readonly schema: 1
  readonly linux: string
  readonly xen: string
  readonly map: string | null
  readonly outcome: BootResult['outcome']
  readonly via: BootResult['via']
  /** Of a fault or a refusal: the frame that it was about; -1 for none. */
  readonly pfn: number
  readonly nrPages: number
  /** End of the initial mapping, bytes. */
  readonly vEnd: number
  /** Frames of RAM, in order: a frame's index counts through all ranges. */
  readonly ranges: readonly FrameRange[]
  readonly p2m: readonly P2mRun[]
  readonly events: EventColumns
  /** All flips in order; those of event `n` and before end at `until[n]`. */
  readonly flipped: Uint32Array
  readonly bits: Uint8Array
  readonly until: Uint32Array
  /** Whole states: how every frame looked after so many flips. The first is the machine as it was built. */
  readonly keyframes: readonly { readonly flips: number; readonly looks: Uint8Array }[]
  /** Flips that no event told of and a look at every frame found: none, unless a driver does what no boot does. */
  readonly late: number
  readonly buffers: readonly BufferAt[]
  readonly lines: readonly LineAt[]
  readonly landmarks: readonly Landmark[]
  readonly refusal: Refusal | null
  /** The event that it is about: the refused request, the fault that ended the kernel, or the last of all. */
  readonly stop: number
}

/** What can be stepped by: any event, a hypercall, a store of entries, a region of the direct map. */
export type Step = 'event' | 'hypercall' | 'entry' | 'region'

/**
 * An order in which frames are shown: the machine's, by mfn; or the guest's, by the pfn that each was given when the domain
 * was built, with what was nobody's behind it.
 */
export class FrameOrder {
  /** Frame by place, and place by frame, as indices; null: both are the same. */
  readonly frames: Uint32Array | null
  readonly places: Uint32Array | null

  constructor(frames: Uint32Array | null) {
    this.frames = frames
    this.places = frames === null ? null : new Uint32Array(frames.length)
    if (this.places !== null && frames !== null)
      for (let place = 0; place < frames.length; place++) this.places[frames[place]] = place
  }

  frameAt(place: number): number {
    return this.frames === null ? place : this.frames[place]
  }

  placeOf(frame: number): number {
    return this.places === null || frame < 0 ? frame : this.places[frame]
  }
}

/** A film with a place in it. */
export class Film {
  readonly data: FilmData
  /** How every frame looks now, by index. */
  readonly looks: Uint8Array
  private flips = 0
  /** The event after which the machine is shown; 0 is the machine as it was built. */
  at = 0

  constructor(data: FilmData) {
    this.data = data
    this.looks = data.keyframes[0].looks.slice()
  }

  get events(): number {
    return this.data.events.length
  }

  get frames(): number {
    return this.looks.length
  }

  /** Go to an event, either way. */
  seek(event: number): void {
    const { until, keyframes, flipped, bits } = this.data
    this.at = Math.max(0, Math.min(this.events, Math.round(event)))
    const wanted = until[this.at]
    let distance = Math.abs(wanted - this.flips)
    let from: (typeof keyframes)[number] | null = null
    for (const keyframe of keyframes) {
      // To copy a state costs as much as so many flips.
      const cost = Math.abs(wanted - keyframe.flips) + this.looks.length / 16
      if (cost < distance) {
        distance = cost
        from = keyframe
      }
    }
    if (from !== null) {
      this.looks.set(from.looks)
      this.flips = from.flips
    }
    const { looks } = this
    const low = Math.min(wanted, this.flips)
    const high = Math.max(wanted, this.flips)
    for (let i = low; i < high; i++) looks[flipped[i]] ^= bits[i]
    this.flips = wanted
  }

  /** The frames that change with the event that is shown, by index. */
  changed(): Uint32Array {
    const { until, flipped } = this.data
    return this.at === 0 ? new Uint32Array(0) : flipped.subarray(until[this.at - 1], until[this.at])
  }

  /** The next event of a step from the current one on, or the last one before it; the current one when there is none. */
  next(step: Step, way: 1 | -1): number {
    const { events } = this.data
    let n = this.at + way
    while (n > 0 && n <= this.events && !isStep(events, n, step)) n += way
    if (n === 0) return step === 'event' ? 0 : this.at
    return n < 0 || n > this.events ? this.at : n
  }

  describe(event: number): string {
    return event === 0 ? 'the machine as it was built' : describeEvent(eventAt(this.data.events, event))
  }

  kind(event: number): EventKind | 'built' {
    return event === 0 ? 'built' : kindAt(this.data.events, event)
  }

  /** The buffer of early tables as it now is, or null before there is one. */
  buffer(): BufferAt | null {
    const found = lastAt(this.data.buffers, this.at)
    return found === -1 ? null : this.data.buffers[found]
  }

  /** How many lines of the console have been printed. */
  linesShown(): number {
    return lastAt(this.data.lines, this.at) + 1
  }

  private readonly orders = new Map<'mfn' | 'pfn', FrameOrder>()

  /** The order of frames by one of their numbers. */
  order(by: 'mfn' | 'pfn'): FrameOrder {
    const known = this.orders.get(by)
    if (known !== undefined) return known
    const order = new FrameOrder(by === 'mfn' ? null : this.guestOrder())
    this.orders.set(by, order)
    return order
  }

  private guestOrder(): Uint32Array {
    const frames = new Uint32Array(this.frames)
    const isGuests = new Uint8Array(this.frames)
    let place = 0
    for (const { mfn, count } of this.data.p2m.toSorted((a, b) => a.pfn - b.pfn)) {
      const first = this.indexOf(mfn)
      if (first === -1) continue
      for (let i = 0; i < count; i++) {
        frames[place++] = first + i
        isGuests[first + i] = 1
      }
    }
    for (let index = 0; index < frames.length; index++) if (isGuests[index] === 0) frames[place++] = index
    return frames
  }

  /** Index of a frame, or -1 where the machine has no RAM. */
  indexOf(mfn: number): number {
    let base = 0
    for (const { start, end } of this.data.ranges) {
      if (mfn >= start && mfn < end) return base + mfn - start
      base += end - start
    }
    return -1
  }

  /** Whether the frame of the index before lies elsewhere. */
  isRangeStart(index: number): boolean {
    let base = 0
    for (const { start, end } of this.data.ranges) {
      if (base === index) return true
      base += end - start
    }
    return false
  }

  /** The frame of an index. */
  mfnOf(index: number): number {
    let base = 0
    for (const { start, end } of this.data.ranges) {
      if (index < base + end - start) return start + index - base
      base += end - start
    }
    return -1
  }

  /** The pfn that a frame had when the domain was built, or -1. */
  pfnOf(mfn: number): number {
    const run = this.data.p2m.find((r) => mfn >= r.mfn && mfn < r.mfn + r.count)
    return run === undefined ? -1 : run.pfn + mfn - run.mfn
  }

  /** The frame that a pfn had when the domain was built, or -1. */
  mfnOfPfn(pfn: number): number {
    const run = this.data.p2m.find((r) => pfn >= r.pfn && pfn < r.pfn + r.count)
    return run === undefined ? -1 : run.mfn + pfn - run.pfn
  }
}

/** A frame's look in words. */
export function lookWords(look: number): {
  class: FrameClass
  pinned: boolean
  type: string
  typed: boolean
} {
  return {
    class: FRAME_CLASSES[CLASS_OF_LOOK[look]].name,
    pinned: (look & LOOK_PINNED) !== 0,
    type: TYPE_NAMES[look & LOOK_TYPE],
    typed: (look & LOOK_TYPED) !== 0,
  }
}

function isStep(events: EventColumns, n: number, step: Step): boolean {
  if (step === 'event') return true
  const kind = kindAt(events, n)
  if (step === 'hypercall') return kind === 'hypercall'
  if (step === 'region') return kind === 'linux' && whatOf(events, n) === 'fill_region'
  return kind === 'fill' || kind === 'ptwr' || (kind === 'hypercall' && events.frame[n - 1] >= 0)
}

function whatOf(events: EventColumns, n: number): string {
  const event = eventAt(events, n)
  return event.kind === 'linux' ? event.what : ''
}

/** Place of the last element of a list in order of events that is not after an event; -1 when all are. */
export function lastAt(list: readonly { readonly event: number }[], event: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle].event <= event) low = middle + 1
    else high = middle
  }
  return low - 1
}
