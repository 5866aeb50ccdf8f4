import { hasMark } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { aTable, counted, frameName, linesOf, refusedEntries, tablesMappedWritable } from './shared.ts'

export const pagetableFreedThenMappedRw: Cause = {
  class: 'pagetable-freed-then-mapped-rw',
  name: 'A table in use was freed as memory',
  match: (evidence) => {
    const tables = tablesMappedWritable(evidence).filter(({ saw }) => !saw.flags.includes('pinned'))
    if (tables.length === 0) return undefined
    const first = tables.find(({ saw }) => saw.type === 'l1') ?? tables[0]
    const freed = hasMark(evidence, 'freeing-kernel-memory')
    return {
      score: (first.saw.type === 'l1' ? 80 : 62) + (freed ? 10 : 0) + (tables.length > 1 ? 3 : 0),
      title: `A writable mapping of ${frameName(first)} was refused: the page is still ${aTable(first.saw.type)}, used ${first.saw.count === 1 ? 'once' : `${first.saw.count} times`}, so it was given back while it was one.`,
      lines: linesOf([...tables.map(({ record }) => record), ...refusedEntries(evidence)]),
      details: [
        `It has ${counted(first.saw.count, 'use')} as a table and ${first.saw.flags.includes('pinned') ? 'is' : 'is not'} pinned.`,
      ],
    }
  },
  signature: [
    '`Bad type` with a `saw` of type L1 to L4, not pinned, and an `exp` of type writable; from Xen 4.2 on `Could not get page type PGT_writable_page` follows, then `Error getting mfn ... from L1 entry ...` with RW set in the entry.',
    'The same domain owns the entry and the page (`l1e_owner` equals `pg_owner`).',
    'Just before it the guest gives memory back: `Freeing unused kernel memory`, a freed initrd, a released mfn list, or a free function in the call trace.',
    "More `Error getting mfn` lines with a pfn of `5555555555555555` may follow. That is how Xen's table from mfn to pfn marks a frame without an owner; those entries are data that was never meant as an entry.",
  ],
  explanation: [
    'A frame that is a live page table has one of the types L1 to L4, and the count says how many places use it. Nobody can get a writable mapping of it until that count is 0. A read-only mapping is always possible.',
    "The guest returned pages to its allocator that Xen still knew as tables, and then mapped them writable again, either to hand them out or to clear them. Xen refuses the entry, as the page could otherwise be changed behind its back. The refused entry is right about the frame; it is the page's former use that was not ended.",
    'The usual mistake is a range that was rounded outwards, or a list of pages that has tables at its edges. Afterwards the guest uses the memory as both a table and data, so entries read from it are garbage, and further lines of the log describe that garbage.',
  ],
  check: [
    'Find out what the printed pfn was: compare it with the ranges in the boot log (page tables, mfn list, initrd, init sections). Its place next to the edge of a freed range points to rounding.',
    'Note the count of `saw`: it says how many entries or table roots still use the frame as a table.',
    'Look at which range the guest freed last before the first line, and whether its start and end were rounded to a larger size than a page.',
    'Treat only the first refusal as evidence. Entries that look wild in later lines come from a table that was overwritten.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '3fc509fc0c59',
      what: 'Rounds the freed range of the mfn list to pages and no longer to 2 MiB, so that the tables behind it stay reserved.',
    },
  ],
  avoid: [],
}
