import type { RandomPages, Role, Weights } from './random-pages.ts'

/** The root of the probe's process: it is kept apart, so that there is always a user mode to go to. */
export const USER = 'user'
/** The entry of a root that maps the kernel. */
export const TO_KERNEL = 'KL3|P|RW|US|A|D'

/** Random operations: each is a line of a script, or some lines that belong together. */
export class RandomOperations {
  private readonly pages: RandomPages
  /** Roots that should map the kernel. */
  private readonly kernels = new Set<string>()

  constructor(pages: RandomPages) {
    this.pages = pages
  }

  /** The next operation, its sort chosen by weight. */
  next(weights: Weights): string | string[] {
    const { pages } = this
    const page = pages.page()
    switch (pages.weighed(weights)) {
      case 'remap':
        return this.remap(page)
      case 'set': {
        const [table, level] = pages.table()
        return this.set(table, level)
      }
      case 'mmu':
        return `${this.mmu()}${pages.domain()}`
      case 'batch':
        return `${this.list(2, 6, () => this.mmu()).replaceAll(', mmu ', ', ')}${pages.domain()}`
      case 'pin':
        return `${this.pin()}${pages.domain()}`
      case 'unpin':
        return `${this.unpin()}${pages.domain()}`
      case 'extBatch':
        return this.list(2, 5, () => this.ext())
      case 'uvm':
        return `${this.uvm()}${pages.domain()}`
      case 'hierarchy':
        return this.hierarchy()
      case 'hook':
        return this.hook()
      case 'through':
        return this.through()
      case 'get':
        return `get ${pages.chance(0.7) ? `${page}[${pages.slot(1)}]` : pages.va()}`
      case 'base':
        return this.base(page)
      case 'userBase':
        return this.userBase()
      case 'clear':
        return `clear ${pages.chance(0.05) ? pages.strange() : page}`
      case 'copy':
        return `copy ${page} ${pages.chance(0.05) ? pages.pick(['NORAM', 'XPERD', 'KL3']) : pages.page()}`
      case 'emulated':
        return this.emulated()
      case 'segments':
        return this.segments(page)
      case 'memory':
        return this.memory(page)
      case 'multi':
        return `multi ${this.list(1, 6, () => this.call())}${pages.domain()}`
      case 'user':
        return this.user()
      case 'flush':
        return this.flush(page)
      case 'm2p':
        return this.m2p(page)
      case 'assist':
        return pages.chance(0.7) ? 'assist 0 2' : pages.pick(['assist 1 2', 'assist 0 1', 'assist 2 2'])
      case 'odd':
        return this.odd(page)
      default:
        pages.roles.set(page, pages.role({ 4: 1, 3: 1, 2: 2, 1: 3, 0: 3 }))
        return []
    }
  }

  /** Some texts with commas between them. */
  list(low: number, high: number, text: () => string): string {
    const count = low + this.pages.random(high - low)
    return Array.from({ length: count }, text).join(' , ')
  }

  remap(page: string): string {
    const { pages } = this
    const isTable = pages.roleOf(page) > 0
    const right = pages.chance(1 - pages.wild)
    return `${pages.chance(0.1) ? 'unmap' : isTable === right ? 'ro' : 'rw'} ${page}`
  }

  set(table: string, level: Role): string {
    return `set ${table}[${this.pages.slot(level)}] = ${this.pages.entry(level)}`
  }

  /** Give a root the kernel's half. */
  mapKernel(root: string): string {
    this.kernels.add(root)
    return `set ${root}[511] = ${TO_KERNEL}`
  }

  mmu(): string {
    const { pages } = this
    const [table, level] = pages.table()
    const suffix = pages.chance(0.12)
      ? ' ad'
      : pages.chance(pages.wild * 0.1)
        ? pages.pick([' notrans', ' cmd4'])
        : ''
    if (pages.chance(0.04)) return `mmu KL1W[${pages.random(6)}] = ${pages.entry(1)}${suffix}`
    if (pages.chance(pages.wild * 0.06))
      return `mmu ${pages.pick(['XPERD', 'M2PF', 'LOWIO'])}[3] = ${pages.entry(1)}`
    return `mmu ${table}[${pages.slot(level)}] = ${pages.entry(level)}${suffix}`
  }

