import { vaOf } from '../../bits/address.ts'
import { SymbolTable } from './symbol-table.ts'

/**
 * The symbols that a Linux kernel carries for its own messages, found in its ELF file, which is stripped: nothing says where
 * they are but their form. Linux: scripts/kallsyms.c. In the order of the file:
 *
 *     addresses u64[n], or offsets u32[n] and the base u64    (since 6.4 behind everything else)
 *     n         u32 or u64, in 8 bytes
 *     names     n times: length (one byte, or two if the first has bit 7), then as many numbers of tokens
 *     markers   u32[] or u64[]: where every 256th name begins
 *     order     3 bytes n times: the names in the order of the alphabet; in some versions, there or at the end
 *     tokens    256 strings, each with a zero
 *     index     u16[256]: where each token begins
 *
 * The index is looked for, as it is the most peculiar; everything else is found from there, backwards.
 */
const TOKENS = 256
const NAMES_PER_MARKER = 256
/** Each part begins on a multiple of this. */
const ALIGN = 8
/** Of the order of the names, and how many there can be. */
const SEQUENCE_BYTES = 3
const MOST_NAMES = 2 ** 20
/** Room for tokens that are longer than any are. */
const LONGEST_TOKEN = 128
/** Linux: KSYM_NAME_LEN. A kernel has a million of them at most, of thirty letters or so. */
const LONGEST_NAME = 512
const MOST_LETTERS = 2 ** 26
/**
 * Looks at the file that a search for the symbols may take, by its size. A kernel's of 50 MB are found with 300 000; what is
 * made to look like symbols all over must not take for ever.
 */
const LOOKS_A_BYTE = 1
const FREE_LOOKS = 2 ** 23

/** The kernel's own symbols, or null when it has none or keeps them in a way that is not known. */
export function readKallsyms(elf: Uint8Array): SymbolTable | null {
  try {
    return search(new Reader(elf))
  } catch (error) {
    if (error instanceof NoSymbols) return null
    throw error
  }
}

/** The search has come to its end, one way or the other. */
class NoSymbols extends Error {}

function search(file: Reader): SymbolTable | null {
  for (let index = findIndex(file, 0); index !== -1; index = findIndex(file, index + 4)) {
    const tokens = findTokens(file, index)
    if (tokens === -1) continue
    for (const markers of findMarkers(file, tokens)) {
      const names = findNames(file, markers)
      if (names === null) continue
      const addresses = readAddresses(file, names, index + TOKENS * 2)
      return addresses && new SymbolTable(readNames(file, names, addresses, tokens, index))
    }
  }
  return null
}

class Reader {
  readonly bytes: Uint8Array
  private readonly view: DataView
  private looksLeft: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.looksLeft = FREE_LOOKS + bytes.length * LOOKS_A_BYTE
  }

  u16(at: number): number {
    return this.view.getUint16(at, true)
  }

  u32(at: number): number {
    if (at < 0 || at + 4 > this.bytes.length || --this.looksLeft < 0) throw new NoSymbols()
    return this.view.getUint32(at, true)
  }

  /** So many looks are taken at once. */
  look(count: number): void {
    this.looksLeft -= count
    if (this.looksLeft < 0) throw new NoSymbols()
  }

  /** Of a number of 4 or 8 bytes; -1 for one that no table of names can have. */
  word(at: number, bytes: 4 | 8): number {
    return bytes === 8 && this.u32(at + 4) !== 0 ? -1 : this.u32(at)
  }

  /** A 64-bit address, -1 where it is not canonical. */
  va(at: number): number {
    return vaOf(this.u32(at), this.u32(at + 4))
  }
}

/** Where 256 numbers begin that ascend from 0 as the beginnings of short strings do; -1 for nowhere. */
function findIndex(file: Reader, from: number): number {
  const { bytes } = file
  const last = bytes.length - TOKENS * 2
  for (let at = Math.ceil(from / 4) * 4; at <= last; at += 4) {
    // Most places are ruled out by their first numbers: 0, then the length of a token.
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] < 2 || bytes[at + 3] !== 0) continue
    let i = 1
    while (i < TOKENS) {
      const step = file.u16(at + i * 2) - file.u16(at + (i - 1) * 2)
      if (step < 2 || step > LONGEST_TOKEN) break
      i++
    }
    if (i === TOKENS) return at
  }
  return -1
}

/** Where the tokens begin that an index is of: a zero before the beginning of each. */
function findTokens(file: Reader, index: number): number {
  const last = file.u16(index + (TOKENS - 1) * 2)
  for (let at = index - last - 2; at >= Math.max(0, index - last - LONGEST_TOKEN); at--) {
    let i = 1
    while (i < TOKENS && file.bytes[at + file.u16(index + i * 2) - 1] === 0) i++
    file.look(i)
    if (i === TOKENS && file.bytes[at] !== 0) return at
  }
  return -1
}

