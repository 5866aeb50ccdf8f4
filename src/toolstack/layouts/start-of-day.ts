import { ENTRY_BYTES, hex, PAGE } from '../../bits/address.ts'

/**
 * Where everything of a domain lies when it runs its first instruction, and what its tables say: plain data, which
 * `buildDomain` carries out. Places are pseudo-physical frames (pfns), addresses have 48 bits.
 */
export type StartOfDayLayout = {
  /** The address of pfn 0 in the initial mapping. */
  readonly virtBase: number
  /** The first pfn behind everything that is placed. */
  readonly end: number
  readonly startInfo: number
  /** Flags of start_info beside those of dom0: `SIF` in xen/abi.ts. */
  readonly flags: number
  /** Where rsp begins, and where a domU's kernel is entered from a process. */
  readonly stack: number
  readonly p2mList: P2mList
  /** Null for none. */
  readonly initrd: InitrdPlace | null
  /** The pages of a domU's rings; null in dom0, which has none. */
  readonly xenstore: number | null
  readonly console: number | null
  /** What dom0 is told of the machine's screen, Xen's struct dom0_vga_console_info; null for nothing. */
  readonly video: Uint8Array | null
  /** The initial mapping, and the p2m list's own if it has one. */
  readonly mappings: readonly Mapping[]
  /** Flags of an entry that maps a page, low and high half. A page table's has them without RW. */
  readonly pageFlags: { readonly lo: number; readonly hi: number }
  /** Pages that whoever loaded them wrote through the guest's own entries: these are dirty, too. */
  readonly dirty: readonly PfnRange[]
  /** The types of the tables are written down, as Xen's dom0 builder does it, or found by the rules, as a pin does. */
  readonly types: 'asBuilt' | 'validated'
}

/** Pfns from `start` on, up to before `end`. */
export type PfnRange = { readonly start: number; readonly end: number }

export type P2mList = {
  readonly pfn: number
  readonly va: number
  /** Frames of the list; with its page tables, where it is mapped apart. */
  readonly frames: number
  /** start_info says which frames it has: those of a mapping of its own, where the kernel's note INIT_P2M wants it. */
  readonly isTold: boolean
}

export type InitrdPlace = {
  readonly pfn: number
  readonly bytes: number
  /** It lies in the initial mapping; else the kernel, by its note MOD_START_PFN, takes it by its pfn. */
  readonly isMapped: boolean
}

/** Pages that are mapped in a row, from an address on, and the page tables that this takes, which follow one another. */
export type Mapping = {
  readonly va: number
  readonly pfn: number
  readonly pages: number
  readonly tables: readonly TableRun[]
  /** By pages of 2 MiB, as Xen maps the p2m list of a dom0. */
  readonly isLarge?: boolean
}

/** Tables of one level in a row, for addresses from `va` on. */
export type TableRun = {
  readonly level: TableLevel
  readonly va: number
  readonly pfn: number
  readonly count: number
}

export type TableLevel = 1 | 2 | 3 | 4

/** Bytes of an address space. */
export const ADDRESSES = 2 ** 48

/** Bytes that one table of a level maps. */
export const tableBytes = (level: TableLevel): number => (level === 4 ? ADDRESSES : ENTRY_BYTES[level + 1])

/** How many tables there are. */
export function tableCount(tables: readonly TableRun[]): number {
  return tables.reduce((sum, { count }) => sum + count, 0)
}

/** The pfns of all tables of a mapping. */
export function tablePfns({ tables }: Mapping): PfnRange {
  const start = tables[0]?.pfn ?? 0
  return { start, end: start + tableCount(tables) }
}

/** The pfn that a layout maps at an address. */
export function pfnAt({ mappings }: StartOfDayLayout, address: number): number {
  for (const { va, pfn, pages } of mappings) {
    const n = Math.floor((address - va) / PAGE)
    if (n >= 0 && n < pages) return pfn + n
  }
  throw new Error(`nothing is mapped at ${hex(address)}`)
}

/** The pfn of the table of a level that an address goes through. */
export function tableFor({ mappings }: StartOfDayLayout, level: TableLevel, va: number): number {
  const bytes = tableBytes(level)
  for (const { tables } of mappings) {
    for (const run of tables) {
      const n = Math.floor((va - run.va) / bytes)
      if (run.level === level && n >= 0 && n < run.count) return run.pfn + n
    }
  }
  throw new Error(`no table of level ${level} for ${hex(va)}`)
}
