import { PAGE, roundUp, vaOf } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { NOTE, XenNotes } from './elf-notes.ts'

/**
 * A kernel's ELF image, as Xen's domain builder reads it: what goes where, and what its notes of the name "Xen" ask for.
 * Xen: common/libelf, public/elfnote.h. Addresses have 48 bits.
 */
export type Image = {
  /** Where the guest begins. */
  readonly entry: number
  /** The virtual address of pseudo-physical 0. */
  readonly virtBase: number
  /** What the image takes of the address space; both are multiples of a page. */
  readonly start: number
  readonly end: number
  /** The parts to load; memory beyond the bytes is zero. */
  readonly segments: readonly Segment[]
  /** The page that the guest wants filled with Xen's code for hypercalls. */
  readonly hypercallPage: number | null
  /** Where the guest wants its p2m list, outside of the initial mapping. */
  readonly initP2m: number | null
  /** The guest finds its initrd by its pfn: it need not be mapped. */
  readonly unmappedInitrd: boolean
  /** It does not say that it can be no dom0. */
  readonly canBeDom0: boolean
}

export type Segment = { readonly va: number; readonly bytes: Uint8Array; readonly memoryBytes: number }

const ELF_MAGIC = 0x464c_457f
const [CLASS_32, CLASS_64] = [1, 2]
const LITTLE_ENDIAN = 1
const X86_64 = 62
/** Types of program headers, and of sections. */
const PT = { load: 1, note: 4 } as const
const SHT_NOTE = 7
/** XENFEAT_dom0, bit 11 of the features that a kernel says it supports. */
const FEATURE_DOM0 = 1 << 11
const HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const SECTION_HEADER_BYTES = 64
const TWO_48 = 2 ** 48
/** Texts of notes are a word or a few. */
const MOST_SHOWN = 40

/** Whether a file is ELF of whatever kind. */
export function isElf(file: Uint8Array): boolean {
  return file.length >= 4 && new DataView(file.buffer, file.byteOffset, 4).getUint32(0, true) === ELF_MAGIC
}

/** Read an image. Throws BadInput for what is none, or is none for Xen. */
export function readImage(file: Uint8Array, source = 'kernel image'): Image {
  const bad = (why: string): never => {
    throw new BadInput(`${source}: ${why}; a 64-bit ELF kernel with Xen's notes is needed`)
  }
  if (!isElf(file)) bad('no ELF file')
  if (file[4] === CLASS_32) bad('a 32-bit kernel')
  if (file.length < HEADER_BYTES) bad('cut off in its header')
  const elf = new ElfReader(file)
  if (file[4] !== CLASS_64 || file[5] !== LITTLE_ENDIAN || elf.machine !== X86_64) bad('not for x86-64')
  const headers = elf.programHeaders() ?? bad('cut off in its program headers')
  const loads = headers.filter((h) => h.type === PT.load && h.memoryBytes > 0)
  if (headers.some((h) => h.offset + h.bytes > file.length)) bad('cut off in a segment')
  if (loads.length === 0) bad('nothing in it is to be loaded')
  const notes = notesOf(elf, headers) ?? bad('its notes lie over each other')
  const version = notes.text(NOTE.xenVersion)
  if (version !== 'xen-3.0')
    bad(version === undefined ? "it has no notes of Xen's" : `made for ${quoted(version)}, not xen-3.0`)
  const loader = notes.text(NOTE.loader)
  const isGeneric = loader === 'generic' || notes.text(NOTE.guestOs)?.startsWith('linux') === true
  if (loader !== undefined && !isGeneric) bad(`it wants the loader ${quoted(loader)}`)
  if (/!auto_translated_physmap/.test(notes.text(NOTE.features) ?? '')) bad('no PV kernel')

  // The image's physical addresses say where it goes: the virtual ones may be those of another part of its life.
  const virtBase = notes.address(NOTE.virtBase) ?? 0
  const shift = virtBase - (notes.address(NOTE.paddrOffset) ?? 0)
  const segments = loads.map(({ physical, offset, bytes, memoryBytes }) => ({
    va: physical === -1 ? -1 : (physical + shift + 2 * TWO_48) % TWO_48,
    bytes: file.subarray(offset, offset + bytes),
    memoryBytes,
  }))
  const start = segments.reduce((least, { va }) => Math.min(least, va), TWO_48)
  const end = segments.reduce((most, { va, memoryBytes }) => Math.max(most, va + memoryBytes), 0)
  const taken = segments.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
  const entry = notes.address(NOTE.entry) ?? elf.entry
  const isCut = segments.some((s) => s.va === -1 || s.memoryBytes < s.bytes.length)
  if (isCut || virtBase === -1 || virtBase % PAGE !== 0 || start < virtBase || end > TWO_48) {
    bad('a segment lies nowhere')
  }
  // Who loads them all writes each place twice at most.
  if (taken > 2 * (end - start)) bad('its segments lie over each other')
  if (entry < start || entry >= end) bad('its entry lies outside of it')
  const hypercallPage = notes.address(NOTE.hypercallPage) ?? null
  if (
    hypercallPage !== null &&
    (hypercallPage < start || hypercallPage % PAGE !== 0 || hypercallPage >= end)
  ) {
    bad('its hypercall page lies outside of it')
  }
  const p2m = notes.address(NOTE.initP2m)
  // One behind the virtual base, or not on a page, is as good as none.
  const initP2m = p2m === undefined || p2m === -1 || p2m >= virtBase || p2m % PAGE !== 0 ? null : p2m
  return {
    entry,
    virtBase,
    start: start - (start % PAGE),
    end: roundUp(end, PAGE),
    segments,
    hypercallPage,
    initP2m,
    unmappedInitrd: (notes.address(NOTE.modStartPfn) ?? 0) !== 0,
    canBeDom0: ((notes.word(NOTE.supportedFeatures) ?? FEATURE_DOM0) & FEATURE_DOM0) !== 0,
  }
}

