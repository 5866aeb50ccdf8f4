/**
 * What random programs are: code that changes while it runs, in every way in which bytes that were decoded can become
 * others, and code as compilers write it.
 */

export const PAGE = 4096
/** Pages of code, which lie one behind the other. */
export const CODE_PAGES = 4
export const DATA_PAGES = 2

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
  /** Have it stop behind accesses to some addresses, or to none. */
  | { readonly kind: 'watchpoints'; readonly addresses: readonly number[] }
  /** Set debug registers: #DB before an instruction, and behind a store; or neither. */
  | { readonly kind: 'debug'; readonly at: readonly [code: number, data: number] | null }
  /** Have the next instruction end in a single step. */
  | { readonly kind: 'step' }

export type Program = {
  /** The bytes of the pages of code. */
  readonly code: Uint8Array
  /** Those of the pages of data, as many as it is told of; the rest are zero. */
  readonly data: Uint8Array
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
