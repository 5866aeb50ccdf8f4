import { nearest } from '../bits/bad-input.ts'
import { isNumber, parseNumber, type ScriptError, scriptError, type Word64 } from './words.ts'

/** An argument that stands for a number: a frame or an address. With a page, `lo` and `hi` are added to it. */
export type Argument = Word64 & {
  /** The page whose frame or address it is, or null when the number says it all. */
  readonly page: string | null
  /** The page stands for its frame, or for its address in the direct map. */
  readonly of: 'frame' | 'address'
}

/** A page-table entry: the frames of pages, joined with bits. */
export type Entry = Word64 & { readonly pages: readonly string[] }

/** Where a store or load goes: a byte of a page, by its direct map; an address; or a raw machine address. */
export type Place = Argument & { readonly kind: 'slot' | 'va' | 'machine' }

/** Flags by name, as bits of the two halves. */
const FLAGS: Readonly<Record<string, readonly [lo: number, hi: number]>> = {
  P: [1, 0],
  RW: [2, 0],
  US: [4, 0],
  PWT: [8, 0],
  PCD: [0x10, 0],
  A: [0x20, 0],
  D: [0x40, 0],
  PSE: [0x80, 0],
  PAT: [0x80, 0],
  G: [0x100, 0],
  AV0: [0x200, 0],
  AV1: [0x400, 0],
  AV2: [0x800, 0],
  GK: [0, 0x0010_0000],
  NX: [0, 0x8000_0000],
}

type Names = ReadonlySet<string>

function pageName(word: string, names: Names): string {
  const name = word.startsWith('$') ? word.slice(1) : word
  if (!names.has(name)) throw unknownPage(name, names)
  return name
}

function unknownPage(name: string, names: Names): ScriptError {
  const guess = nearest(name, names)
  return scriptError(
    `'${name}' is no page; ${guess ? `did you mean ${guess}?` : 'define it with: page NAME'}`,
  )
}

/** A frame: a page, `m:HEX` or a number. */
export function parseArgument(word: string, names: Names): Argument {
  if (word.startsWith('m:')) return { page: null, of: 'frame', ...parseNumber(hexed(word), 'm:HEX') }
  if (isNumber(word)) return { page: null, of: 'frame', ...parseNumber(word, 'a number') }
  return { page: pageName(word, names), of: 'frame', lo: 0, hi: 0 }
}

function hexed(word: string): string {
  return word.slice(2)
}

/** An address: `@A`, `@A+off`, `@A[5]`, `W3+off`, `V:l4.l3.l2.l1+off` or a number. */
export function parseVa(word: string, names: Names): Argument {
  if (word.startsWith('@')) {
    const { page, lo, hi } = parseSlot(word.slice(1), names)
    return { page, of: 'address', lo, hi }
  }
  const [base, offset, ...rest] = word.split('+')
  const off = offset === undefined ? { lo: 0, hi: 0 } : parseNumber(offset, 'an offset')
  if (rest.length > 0) throw scriptError(`'${word}' has two offsets`)
  const sum = (lo: number, hi: number): Argument => {
    const low = lo + off.lo
    return { page: null, of: 'address', lo: low >>> 0, hi: (hi + off.hi + (low >= 2 ** 32 ? 1 : 0)) >>> 0 }
  }
  if (/^W[0-9]/.test(base)) {
    const n = parseNumber(base.slice(1), 'a window page').lo
    return sum((WINDOW_LO + n * 4096) >>> 0, 0xffff_ffff)
  }
  const slots = /^V:(\w+)\.(\w+)\.(\w+)\.(\w+)$/.exec(base)
  if (slots !== null) {
    const [l4, l3, l2, l1] = slots.slice(1).map((s) => parseNumber(s, 'a slot').lo & 511)
    const lo = ((l3 << 30) | (l2 << 21) | (l1 << 12)) >>> 0
    return sum(lo, (((l4 & 256) !== 0 ? 0xffff_0000 : 0) | (l4 << 7) | (l3 >> 2)) >>> 0)
  }
  if (isNumber(base)) {
    const { lo, hi } = parseNumber(base, 'an address')
    return sum(lo, hi)
  }
  throw scriptError(`'${word}' is no address; write @PAGE, W0, V:4.3.2.1 or a number`)
}

/** Where the window begins, low half: 128 pages of address space with nothing mapped. */
export const WINDOW_LO = 0x8040_0000

/** A slot of a page, `A[5]` or `A+0x28`. */
function parseSlot(word: string, names: Names): { page: string; lo: number; hi: number } {
  const match = /^\$?([^[+]+)(?:\[([^\]]*)\]|\+(.*))?$/.exec(word)
  if (match === null) throw scriptError(`'${word}' is no slot; write A[5] or A+0x28`)
  const page = pageName(match[1], names)
  if (match[2] !== undefined) {
    const { lo } = parseNumber(match[2], 'a slot number')
    return { page, lo: (lo * 8) >>> 0, hi: 0 }
  }
  if (match[3] !== undefined) return { page, ...parseNumber(match[3], 'an offset') }
  return { page, lo: 0, hi: 0 }
}

/** A slot or an address; where `machine` is given, `ma:ADDRESS` too. */
export function parsePlace(word: string, names: Names, machine?: 'ma'): Place {
  if (machine !== undefined && word.startsWith('ma:')) {
    return { kind: 'machine', page: null, of: 'address', ...parseNumber(word.slice(3), 'ma:ADDRESS') }
  }
  const isVa = /^(@|V:|W[0-9]|-?[0-9])/.test(word)
  if (isVa && machine === undefined) return { kind: 'va', ...parseVa(word, names) }
  return { kind: 'slot', of: 'address', ...parseSlot(word, names) }
}

/**
 * An entry: parts joined by `|`. In the first part the name of a page wins over a flag of the same name, later the flag
 * wins; `$NAME` always is a page.
 */
export function parseEntry(word: string, names: Names): Entry {
  const pages: string[] = []
  let [lo, hi] = [0, 0]
  word.split('|').forEach((part, i) => {
    const bits = partBits(part, i === 0, names)
    if (bits === null) pages.push(pageName(part, names))
    else {
      lo = (lo | bits[0]) >>> 0
      hi = (hi | bits[1]) >>> 0
    }
  })
  return { pages, lo, hi }
}

/** The bits of a part of an entry; null when it is a page. */
function partBits(part: string, isFirst: boolean, names: Names): readonly [lo: number, hi: number] | null {
  if (part.startsWith('m:')) {
    const { lo, hi } = parseNumber(hexed(part), 'm:HEX')
    return [(lo << 12) >>> 0, ((hi << 12) | (lo >>> 20)) >>> 0]
  }
  if (/^b[0-9]/.test(part)) {
    const bit = parseNumber(part.slice(1), 'a bit').lo & 63
    return bit < 32 ? [(1 << bit) >>> 0, 0] : [0, (1 << (bit - 32)) >>> 0]
  }
  if (isNumber(part)) {
    const { lo, hi } = parseNumber(part, 'a number')
    return [lo, hi]
  }
  if (part.startsWith('$') || (isFirst && names.has(part))) return null
  const flag = FLAGS[part]
  if (flag !== undefined) return flag
  if (names.has(part)) return null
  const guess = nearest(part, [...Object.keys(FLAGS), ...names])
  throw scriptError(`'${part}' is neither a page nor a flag${guess ? `; did you mean ${guess}?` : ''}`)
}