type Markers = { readonly at: number; readonly count: number; readonly last: number; readonly second: number }

/** Numbers that descend backwards to 0, each by what 256 names take. The order of the names may lie behind them. */
function* findMarkers(file: Reader, tokens: number): Generator<Markers> {
  const isStep = (step: number): boolean =>
    step >= NAMES_PER_MARKER * 2 && step <= NAMES_PER_MARKER * LONGEST_TOKEN
  const farthest = Math.max(ALIGN * 4, tokens - MOST_NAMES * SEQUENCE_BYTES)
  for (let end = tokens - (tokens % 4); end >= farthest; end -= 4) {
    for (const width of [4, 8] as const) {
      let at = end - width
      const last = file.word(at, width)
      let value = last
      while (value > 0 && at >= width) {
        const before = file.word(at - width, width)
        if (before < 0 || !isStep(value - before)) break
        value = before
        at -= width
      }
      const count = (end - at) / width
      if (value === 0 && count > 1) yield { at, count, last, second: file.word(at + width, width) }
    }
  }
}

type Names = { readonly at: number; readonly count: number }

/** Where the names begin: their number is before them, and the 257th is where the markers say. */
function findNames(file: Reader, { at: end, count, last, second }: Markers): Names | null {
  const farthest = end - last - NAMES_PER_MARKER * LONGEST_TOKEN
  for (let at = Math.floor((end - last) / 4) * 4; at >= Math.max(ALIGN, farthest); at -= 4) {
    const n = file.u32(at - ALIGN)
    if (Math.ceil(n / NAMES_PER_MARKER) !== count || n > MOST_NAMES) continue
    file.look(NAMES_PER_MARKER)
    let next = at
    for (let i = 0; i < NAMES_PER_MARKER; i++) next = afterName(file, next)
    if (next === at + second) return { at, count: n }
  }
  return null
}

function nameLength(file: Reader, at: number): readonly [length: number, header: number] {
  if (at + 1 >= file.bytes.length) throw new NoSymbols()
  const first = file.bytes[at]
  return first < 0x80 ? [first, 1] : [(first & 0x7f) | (file.bytes[at + 1] << 7), 2]
}

function afterName(file: Reader, at: number): number {
  const [length, header] = nameLength(file, at)
  return at + header + length
}

/** The addresses of all symbols, in the form that makes kernel addresses of all of them; -1 for those that have none. */
function readAddresses(file: Reader, { at, count }: Names, end: number): Float64Array | null {
  const number = at - ALIGN
  const padded = Math.ceil((count * 4) / ALIGN) * ALIGN
  const after = Math.ceil(end / ALIGN) * ALIGN
  const isKernel = (va: number): boolean => va >= 2 ** 47
  const absolute = number - count * 8
  // The last one alone may as well be the base of offsets.
  if (absolute >= 0 && isKernel(file.va(number - 8)) && isKernel(file.va(number - 16))) {
    return Float64Array.from({ length: count }, (_, i) => file.va(absolute + i * 8))
  }
  for (const offsets of [number - ALIGN - padded, after]) {
    const base = offsets + padded
    if (offsets < 0 || base + 8 > file.bytes.length || !isKernel(file.va(base))) continue
    return relative(file, offsets, count, file.va(base))
  }
  return null
}

/** Where one offset is negative, those that are not are numbers of their own: places in the area of each CPU. */
function relative(file: Reader, offsets: number, count: number, base: number): Float64Array {
  const values = Int32Array.from({ length: count }, (_, i) => file.u32(offsets + i * 4))
  const hasAbsolute = values.some((value) => value < 0)
  return Float64Array.from(values, (value) => {
    if (!hasAbsolute) return base + value
    return value < 0 ? base - 1 - value : -1
  })
}

function readNames(
  file: Reader,
  names: Names,
  addresses: Float64Array,
  tokens: number,
  index: number,
): (readonly [number, string])[] {
  const text = Array.from({ length: TOKENS }, (_, i) => {
    const start = tokens + file.u16(index + i * 2)
    const token = file.bytes.subarray(start, start + LONGEST_TOKEN)
    const end = token.indexOf(0)
    return Buffer.from(end === -1 ? token : token.subarray(0, end)).toString('latin1')
  })
  let letters = 0
  const symbols: (readonly [number, string])[] = []
  let at = names.at
  for (let i = 0; i < names.count; i++) {
    const [length, header] = nameLength(file, at)
    if (length > LONGEST_NAME || at + header + length > file.bytes.length) throw new NoSymbols()
    let name = ''
    for (let n = 0; n < length; n++) name += text[file.bytes[at + header + n]]
    at += header + length
    letters += name.length
    if (name.length > LONGEST_NAME || letters > MOST_LETTERS) throw new NoSymbols()
    // The first letter is the symbol's type.
    if (addresses[i] !== -1) symbols.push([addresses[i], name.slice(1)])
  }
  return symbols
}