  pin(): string {
    const { pages } = this
    if (pages.chance(pages.wild * 0.1)) return `pin${1 + pages.random(4)} ${pages.strange()}`
    const [table, level] = pages.table()
    const right = level > 0 && pages.chance(1 - pages.wild / 2)
    return `pin${right ? level : 1 + pages.random(4)} ${table}`
  }

  unpin(): string {
    const { pages } = this
    return `unpin ${pages.chance(pages.wild * 0.1) ? pages.strange() : pages.chance(0.8) ? pages.table()[0] : pages.page()}`
  }

  uvm(): string {
    const { pages } = this
    const flush = pages.chance(0.3) ? ` ${pages.pick(['none', 'tlb', 'inv', 'tlball', 'invall'])}` : ''
    return `uvm ${pages.va()} = ${pages.entry(1)}${flush}`
  }

  /** An operation of mmuext_op, for lists. */
  ext(): string {
    const { pages } = this
    switch (pages.weighed({ pin: 5, unpin: 5, clear: 2, copy: 1, flush: 2, user: 1 })) {
      case 'pin':
        return this.pin()
      case 'unpin':
        return this.unpin()
      case 'clear':
        return `clear ${pages.page()}`
      case 'copy':
        return `copy ${pages.page()} ${pages.page()}`
      case 'user':
        return `ubaseptr ${USER}`
      default:
        return this.flush(pages.page())
    }
  }

  /** A call of a multicall. */
  call(): string {
    return this.pages.weighed({ mmu: 5, ext: 3, uvm: 3 }) === 'mmu'
      ? this.mmu()
      : this.pages.chance(0.5)
        ? this.ext()
        : this.uvm()
  }

  /**
   * Tables from the root down, entry by entry, each made read-only; then the root, or a part, is put to use. Now and then
   * one of them stays writable, which is the classic mistake.
   */
  hierarchy(): string[] {
    const { pages } = this
    const chain = ([4, 3, 2, 1, 0] as const).map((role) => pages.pick(pages.of(role)))
    if (new Set(chain).size < chain.length) return []
    const lines: string[] = []
    const forgotten = pages.chance(0.15) ? pages.random(4) : -1
    const top = pages.random(4)
    for (let i = top; i < 4; i++) {
      const flags = i < 3 ? 'P|RW|US|A|D' : pages.flags(1)
      if (pages.chance(0.3)) lines.push(`rw ${chain[i]}`)
      if (pages.chance(0.2)) lines.push(`clear ${chain[i]}`)
      const slot = pages.pick(i === 0 ? [0, 1, 200, 300] : [0, 1, 2, 511])
      lines.push(`set ${chain[i]}[${slot}] = ${chain[i + 1]}|${flags}`)
    }
    if (top === 0 && pages.chance(0.6)) lines.push(this.mapKernel(chain[0]))
    for (let i = top; i < 4; i++) if (i !== forgotten) lines.push(`ro ${chain[i]}`)
    const linked = top === 1 && pages.chance(0.5)
    return [...lines, linked ? this.hooking(chain[1]) : `pin${4 - top} ${chain[top]}`]
  }

  hooking(l3: string): string {
    return `mmu KL4[${this.pages.pick([200, 200, 1])}] = ${l3}|P|RW|US|A|D`
  }