/**
 * Notes are where the program headers say; else in sections of that type; else there is the section of former times. Null
 * where they have more bytes than the file: then they lie over each other, and to read them all could take for ever.
 */
function notesOf(elf: ElfReader, headers: readonly ProgramHeader[]): XenNotes | null {
  const notes = new XenNotes()
  let left = elf.bytes
  const read = (parts: readonly { readonly offset: number; readonly bytes: number }[]): void => {
    for (const { offset, bytes } of parts) {
      const part = elf.part(offset, bytes)
      left -= part.length
      if (left >= 0) notes.read(part)
    }
  }
  read(headers.filter(({ type }) => type === PT.note))
  if (notes.isEmpty) read(elf.sections().filter(({ type }) => type === SHT_NOTE))
  if (left < 0) return null
  if (!notes.isEmpty) return notes
  const legacy = elf.sections().find(({ name }) => elf.isText(name, '__xen_guest'))
  if (legacy !== undefined) notes.readLegacy(elf.part(legacy.offset, legacy.bytes))
  return notes
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text)
}

type ProgramHeader = {
  readonly type: number
  readonly offset: number
  /** The physical address, or -1 for one that is not canonical. */
  readonly physical: number
  readonly bytes: number
  readonly memoryBytes: number
}

type Section = {
  /** Where in the file its name begins. */
  readonly name: number
  readonly type: number
  readonly offset: number
  readonly bytes: number
}

/** The tables of a 64-bit ELF file. */
class ElfReader {
  private readonly file: Uint8Array
  private readonly view: DataView

  constructor(file: Uint8Array) {
    this.file = file
    this.view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  }

  get bytes(): number {
    return this.file.length
  }

  get machine(): number {
    return this.view.getUint16(18, true)
  }

  get entry(): number {
    return this.address(24)
  }

  /** Bytes of the file, as far as it has them. */
  part(offset: number, bytes: number): Uint8Array {
    return this.file.subarray(offset, offset + bytes)
  }

  /** Null when the file ends before they do. */
  programHeaders(): ProgramHeader[] | null {
    const at = this.number(32)
    const count = this.view.getUint16(56, true)
    if (at + count * PROGRAM_HEADER_BYTES > this.file.length) return null
    return Array.from({ length: count }, (_, i) => {
      const header = at + i * PROGRAM_HEADER_BYTES
      return {
        type: this.view.getUint32(header, true),
        offset: this.number(header + 8),
        physical: this.address(header + 24),
        bytes: this.number(header + 32),
        memoryBytes: this.number(header + 40),
      }
    })
  }

  /** None when the file ends before their headers do. */
  sections(): Section[] {
    const at = this.number(40)
    const count = this.view.getUint16(60, true)
    if (at + count * SECTION_HEADER_BYTES > this.file.length) return []
    const headers = Array.from({ length: count }, (_, i) => at + i * SECTION_HEADER_BYTES)
    const names = headers[this.view.getUint16(62, true)]
    const strings = names === undefined ? 0 : this.number(names + 24)
    return headers.map((header) => ({
      name: strings + this.view.getUint32(header, true),
      type: this.view.getUint32(header + 4, true),
      offset: this.number(header + 24),
      bytes: this.number(header + 32),
    }))
  }

  /** Whether a text and the zero behind it stand at a place. */
  isText(at: number, text: string): boolean {
    for (let i = 0; i <= text.length; i++) {
      if (this.file[at + i] !== (text.charCodeAt(i) || 0)) return false
    }
    return true
  }

  private number(at: number): number {
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32
  }

  private address(at: number): number {
    return vaOf(this.view.getUint32(at, true), this.view.getUint32(at + 4, true))
  }
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
