import type { Domain } from '../domain.ts'

/** A level of page tables: 1 maps pages, 4 is the root. */
export type TableLevel = 1 | 2 | 3 | 4

/** What is to become of one entry. The hypervisor has one of these, which is filled in anew for each update. */
export type EntryUpdate = {
  level: TableLevel
  /** Frame of the table. */
  table: number
  slot: number
  lo: number
  hi: number
  /** Keep the accessed and dirty bits of the old entry: MMU_PT_UPDATE_PRESERVE_AD. */
  keepAccessed: boolean
  /** Whose table it is, and whose frame the entry is to map. */
  tableOwner: Domain
  pageOwner: Domain
}

/** One that nobody has filled in yet. */
export function newUpdate(owner: Domain): EntryUpdate {
  return {
    level: 1,
    table: 0,
    slot: 0,
    lo: 0,
    hi: 0,
    keepAccessed: false,
    tableOwner: owner,
    pageOwner: owner,
  }
}