  /** Put a table into one of the live ones. */
  hook(): string {
    const { pages } = this
    switch (pages.weighed({ l4: 6, l2: 2, undo: 3, linear: 1 })) {
      case 'l4':
        return this.hooking(pages.pick(pages.of(3)))
      case 'l2':
        return `mmu KL2[${pages.pick([500, 501])}] = ${pages.chance(0.2) ? '0' : `${pages.pick(pages.of(1))}|P|RW|US|A|D`}`
      case 'undo':
        return `mmu KL4[${pages.pick([200, 1, 300])}] = 0`
      default:
        return `mmu KL4[300] = ${pages.pick(['KL4', ...pages.of(4)])}|P|US`
    }
  }

  /** Loads and stores through what may be hooked. */
  through(): string {
    const { pages } = this
    if (pages.chance(0.5)) return `get ${pages.hooked()}`
    return `set ${pages.hooked()}+${8 * pages.slot(1)} = ${pages.entry(1)}`
  }

  /** Another root. One that does not map the kernel is its end, so that is seldom tried. */
  base(page: string): string[] {
    const { pages } = this
    const kernel = [...this.kernels]
    if (pages.chance(0.01)) return [`baseptr ${page}`]
    if (pages.chance(0.15))
      return [`baseptr ${pages.pick(['NORAM', 'XPERD', 'INVAL', 'KL3', 'LOWIO', 'KL1P'])}`]
    if (kernel.length === 0 || pages.chance(0.4)) return ['baseptr KL4']
    const root = pages.pick(kernel)
    return [`mmu ${root}[511] = ${TO_KERNEL}`, `baseptr ${root}`]
  }

  userBase(): string {
    const { pages } = this
    const roots: Record<string, () => string> = {
      user: () => USER,
      own: () => pages.pick(pages.of(4)),
      page: () => pages.page(),
      none: () => '0',
      strange: () => pages.pick(['KL4', 'NORAM', 'XPERD']),
    }
    return `ubaseptr ${roots[pages.weighed({ user: 4, own: 4, page: 1, none: 1, strange: 1 })]()}`
  }

  /** Stores of every width to pages that may be live L1 tables, which Xen then emulates. */
  emulated(): string {
    const { pages } = this
    const page = pages.chance(0.85) ? pages.pick(pages.of(1)) : pages.page()
    const slot = pages.slot(1)
    const at = `${page}+${slot * 8}`
    const small = (below: number): string => `0x${pages.random(below).toString(16)}`
    switch (
      pages.weighed({
        set: 6,
        cas: 2,
        set4: 1.5,
        set2: 0.6,
        set1: 0.6,
        btr: 1,
        or: 1,
        xchg: 1,
        cas4: 0.5,
        set16: 0.4,
        odd: 0.3,
      })
    ) {
      case 'cas':
        return `cas ${page}[${slot}] ${pages.chance(0.6) ? '0' : pages.entry(1)} ${pages.entry(1)}`
      case 'set4':
        return `set4 ${page}+${slot * 8 + 4 * pages.random(2)} = ${pages.chance(0.5) ? '0' : small(2 ** 30)}`
      case 'set2':
        return `set2 ${page}+${slot * 8 + 2 * pages.random(4)} = ${small(2 ** 16)}`
      case 'set1':
        return `set1 ${page}+${slot * 8 + pages.random(8)} = ${small(2 ** 8)}`
      case 'btr':
        return `btr ${page}[${slot}] ${pages.pick([0, 1, 2, 5, 6, 8, 52, 63])}`
      case 'or':
        return `or ${page}[${slot}] ${pages.pick(['A', 'D', 'RW', 'P', 'US', 'NX', 'PCD', 'GK'])}`
      case 'xchg':
        return `xchg ${page}[${slot}] ${pages.entry(1)}`
      case 'cas4':
        return `cas4 ${at} 0 ${small(512)}`
      case 'set16':
        return `set16 ${page}[${Math.min(slot, 510)}] ${pages.entry(1)} ${pages.entry(1)}`
      case 'odd':
        return `set ${page}+${Math.min(slot * 8, 4080) + 1 + pages.random(7)} = 0`
      default:
        return `set ${page}[${slot}] = ${pages.entry(1)}`
    }
  }

