import { type RandomNumbers, randomNumbers } from '../bits/random.ts'

/**
 * What a random script believes of its scratch pages, and operands that fit it. Xen alone decides what is true: a belief
 * makes requests that often mean something, which is all that it is for.
 */

/** A page's part: 0 for data, 1 to 4 for a table of that level. */
export type Role = 0 | 1 | 2 | 3 | 4

/** Choices by weight. */
export type Weights = Readonly<Record<string, number>>

const SLOTS = [0, 1, 2, 3, 7, 255, 256, 511]
/** Slots of a root: the guest's halves, their edges, and Xen's own. */
const ROOT_SLOTS = [0, 1, 2, 200, 255, 256, 257, 258, 260, 261, 271, 272, 300, 510]
/** Frames that are not the script's: Xen's, devices', no RAM, the kernel's live tables. */
const STRANGE = [
  'XPERD',
  'XM2PL3',
  'XTEXTL3',
  'M2PF',
  'NORAM',
  'LOWIO',
  'LAPIC',
  'IOAPIC',
  'INVAL',
  'm:0x0',
  'm:0x1',
]
const LIVE = ['KL1K', 'KL1P', 'KL1W', 'KL2', 'KL3', 'KL4', 'SHINFO']
const BASES: Weights = {
  'P|RW|US|A|D': 7,
  'P|US|A': 6,
  'P|US': 3,
  'P|RW': 3,
  P: 2,
  'P|RW|US': 4,
  'P|RW|A|D': 1,
  'P|US|D': 1,
}
/** Flags beside those: what each level may have is not the same. */
const EXTRAS: Weights = {
  NX: 6,
  G: 3,
  PSE: 2,
  PWT: 1,
  PCD: 2,
  AV0: 2,
  'AV1|AV2': 1,
  GK: 2,
  'GK|G': 1,
  b53: 1,
  b58: 1,
  b61: 1,
  b62: 0.5,
  D: 1,
  'PWT|PCD': 1,
  'PSE|PCD': 0.5,
  'PSE|PWT|PCD': 0.3,
}

export class RandomPages {
  readonly random: RandomNumbers
  readonly pages: readonly string[]
  readonly roles: Map<string, Role>
  /** How often something that Xen should refuse is asked for. */
  readonly wild: number

  constructor(seed: number, wild: number, count: number) {
    this.random = randomNumbers(Math.imul(seed, 0x9e37_79b1) ^ 0x5bd1_e995)
    this.wild = wild
    this.pages = Array.from({ length: count }, (_, i) => `p${i}`)
    // One page of every role for certain, then mostly leaves.
    this.roles = new Map(
      this.pages.map((page, i) => [
        page,
        i < 5 ? ((4 - i) as Role) : this.role({ 4: 1, 3: 1.5, 2: 2, 1: 4, 0: 4 }),
      ]),
    )
  }

  role(weights: Weights): Role {
    return Number(this.weighed(weights)) as Role
  }

  chance(probability: number): boolean {
    return this.random(2 ** 30) < probability * 2 ** 30
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)]
  }

  weighed(weights: Weights): string {
    const all = Object.entries(weights)
    let at = (this.random(2 ** 30) / 2 ** 30) * all.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of all) {
      at -= weight
      if (at < 0) return name
    }
    return all[0][0]
  }

  /** Pages of a role; where there are none, all. */
  of(role: Role): readonly string[] {
    const found = this.pages.filter((page) => this.roles.get(page) === role)
    return found.length > 0 ? found : this.pages
  }

  roleOf(page: string): Role {
    return this.roles.get(page) ?? 0
  }

  page(): string {
    return this.pick(this.pages)
  }

  /** A page that should be a table, and its level. */
  table(): readonly [page: string, level: Role] {
    const level = this.role({ 4: 1, 3: 1.5, 2: 2.5, 1: 5, 0: this.wild })
    const page = this.pick(this.of(level))
    return [page, this.roleOf(page)]
  }

  slot(level: Role): number {
    if (this.chance(0.05)) return this.random(512)
    return this.pick(level === 4 ? ROOT_SLOTS : SLOTS)
  }

  /** A frame that a script has no business with. */
  strange(): string {
    return this.pick(this.chance(0.7) ? STRANGE : LIVE)
  }

  /** What an entry of a table of `level` leads to. */
  target(level: Role): string {
    if (this.chance(this.wild)) return this.chance(0.3) ? this.strange() : this.page()
    if (level >= 2) return this.pick(this.of((level - 1) as Role))
    const data = this.of(0)
    return this.pick([...data, ...data, ...data, ...this.of(1), ...this.of(2)])
  }

  flags(level: Role): string {
    const base = this.weighed(BASES)
    // Upper levels have fewer flags that are allowed at all.
    if (!this.chance(this.wild * (level > 1 ? 0.6 : 1))) return base
    return `${base}|${this.weighed(EXTRAS)}`
  }

  /** An entry for a table of `level`: mostly one that it may have. */
  entry(level: Role): string {
    if (this.chance(0.15)) return '0'
    if (this.chance(0.02)) return `0x${(this.random(2 ** 31) * 2 ** 13 + this.random(2048) * 2).toString(16)}`
    const target = this.target(level)
    const role = this.roleOf(target)
    // Tables may be mapped read-only only, and a table of the same level is a linear mapping.
    const readOnly = level >= 2 ? role === level : role > 0
    const flags =
      readOnly && !this.chance(this.wild) ? this.pick(['P|US|A', 'P|US', 'P|NX', 'P']) : this.flags(level)
    return `${target}|${this.chance(0.02) ? 'US|A' : flags}`
  }

  /** An address: of the window, of the direct map, through tables that may be hooked, or of nothing. */
  va(): string {
    switch (this.weighed({ window: 5, direct: 3, hooked: 3, odd: 0.4 })) {
      case 'window':
        return `W${this.random(6)}${this.chance(0.1) ? `+${this.random(512) * 8}` : ''}`
      case 'direct':
        return `@${this.page()}`
      case 'hooked':
        return this.hooked()
      default:
        return this.pick([
          '0xffff800000000000',
          '0xffff830000000000',
          '0xffff87ffffffffff',
          '0x800000000000',
          '0x7fffffffffff',
          '0',
          '0xffffffffffffffff',
          'V:272.0.0.0',
          'V:511.511.0.0',
          'V:258.258.258.258',
        ])
    }
  }

  /** An address behind the slots of the root in which scripts hook tables of their own. */
  hooked(): string {
    const small = (): number => this.pick([0, 1, 2, 3])
    return `V:${this.pick([0, 1, 200, 200])}.${small()}.${small()}.${this.pick([0, 1, 2, 3, 7])}`
  }

  /** A foreign domain, seldom. */
  domain(): string {
    if (!this.chance(this.wild * 0.08)) return ''
    return ` dom=${this.pick(['IO', 'XEN', 'SELF', '0', '1', '5', '0x7ff4', '0x10000', '0x17ff0', '0x27ff0'])}`
  }
}
