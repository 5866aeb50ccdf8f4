import type { RandomNumbers } from '../../../src/bits/random.ts'
import {
  CODE_PAGES,
  CODE_SLOTS,
  type Deed,
  PAGE,
  PLACE,
  type Program,
  TABLE_CODE_ENTRIES,
  TABLE_CODE_SLOT,
} from './program.ts'

/** Bytes before the end of a page in which code goes straight on. */
export const EDGE = 24
const INT3 = 0xcc
/** One byte each, and without memory: cmc, clc, stc, cbw, cwd, lahf, nop, cld, and exchanges with eax. */
export const SHORT = [0xf5, 0xf8, 0xf9, 0x98, 0x99, 0x9f, 0x90, 0x90, 0xfc, 0x93, 0x91]

/** Four bytes of an instruction that are known last: the way of a relative jump, of a call of a function, or an address. */
export type Hole = 'jump' | 'call' | AddressKind
/** An address to go to, to store to, and one to store to that is a multiple of 16. */
type AddressKind = 'target' | 'store' | 'aligned'
/** The bytes of an instruction. */
export type Piece = readonly (number | Hole)[]

/** What is said of a program when its code is there. */
type Finish = {
  readonly steps: number
  readonly data?: Uint8Array
  /** Offset of its first instruction; any when nothing is said. */
  readonly entry?: number
  /** Instructions until the next thing that somebody else does. */
  readonly pause: () => number
  readonly deed?: () => Deed
}

export function lengthOf(piece: Piece): number {
  return piece.reduce<number>((sum, byte) => sum + (typeof byte === 'number' ? 1 : 4), 0)
}

/** A program in the making. Jumps and stores get their addresses when all places are known. */
export class Draft {
  readonly random: RandomNumbers
  /** Offsets at which functions begin. */
  readonly functions: number[] = []
  private readonly code = new Uint8Array(CODE_PAGES * PAGE).fill(INT3)
  private readonly aliases: readonly number[]
  /** Offsets of instructions. */
  private readonly starts: number[] = []
  private readonly holes: { readonly at: number; readonly kind: Hole }[] = []

  constructor(random: RandomNumbers) {
    this.random = random
    this.aliases = Array.from({ length: CODE_SLOTS }, () => random(CODE_PAGES))
  }

  /** What has been put down, as a program that goes on for so many instructions and exceptions. */
  finish({ steps, data = new Uint8Array(0), entry, pause, deed = () => this.deed() }: Finish): Program {
    for (const { at, kind } of this.holes) this.code.set(bytesOf(this.filling(at, kind), 4), at)
    return {
      code: this.code,
      data,
      aliases: this.aliases,
      entry: PLACE.code + (entry ?? this.place()),
      handlers: Array.from({ length: 7 }, () => this.address('target')),
      events: Array.from({ length: 5 }, () => ({ after: pause(), deed: deed() })),
      calls: Array.from({ length: 5 }, deed),
      steps,
    }
  }

  private filling(at: number, kind: Hole): number {
    if (kind === 'jump') return this.place() - at - 4
    return kind === 'call' ? this.callee(at) - at - 4 : this.address(kind)
  }

  /** The function that a call leads to: mostly one behind it, so that most calls come back. */
  private callee(at: number): number {
    const later = this.functions.filter((start) => start > at)
    return this.pick(later.length === 0 || this.chance(8) ? this.functions : later)
  }

  chance(n: number): boolean {
    return this.random(n) === 0
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)]
  }

  /** Bytes to store over code: mostly code again. */
  newCode(count: number): number[] {
    return Array.from({ length: count }, () => (this.chance(8) ? this.random(256) : this.pick(SHORT)))
  }

  /** Put an instruction at an offset; one that would reach beyond the last page is left out. Returns the offset behind it. */
  put(at: number, piece: Piece): number {
    const length = lengthOf(piece)
    if (at + length > this.code.length) return this.code.length
    this.starts.push(at)
    let next = at
    for (const byte of piece) {
      if (typeof byte === 'number') this.code[next] = byte
      else this.holes.push({ at: next, kind: byte })
      next += typeof byte === 'number' ? 1 : 4
    }
    return next
  }

  /** Where an instruction begins, or near it; often one of those before the end of a page. */
  place(): number {
    const atEdges = this.starts.filter((at) => at % PAGE >= PAGE - EDGE)
    const start = this.pick(this.chance(3) ? atEdges : this.starts)
    return this.chance(12) ? Math.min(this.code.length - 1, start + this.random(4)) : start
  }

  /** A byte that an instruction across two pages may have, on either side. */
  nearBorder(): number {
    const at = this.random(CODE_PAGES) * PAGE + this.random(16) - 8
    return at < 0 ? at + this.code.length : at
  }

  address(kind: AddressKind): number {
    const { code, alias, readOnly, lazy, table, data } = PLACE
    if (kind === 'target') {
      if (this.chance(20)) return table + TABLE_CODE_SLOT * 8 + this.random(TABLE_CODE_ENTRIES) * 8
      return this.mapped(this.pick([code, code, alias, alias, readOnly, lazy]), this.place())
    }
    if (this.chance(12)) return data + this.random(2 * PAGE)
    const place = this.chance(4) ? this.nearBorder() : this.place()
    return this.mapped(this.pick([code, alias, readOnly, lazy]), kind === 'aligned' ? place & ~15 : place)
  }

  /** The address that a place has in one of the mappings. */
  private mapped(base: number, place: number): number {
    if (base !== PLACE.alias) return base + place
    const slot = this.aliases.indexOf(place >> 12)
    return slot === -1 ? PLACE.code + place : PLACE.alias + slot * PAGE + (place & (PAGE - 1))
  }

  /** Something that somebody else does. */
  deed(): Deed {
    const { random } = this
    const page = random(CODE_PAGES)
    const place = this.chance(3) ? this.nearBorder() : this.place()
    switch (random(10)) {
      case 0:
        return { kind: 'map', slot: random(CODE_SLOTS), page }
      case 1:
        return { kind: 'flush' }
      case 2:
        return { kind: 'unmap lazy' }
      case 3:
        return this.chance(8) ? { kind: 'clear', page } : { kind: 'look', page }
      case 4:
        return { kind: 'breakpoints', offsets: this.chance(2) ? [] : [this.place(), this.place(), place] }
      case 5:
      case 6:
        return { kind: 'look', page }
      default:
        return {
          kind: 'store',
          page: place >> 12,
          offset: place & (PAGE - 1),
          bytes: this.newCode(1 + random(4)),
        }
    }
  }
}

export function hex(digits: string): number[] {
  return [...Buffer.from(digits, 'hex')]
}

export function bytesOf(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) & 0xff)
}
