import type { Random } from '../../test/tools/random.ts'

/** What random programs name: frames, addresses, entries and numbers, plausible ones mostly. */

const TABLES = ['l1', 'l1', 'l1b', 'l2', 'l3', 'l4']
const SPECIAL = ['start', 'store', 'console', 'code', 'd', 'stack', 'p2m']
const NOT_OWN = ['shared', 'm2p', 'xenl3']
const FLAGS = [
  '0x67',
  '0x67',
  '0x67',
  '0x63',
  '0x61',
  '0x65',
  '0x65',
  '0x27',
  '0x7',
  '0x5',
  '0x1',
  '0',
  '0x66',
]
const ODD_FLAGS = [
  '0xe7',
  '0x6f',
  '0x77',
  '0x7f',
  '0xef',
  '0xff',
  '0x167',
  '0xe67',
  '0x8000000000000067',
  '0x8000000000000065',
  '0x10000000000067',
  '0x10000000000065',
  '0x4000000000000067',
  '0x7ff0000000000067',
  '0x1000000000067',
]
const ODD_ADDRESSES = [
  '0',
  '-1',
  '-8',
  '-4096',
  '0x7fffffffffff',
  '0x7ffffffffff8',
  '0x7ffffffff000',
  '0x800000000000',
  '0xffff7fffffffffff',
  '0xffff800000000000',
  '0xffff800000000ff8',
  '0xffff804000000000',
  '0xffff810000000000',
  '0xffff830000000000',
  '0xffff82d040200000',
  '0xffff87fffffffff8',
  '0xffff880000000000',
  '0x1000',
  '0xffffffff80000000',
]
const ODD_NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '7',
  '8',
  '63',
  '64',
  '255',
  '511',
  '512',
  '4095',
  '4096',
  '0x7ff0',
  '0x7fff',
  '0xffff',
  '0x7fffffff',
  '0x80000000',
  '0xffffffff',
  '0x100000000',
  '0x7fffffffffffffff',
  '0x8000000000000000',
  '-1',
  '-2',
  '-4096',
]

export class Values {
  readonly random: Random
  /** Programs that use few pages meet them in more than one role. */
  private readonly pages: number
  private dataAt = 0

  constructor(random: Random) {
    this.random = random
    this.pages = random.pick([2, 4, 8, 16])
  }

  once(n: number): boolean {
    return this.random.once(n)
  }

  pick<T>(items: readonly T[]): T {
    return this.random.pick(items)
  }

  upTo(n: number): number {
    return this.random.between(0, n)
  }

  page(): string {
    return `p${this.upTo(this.pages)}`
  }

  table(): string {
    return this.pick(TABLES)
  }

  /** A frame of the guest's, by name. */
  own(): string {
    const n = this.upTo(20)
    if (n < 11) return this.page()
    if (n < 15) return this.table()
    if (n < 17) return `f${this.upTo(4)}`
    return this.pick(SPECIAL)
  }

  frame(): string {
    return this.once(12) ? this.pick(NOT_OWN) : this.own()
  }

  mfn(): string {
    return this.once(16)
      ? this.pick([
          '0',
          '1',
          '0xfee00',
          '0xfec00',
          '0xffffffffff',
          '-1',
          '0x7fffffff',
          '0x80000000',
          '0x100000',
        ])
      : `${this.frame()}.mfn`
  }

  flags(): string {
    return this.once(6) ? this.pick(ODD_FLAGS) : this.pick(FLAGS)
  }

  entry(): string {
    if (this.once(8)) return '0'
    if (this.once(20)) return this.odd()
    return this.once(14)
      ? `${this.pick(['0', '0xfee00000', '0xfec00000', '0xffffffffff000', '0xb8000'])}+${this.flags()}`
      : `${this.frame()}.ma+${this.flags()}`
  }

  /** An offset in a page: that of an entry mostly. */
  offset(): number {
    const n = this.upTo(12)
    if (n < 6) return this.upTo(8) * 8
    if (n < 8) return this.upTo(512) * 8
    if (n === 8) return 4096 - this.upTo(16)
    if (n === 9) return this.pick([0xff8, 0x7f8, 0x800, 256 * 8, 260 * 8, 271 * 8, 272 * 8, 511 * 8])
    return this.upTo(4096)
  }

  /** An address that is mapped mostly. */
  address(): string {
    if (this.once(14)) return this.pick(ODD_ADDRESSES)
    if (this.once(10)) return `${this.page()}.pteva`
    return `${this.own()}+${this.offset()}`
  }

  /** The machine address of an entry, as a request of mmu_update has it. */
  slot(): string {
    const n = this.upTo(8)
    if (n < 3) return `${this.page()}.pte`
    if (n < 7)
      return `${this.once(3) ? this.page() : this.table()}.ma+${this.upTo(4) === 0 ? this.offset() & ~7 : this.upTo(8) * 8}`
    return `${this.frame()}.ma+${this.offset()}`
  }

  domain(): string {
    return this.once(6)
      ? this.pick(['0', '1', '2', '0x7ff1', '0x7ff2', '0x7ff4', '0x10001', '0x20000'])
      : '0x7ff0'
  }

  odd(): string {
    const n = this.upTo(4)
    if (n === 0) return `0x${this.random.bits().toString(16)}`
    if (n === 1)
      return `0x${this.random.bits().toString(16)}${this.random.bits().toString(16).padStart(8, '0')}`
    return this.pick(n === 2 ? ODD_NUMBERS : ODD_ADDRESSES)
  }

  small(): string {
    return String(this.upTo(4))
  }

  /** Anything that can be an argument. */
  any(): string {
    switch (this.upTo(8)) {
      case 0:
        return this.odd()
      case 1:
        return String(this.upTo(40))
      case 2:
        return this.mfn()
      case 3:
        return this.entry()
      case 4:
        return this.slot()
      default:
        return this.address()
    }
  }

  /** Room for `words` eight-byte words in the pages for data: an address of it. */
  room(words: number): string {
    // Six pages of the eight; what is longer than one wraps round.
    const LAST = 6 * 512
    if (this.dataAt + words > LAST) this.dataAt = 0
    const at = this.dataAt
    this.dataAt += Math.min(words, LAST)
    return `d+${at * 8}`
  }
}
