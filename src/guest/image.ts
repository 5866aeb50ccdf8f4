import { PAGE, vaOf } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'

/**
 * A kernel's ELF image, as Xen's domain builder reads it: what goes where, and the notes of the name "Xen", which say where
 * it begins. Xen: common/libelf, public/elfnote.h.
 */
export type Image = {
  /** Where the guest begins, a 48-bit address. */
  readonly entry: number
  /** The virtual address of pseudo-physical 0. */
  readonly virtBase: number
  /** The parts to load; memory beyond the bytes is zero. */
  readonly segments: readonly Segment[]
  /** Text of XEN_VERSION, GUEST_OS and LOADER, by their names. */
  readonly notes: ReadonlyMap<number, Uint8Array>
}

export type Segment = { readonly va: number; readonly bytes: Uint8Array; readonly memoryBytes: number }

/** Types of Xen's notes. */
export const NOTE = { entry: 1, virtBase: 3, xenVersion: 5, guestOs: 6, loader: 8 } as const

const MAGIC = 0x464c_457f
const CLASS_64 = 2
const LITTLE_ENDIAN = 1
const X86_64 = 62
const LOAD = 1
const NOTES = 4
const HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56

/** Read an image. Throws BadInput for what is none, or is none for Xen. */
export function readImage(file: Uint8Array, source = 'kernel image'): Image {
  const bad = (why: string): never => {
    throw new BadInput(`${source}: ${why}; a 64-bit ELF kernel with Xen's notes is needed`)
  }
  if (file.length < HEADER_BYTES) bad('too short')
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const is64 = view.getUint32(0, true) === MAGIC && file[4] === CLASS_64 && file[5] === LITTLE_ENDIAN
  if (!is64) bad('no 64-bit ELF file')
  if (view.getUint16(18, true) !== X86_64) bad('not for x86-64')
  const number = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  const address = (at: number): number => vaOf(view.getUint32(at, true), view.getUint32(at + 4, true))
  const headers = number(32)
  const count = view.getUint16(56, true)
  if (headers + count * PROGRAM_HEADER_BYTES > file.length) bad('cut off in its program headers')
  const segments: Segment[] = []
  const notes = new Map<number, Uint8Array>()
  for (let i = 0; i < count; i++) {
    const at = headers + i * PROGRAM_HEADER_BYTES
    const [type, offset, va] = [view.getUint32(at, true), number(at + 8), address(at + 16)]
    const [bytes, memoryBytes] = [number(at + 32), number(at + 40)]
    if (type !== LOAD && type !== NOTES) continue
    if (offset + bytes > file.length) bad('cut off in a segment')
    const content = file.subarray(offset, offset + bytes)
    if (type === NOTES) readNotes(content, notes)
    else if (memoryBytes > 0) segments.push({ va, bytes: content, memoryBytes })
  }
  if (segments.some((s) => s.va === -1 || s.memoryBytes < s.bytes.length)) bad('a segment lies nowhere')
  const entry = numberOf(notes.get(NOTE.entry)) ?? address(24)
  const virtBase = numberOf(notes.get(NOTE.virtBase)) ?? 0
  const version = textOf(notes.get(NOTE.xenVersion))
  if (version !== 'xen-3.0')
    bad(version === undefined ? 'no note XEN_VERSION' : `for ${JSON.stringify(version)}, not xen-3.0`)
  const holds = (s: Segment): boolean => entry >= s.va && entry < s.va + s.memoryBytes
  if (!segments.some(holds)) bad('its entry lies outside of it')
  return { entry, virtBase, segments, notes }
}

/** Notes: sizes of name and content, type, then both, each padded to four bytes. */
function readNotes(bytes: Uint8Array, notes: Map<number, Uint8Array>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const padded = (n: number): number => Math.ceil(n / 4) * 4
  for (let at = 0; at + 12 <= bytes.length; ) {
    const [nameBytes, contentBytes] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const start = at + 12 + padded(nameBytes)
    const isXen = textOf(bytes.subarray(at + 12, at + 12 + nameBytes)) === 'Xen'
    if (start + contentBytes > bytes.length) return
    if (isXen) notes.set(view.getUint32(at + 8, true), bytes.subarray(start, start + contentBytes))
    at = start + padded(contentBytes)
  }
}

function numberOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length < 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  const va = vaOf(view.getUint32(0, true), view.getUint32(4, true))
  return va === -1 ? undefined : va
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined
  // Longer than any that means something.
  const text = String.fromCharCode(...bytes.subarray(0, 64))
  return text.split('\0')[0]
}

/**
 * Put an image where it belongs.
 *
 * @param pageAt address, in the machine's memory, of the bytes of the page at a 48-bit address; -1 where nothing is mapped
 */
export function loadImage(
  image: Image,
  memory: Uint8Array,
  pageAt: (va: number) => number,
  source = 'kernel image',
): void {
  for (const { va, bytes, memoryBytes } of image.segments) {
    for (let done = 0; done < memoryBytes; ) {
      const offset = (va + done) % PAGE
      const length = Math.min(PAGE - offset, memoryBytes - done)
      const page = pageAt(va + done - offset)
      if (page === -1) throw new BadInput(`${source}: it is larger than the memory that the builder maps`)
      const part = bytes.subarray(done, done + length)
      memory.set(part, page + offset)
      memory.fill(0, page + offset + part.length, page + offset + length)
      done += length
    }
  }
}