  segments(page: string): string {
    const { pages } = this
    const other = pages.page()
    switch (pages.weighed({ gdt: 1.2, desc: 1.4, ldt: 1.2, load: 1, none: 0.6 })) {
      case 'gdt':
        return `gdt ${pages.pick([1, 511, 512, 513, 1024, 7168, 7169])} ${page} ${other}`
      case 'desc':
        return `desc ${page}[${pages.slot(1)}] = ${pages.pick([
          '0x00cff2000000ffff',
          '0x00cf92000000ffff',
          '0x00affa000000ffff',
          '0x00af9a000000ffff',
          '0x00008b0000000000',
          '0x0000ec00e0330000',
          '0x00008c00e0330000',
          '0x00cff3000000ffff',
          '0',
          '0x1234',
        ])}`
      case 'ldt':
        return `setldt @${page} ${pages.pick([1, 2, 512, 512, 513, 1024, 8192, 8193])}`
      case 'load':
        return `ldsel ${pages.pick(['0x7', '0xf', '0x4', '0x17', '0xfff', '0x1007', '0', '0x3', '0xb'])}`
      default:
        return pages.pick(['gdt 0', 'setldt 0 0'])
    }
  }

  /** Frames given back and taken again. New ones are cleared: what they hold is whoever's they were. */
  memory(page: string): string[] {
    const { pages } = this
    switch (pages.weighed({ decr: 4, popp: 4, exch: 2, odd: 0.5 })) {
      case 'decr':
        return [`decr ${page}`]
      case 'odd':
        return [`decr ${pages.pick(['NORAM', 'XPERD', 'LOWIO', 'M2PF', 'SHINFO'])}`]
      case 'popp':
        return [`popp ${page}`, `clear ${page}`]
      default:
        return [`exch ${page}`, `clear ${page}`]
    }
  }

  /** A multicall that leaves for user mode in the middle. The process maps the kernel, or not, or cannot write there. */
  user(): string[] {
    const { pages } = this
    const kernel = pages.pick([TO_KERNEL, TO_KERNEL, 'KL3|P|US|A', '0'])
    const before = pages.chance(0.7) ? `${this.list(1, 3, () => this.call())} , ` : ''
    const behind = pages.chance(0.7) ? ` , ${this.list(1, 3, () => this.call())}` : ''
    return [
      ...(pages.chance(0.4) ? [`mmu ${USER}[511] = ${kernel}`] : []),
      `ubaseptr ${USER}`,
      `multi ${before}iret${behind}`,
    ]
  }

  flush(page: string): string {
    return this.pages.pick([
      'tlblocal',
      'tlball',
      'tlbmulti 1',
      'tlbmulti bad',
      'tlbmulti null',
      'invlocal W0',
      `invall @${page}`,
      'invmulti W1 1',
      'invmulti W1 bad',
      'flushcache',
      'flushcacheg',
      `marksuper ${page}`,
      `unmarksuper ${page}`,
    ])
  }

  m2p(page: string): string {
    const { pages } = this
    if (pages.chance(0.5)) return `m2p ${page}`
    return `mmu m2p ${pages.chance(0.8) ? page : pages.strange()} = 0x${pages.random(0x2000).toString(16)}`
  }

  /** What no kernel would ask. */
  odd(page: string): string {
    const { pages } = this
    return pages.pick([
      `mmu ${page}+${pages.random(512) * 8 + 4} = 0`,
      `mmu ma:${pages.pick(['0xb8000', '0x1000000000', '0xfee00000', '0xffffffffff000'])} = 0`,
      'hc 1 0 1 0 0x7ff0',
      `hc 1 @${page} 0 0 0x7ff0`,
      `hc 26 @${page} 0 0 0x7ff0`,
      `hc 13 @${page} 0`,
      'hc 47',
      `mmu ${page}[0] = 0 cmd1`,
      `ext ${pages.pick([14, 21, 63])} ${page} 0`,
    ])
  }
}
