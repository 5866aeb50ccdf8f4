import type { RandomNumbers } from '../../../src/bits/random.ts'

/**
 * Random programs that change themselves while they run: in every way in which bytes that were decoded can become others.
 * They are as good as the number they are made from.
 */

export const PAGE = 4096
/** Pages of code, which lie one behind the other. */
export const CODE_PAGES = 4

/** Where a program's pages are mapped. The same pages of code are seen at four places. */
export const PLACE = {
  /** In their order, and the second once more behind the last. */
  code: 0x1000_0000,
  /** In the program's own order, which Xen changes. */
  alias: 0x1001_0000,
  /** Read-only: whoever handles page faults carries stores out, as Xen does for page tables. */
  readOnly: 0x1002_0000,
  /** Not there until they are touched. */
  lazy: 0x1003_0000,
  /** The page table of all these, read-only: it has code in entries that are not present. */
  table: 0x1004_0000,
  data: 0x1020_0000,
} as const

/** Pages of `code`, and of `alias`. */
export const CODE_SLOTS = CODE_PAGES + 1
/** Entries of the page table that hold code: slot of the first one, and how many. */
export const TABLE_CODE_SLOT = 256
export const TABLE_CODE_ENTRIES = 32
/** Instructions and exceptions that a program goes on for. */
const STEPS = 800

/** What somebody else than the guest does: between two instructions, or when the guest calls. */
export type Deed =
  | {
      readonly kind: 'store'
      readonly page: number
      readonly offset: number
      readonly bytes: readonly number[]
    }
  /** Look at a page, as Xen looks at what it shares with a guest. */
  | { readonly kind: 'look'; readonly page: number }
  | { readonly kind: 'map'; readonly slot: number; readonly page: number }
  | { readonly kind: 'unmap lazy' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'clear'; readonly page: number }
  /** Have execution stop at some places, or at none. */
  | { readonly kind: 'breakpoints'; readonly offsets: readonly number[] }

export type Program = {
  /** The bytes of the pages of code. */
  readonly code: Uint8Array
  /** The pages behind `PLACE.alias` at the beginning. */
  readonly aliases: readonly number[]
  readonly entry: number
  /** Addresses where exceptions lead, in turn. */
  readonly handlers: readonly number[]
  /** What is done after so many instructions since the last one, again and again from the first. */
  readonly events: readonly { readonly after: number; readonly deed: Deed }[]
  /** What system calls do, by rax modulo their number. */
  readonly calls: readonly Deed[]
  /** Instructions and exceptions after which it is over. */
  readonly steps: number
}

/** Bytes before the end of a page in which code goes straight on. */
const EDGE = 24
/** Bytes of code before and behind each border of two pages; the rest of the pages is int3. */
const ZONE = 120
const INT3 = 0xcc
/** One byte each, and without memory: cmc, clc, stc, cbw, cwd, lahf, nop, cld, and exchanges with eax. */
const SHORT = [0xf5, 0xf8, 0xf9, 0x98, 0x99, 0x9f, 0x90, 0x90, 0xfc, 0x93, 0x91]

export function makeProgram(random: RandomNumbers): Program {
  return new Draft(random).finish()
}

/** Four bytes of an instruction that are known last: the way of a relative jump, or an address. */
type Hole = 'jump' | AddressKind
/** An address to go to, to store to, and one to store to that is a multiple of 16. */
type AddressKind = 'target' | 'store' | 'aligned'
type Piece = readonly (number | Hole)[]

/** A program in the making. Jumps and stores get their addresses when all places are known. */
class Draft {
  readonly random: RandomNumbers
  private readonly code = new Uint8Array(CODE_PAGES * PAGE).fill(INT3)
  private readonly aliases: readonly number[]
  /** Offsets of instructions. */
  private readonly starts: number[] = []
  private readonly holes: { readonly at: number; readonly kind: Hole }[] = []

  constructor(random: RandomNumbers) {
    this.random = random
    this.aliases = Array.from({ length: CODE_SLOTS }, () => random(CODE_PAGES))
  }

