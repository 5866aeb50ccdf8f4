import { OWNER_WORD, RECORD_WORDS, REFS_WORD } from '../../../machine/frames.ts'
import type { FrameRange } from '../../../machine/memory.ts'
import type { Domain } from '../../../xen/domain.ts'
import type { Hypervisor } from '../../../xen/hypervisor.ts'
import type { PackedReader } from './packed-stream.ts'

/**
 * The frames of a machine as a snapshot has them, by their numbers and not by where this process keeps them: records of
 * RAM, group by group, and of what Xen shares with the guest; then the numbers of the frames that are not all zeros, and
 * their bytes. Xen's own tables are made anew with the machine.
 *
 *     groups:  u32 type[65536] | u32 refs[65536] | u32 owner[65536], each
 *     shared:  u32 type, refs, owner, each
 *     frames:  u32 mfn[n], ascending | 4096 bytes[n]
 */
export const GROUP_FRAMES = 2 ** 16
/** Words of a record: its type, which is the first, its references, its owner. */
const WORDS = [0, REFS_WORD, OWNER_WORD]
const FRAME_BYTES = 4096
/** The first MiB is dom_io's, RAM or not, and stays so. */
export const FIRST_OWN_FRAME = 0x100

/** What of a machine is in a snapshot: groups of records by their numbers, frames by theirs. */
export type SavedFrames = { readonly groups: readonly number[]; readonly frames: Uint32Array }

/** One past the last frame of RAM that a guest can have: Xen's own ones lie behind it. */
export function endOfRam(xen: Hypervisor): number {
  return xen.host.xenHeap?.start ?? xen.maxPage
}

/** The RAM that a guest can have, in ascending ranges of frames. */
export function ownRanges(xen: Hypervisor): FrameRange[] {
  const end = endOfRam(xen)
  return xen.host.ram
    .map((range) => ({ start: Math.max(range.start, FIRST_OWN_FRAME), end: Math.min(range.end, end) }))
    .filter((range) => range.end > range.start)
}

/** What of the ranges lies in a group of records: pairs of places in the group, `end` exclusive. */
function partsIn(ranges: readonly FrameRange[], first: number): FrameRange[] {
  return ranges
    .map(({ start, end }) => ({
      start: Math.max(0, start - first),
      end: Math.min(GROUP_FRAMES, end - first),
    }))
    .filter(({ start, end }) => end > start)
}

/** Frames of Xen's own that it shares with the domain. */
export function sharedFrames(domain: Domain): number[] {
  return [domain.sharedInfo, ...domain.grantFrames]
}

/** What there is to save. */
export function framesOf(xen: Hypervisor, domain: Domain): SavedFrames {
  const { memory } = xen
  const groups: number[] = []
  const frames: number[] = []
  const isSaved = savedFrames(xen, domain)
  for (const [first, word, count] of memory.recordGroups()) {
    if (first < endOfRam(xen)) groups.push(first / GROUP_FRAMES)
    for (let i = 0; i < count; i++) {
      if (memory.hasContent(word + i * RECORD_WORDS) && isSaved(first + i)) frames.push(first + i)
    }
  }
  return { groups, frames: Uint32Array.from(frames) }
}

/** Whether the bytes of a frame are in snapshots: RAM, the M2P, and what is shared. */
function savedFrames(xen: Hypervisor, domain: Domain): (mfn: number) => boolean {
  const shared = new Set(sharedFrames(domain))
  const [ram, { m2p }] = [endOfRam(xen), xen]
  return (mfn) => mfn < ram || (mfn >= m2p.firstFrame && mfn < m2p.end) || shared.has(mfn)
}

/** The bytes of all that. */
export function* frameParts(xen: Hypervisor, domain: Domain, saved: SavedFrames): Generator<Uint8Array> {
  const { memory } = xen
  const words = memory.u32
  const ranges = ownRanges(xen)
  for (const group of saved.groups) {
    const first = group * GROUP_FRAMES
    const record = memory.record(first)
    for (const word of WORDS) {
      const plane = new Uint32Array(GROUP_FRAMES)
      for (const { start, end } of partsIn(ranges, first)) {
        for (let i = start; i < end; i++) plane[i] = words[record + i * RECORD_WORDS + word]
      }
      yield new Uint8Array(plane.buffer)
    }
  }
  const shared = sharedFrames(domain).flatMap((mfn) => {
    const record = memory.record(mfn)
    return WORDS.map((word) => words[record + word])
  })
  yield new Uint8Array(Uint32Array.from(shared).buffer)
  yield new Uint8Array(saved.frames.buffer, saved.frames.byteOffset, saved.frames.byteLength)
  for (const mfn of saved.frames) {
    const at = memory.frameWords(mfn) * 4
    yield memory.u8.subarray(at, at + FRAME_BYTES)
  }
}

/**
 * Put them into a machine that was made anew, whose domain has its shared frames. Null, or what cannot be: records and
 * numbers are not looked at beyond that, which is for `machineFault`.
 *
 * @param groups ascending
 * @param count of frames
 */
export function readFrames(
  reader: PackedReader,
  xen: Hypervisor,
  domain: Domain,
  groups: readonly number[],
  count: number,
): string | null {
  const { memory } = xen
  const words = memory.u32
  const ram = endOfRam(xen)
  const plane = new Uint32Array(GROUP_FRAMES)
  const ranges = ownRanges(xen)
  for (const group of groups) {
    const first = group * GROUP_FRAMES
    const record = first < ram ? memory.record(first) : -1
    if (record === -1) return 'it has records of frames that its machine does not have'
    for (const word of WORDS) {
      reader.read(new Uint8Array(plane.buffer))
      for (const { start, end } of partsIn(ranges, first)) {
        for (let i = start; i < end; i++) words[record + i * RECORD_WORDS + word] = plane[i]
        plane.fill(0, start, end)
      }
      if (plane.some((value) => value !== 0)) return "it has records of frames that are Xen's own"
    }
    // The M2P of a group begins without pfns; what is not saved is zeros.
    for (let i = 0; i < GROUP_FRAMES / 512; i++) memory.clearFrame(xen.m2p.firstFrame + first / 512 + i)
  }
  const shared = sharedFrames(domain)
  const sharedWords = new Uint32Array(shared.length * WORDS.length)
  reader.read(new Uint8Array(sharedWords.buffer))
  for (const [i, mfn] of shared.entries()) {
    const record = memory.record(mfn)
    for (const [n, word] of WORDS.entries()) words[record + word] = sharedWords[i * WORDS.length + n]
    memory.clearFrame(mfn)
  }
  return readContents(reader, xen, domain, count)
}

function readContents(reader: PackedReader, xen: Hypervisor, domain: Domain, count: number): string | null {
  const { memory } = xen
  const frames = new Uint32Array(count)
  reader.read(new Uint8Array(frames.buffer))
  const isSaved = savedFrames(xen, domain)
  let last = -1
  for (const mfn of frames) {
    if (mfn <= last || !isSaved(mfn) || memory.record(mfn) === -1) return 'it names frames that cannot be'
    last = mfn
  }
  for (const mfn of frames) {
    const at = memory.frameWords(mfn) * 4
    reader.read(memory.u8.subarray(at, at + FRAME_BYTES))
  }
  return null
}
