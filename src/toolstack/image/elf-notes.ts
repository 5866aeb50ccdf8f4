import { vaOf } from '../../bits/address.ts'

/** Types of the notes of the name "Xen": Xen's public/elfnote.h. */
export const NOTE = {
  entry: 1,
  hypercallPage: 2,
  virtBase: 3,
  paddrOffset: 4,
  xenVersion: 5,
  guestOs: 6,
  loader: 8,
  features: 10,
  initP2m: 15,
  modStartPfn: 16,
  supportedFeatures: 17,
} as const

/** Texts of notes, and the section of former times, are a few words. */
const MOST_TEXT = 4096

/** What an image says of itself to Xen, by the types of its notes. */
export class XenNotes {
  private readonly contents = new Map<number, Uint8Array>()

  get isEmpty(): boolean {
    return this.contents.size === 0
  }

  /** Read notes: sizes of name and content, type, then both, each padded to four bytes. */
  read(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const padded = (n: number): number => Math.ceil(n / 4) * 4
    for (let at = 0; at + 12 <= bytes.length; ) {
      const [nameBytes, contentBytes] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
      const start = at + 12 + padded(nameBytes)
      if (start + contentBytes > bytes.length) return
      const isXen = textOf(bytes.subarray(at + 12, at + 12 + nameBytes)) === 'Xen'
      if (isXen) this.contents.set(view.getUint32(at + 8, true), bytes.subarray(start, start + contentBytes))
      at = start + padded(contentBytes)
    }
  }

  /**
   * Read the section `__xen_guest`, which images had before there were notes: `NAME=value` with commas between. There
   * the physical addresses of the image are virtual ones unless it says otherwise.
   */
  readLegacy(bytes: Uint8Array): void {
    const words = textOf(bytes)
      .split(',')
      .map((word) => word.trim().split('='))
    const given = new Map(words.map(([name, value = '']) => [name, value]))
    const text = (type: number, name: string): void => {
      const value = given.get(name)
      if (value !== undefined) this.contents.set(type, new TextEncoder().encode(value))
    }
    const number = (type: number, value: bigint | null): void => {
      if (value === null) return
      const content = new Uint8Array(8)
      new DataView(content.buffer).setBigUint64(0, BigInt.asUintN(64, value), true)
      this.contents.set(type, content)
    }
    const virtBase = integer(given.get('VIRT_BASE'))
    const page = integer(given.get('HYPERCALL_PAGE'))
    text(NOTE.guestOs, 'GUEST_OS')
    text(NOTE.xenVersion, 'XEN_VER')
    text(NOTE.loader, 'LOADER')
    text(NOTE.features, 'FEATURES')
    number(NOTE.virtBase, virtBase)
    number(NOTE.paddrOffset, integer(given.get('ELF_PADDR_OFFSET')) ?? virtBase)
    number(NOTE.entry, integer(given.get('VIRT_ENTRY')))
    // A page's number, from the virtual base on.
    number(NOTE.hypercallPage, page === null ? null : (virtBase ?? 0n) + page * 4096n)
  }

  text(type: number): string | undefined {
    const content = this.contents.get(type)
    return content === undefined ? undefined : textOf(content)
  }

  /** A note's bits, the low 32 of them; undefined where there is none. */
  word(type: number): number | undefined {
    const content = this.contents.get(type)
    if (content === undefined) return undefined
    return content.slice(0, 4).reduceRight((word, byte) => (word << 8) | byte, 0)
  }

  /** A note's number as a 48-bit address; undefined where there is none, -1 where it is not canonical. */
  address(type: number): number | undefined {
    const content = this.contents.get(type)
    if (content === undefined) return undefined
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
    if (content.length >= 8) return vaOf(view.getUint32(0, true), view.getUint32(4, true))
    if (content.length >= 4) return view.getUint32(0, true)
    return content.length >= 2 ? view.getUint16(0, true) : (content[0] ?? 0)
  }
}

function textOf(bytes: Uint8Array): string {
  const text = bytes.subarray(0, MOST_TEXT)
  const end = text.indexOf(0)
  return String.fromCharCode(...(end === -1 ? text : text.subarray(0, end)))
}

/** A number as C writes it, or null for none. */
function integer(text: string | undefined): bigint | null {
  return text !== undefined && /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? BigInt(text) : null
}