  finish(): Program {
    const { random } = this
    for (let border = 0; border <= CODE_PAGES; border++) {
      this.fill(Math.max(0, border * PAGE - ZONE), Math.min(this.code.length, border * PAGE + ZONE))
    }
    for (const { at, kind } of this.holes) {
      this.code.set(bytesOf(kind === 'jump' ? this.place() - at - 4 : this.address(kind), 4), at)
    }
    return {
      code: this.code,
      aliases: this.aliases,
      entry: PLACE.code + this.place(),
      handlers: Array.from({ length: 7 }, () => this.address('target')),
      events: Array.from({ length: 5 }, () => ({
        after: 1 + random(this.chance(2) ? 8 : 90),
        deed: this.deed(),
      })),
      calls: Array.from({ length: 5 }, () => this.deed()),
      steps: STEPS,
    }
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

  /** Instructions from one offset to another; what would reach beyond the last page is left out. */
  private fill(from: number, to: number): void {
    let at = from
    while (at < to) {
      // Up to the end of a page nothing leads away, so that what lies across it is executed.
      const isAtEdge = at % PAGE >= PAGE - EDGE
      const make = this.pick(isAtEdge ? STRAIGHT : SNIPPETS)
      for (const piece of make(this)) at = this.put(at, piece)
    }
  }

  private put(at: number, piece: Piece): number {
    const length = piece.reduce<number>((sum, byte) => sum + (typeof byte === 'number' ? 1 : 4), 0)
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
  private place(): number {
    const atEdges = this.starts.filter((at) => at % PAGE >= PAGE - EDGE)
    const start = this.pick(this.chance(3) ? atEdges : this.starts)
    return this.chance(12) ? Math.min(this.code.length - 1, start + this.random(4)) : start
  }

  /** A byte that an instruction across two pages may have, on either side. */
  private nearBorder(): number {
    const at = this.random(CODE_PAGES) * PAGE + this.random(16) - 8
    return at < 0 ? at + this.code.length : at
  }

  private address(kind: AddressKind): number {
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

  private deed(): Deed {
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

type Snippet = (d: Draft) => readonly Piece[]

/** Instructions that go on with the next one. */
const STRAIGHT: readonly Snippet[] = [
  // mov of 1, 2, 4 and 8 bytes
  (d) => [[0xc6, 0x04, 0x25, 'store', ...d.newCode(1)]],
  (d) => [[0x66, 0xc7, 0x04, 0x25, 'store', ...d.newCode(2)]],
  (d) => [[0xc7, 0x04, 0x25, 'store', ...d.newCode(4)]],
  (d) => [
    [0x48, 0xb8, ...d.newCode(8)],
    [0x48, 0x89, 0x04, 0x25, 'store'],
  ],
  // mov to what follows at once
  (d) => [[0xc6, 0x05, d.random(12), 0, 0, 0, ...d.newCode(1)]],
  // inc, xchg, cmpxchg, xadd
  (d) => [[...d.pick(['fe04', '488704', 'f00fb10c', '0fc104'].map(hex)), 0x25, 'store']],
  // bts, btr and btc, whose bit is anywhere
  (d) => [
    [0xb8, d.random(256), 0, 0, 0],
    [0x0f, d.pick([0xab, 0xb3, 0xbb]), 0x04, 0x25, 'store'],
  ],
  // movups, movq, movhps
  (d) => [[...d.pick(['0f1104', '660fd604', '0f1704'].map(hex)), 0x25, 'store']],
  // movdqa, fxsave, cmpxchg16b
  (d) => [[...d.pick(['660f7f04', '0fae04', '480fc70c'].map(hex)), 0x25, 'aligned']],
  // fnstenv, fnsave, fnstcw, fstp of 8 and of 10 bytes
  (d) => [[...d.pick(['d934', 'dd34', 'd93c', 'dd1c', 'db3c'].map(hex)), 0x25, 'store']],
  // inc of a register, and what two registers do
  (d) => [[0xff, 0xc0 + d.pick(REGISTERS)]],
  (d) => [[0x48, d.pick(hex('01293111210987')), 0xc0 + d.pick(REGISTERS) * 8 + d.random(4)]],
  (d) => [[d.pick(SHORT)]],
  (d) => [[d.pick(SHORT)]],
]

const SNIPPETS: readonly Snippet[] = [
  ...STRAIGHT,
  repeated,
  repeated,
  // The stack, in data or in code: what enter, call and push store.
  (d) => [
    [0x48, 0xc7, 0xc4, 'store'],
    d.pick<Piece>([[0xc8, d.random(32), 0, d.random(4)], [0xe8, 'jump'], [0x50 + d.pick(REGISTERS)]]),
  ],
  // jmp, call, jcc
  (d) => [[d.pick([0xe9, 0xe8]), 'jump']],
  (d) => [[0x0f, 0x80 + d.random(16), 'jump']],
  // cmp or test and a jump: they are one record.
  (d) => [d.pick(['39d8', '85c9', '4839ca'].map(hex)), [0x70 + d.random(16), d.random(40)]],
  // jmp and call through a register
  (d) => [
    [0xb8, 'target'],
    [0xff, d.pick([0xe0, 0xd0])],
  ],
  // ret, loop, jmp
  (d) => [d.pick([[0xc3], [0xe2, 0x100 - d.random(30)], [0xeb, d.random(30)]])],
  // A system call.
  (d) => [[0xb8, d.random(16), 0, 0, 0], hex('0f05')],
  // cpuid, rdtsc, pushf, popf, hlt, ud2, int3, leave
  (d) => [d.pick(['0fa2', '0f31', '9c', '9d', 'f4', '0f0b', 'cc', 'c9'].map(hex))],
  // Anything.
  (d) => [Array.from({ length: 1 + d.random(3) }, () => d.random(256))],
]

/** Registers that nothing depends on: eax, ecx, edx, ebx and ebp. */
const REGISTERS = [0, 1, 2, 3, 5]

/** String instructions over code, forward and backward, with few elements or many. */
function repeated(d: Draft): Piece[] {
  const count = d.chance(4) ? d.random(2) * 2 ** 31 : d.random(d.chance(3) ? 5000 : 20)
  const isBackward = d.chance(4)
  return [
    [0x48, 0xc7, 0xc7, 'store'],
    [0x48, 0xc7, 0xc6, 'store'],
    [0xb9, ...bytesOf(count, 4)],
    [0xb8, ...d.newCode(4)],
    ...(isBackward ? [[0xfd]] : []),
    [
      ...(d.chance(5) ? [] : [0xf3]),
      ...(d.chance(2) ? [0x48] : []),
      d.pick([0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xaf, 0xac]),
    ],
    ...(isBackward ? [[0xfc]] : []),
  ]
}

function hex(digits: string): number[] {
  return [...Buffer.from(digits, 'hex')]
}

function bytesOf(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) & 0xff)
}
