import type { Cause } from './cause.ts'
import {
  aTable,
  frameName,
  linesOf,
  refusedEntries,
  tablesMappedWritable,
  tailMadeWritable,
} from './shared.ts'

export const pinnedTableFreed: Cause = {
  class: 'pinned-table-freed',
  name: 'A table was freed without an unpin',
  match: (evidence) => {
    // A table that is asked for with the rest of a buffer was not freed: it has come to be one meanwhile.
    const pinned = tablesMappedWritable(evidence).filter(
      (refused) => refused.saw.flags.includes('pinned') && tailMadeWritable(evidence, refused) === undefined,
    )
    if (pinned.length === 0) return undefined
    const [first] = pinned
    const uses = first.saw.count - 1
    return {
      score: uses === 0 ? 92 : 88,
      title: `A writable mapping of ${frameName(first)} was refused: the page is still pinned as ${aTable(first.saw.type)}, so it was freed without being unpinned.`,
      lines: linesOf([...pinned.map(({ record }) => record), ...refusedEntries(evidence)]),
      details: [
        uses === 0
          ? 'Its count is 1: the pin alone holds it.'
          : `Its count is ${first.saw.count}: the pin holds it, and ${uses} more.`,
      ],
    }
  },
  signature: [
    '`Bad type` with a `saw` of type L1 to L4 whose pinned bit is set, count 1, and an `exp` of type writable; then `Could not get page type PGT_writable_page` (Xen 4.2 and later) and `Error getting mfn ... from L1 entry ...`.',
    'An example of such a word is `8c00000000000001` in Xen 4.10 and later: L4, pinned, validated, one reference.',
    'The guest was giving memory back at that time: init sections of the kernel image, the tables of a process, or a boot table that a later one replaced.',
  ],
  explanation: [
    'A pin is itself a reference: it keeps a frame a validated page table even when no entry and no vCPU uses it. Only an explicit unpin drops it. Until then the frame cannot be mapped writable.',
    "The guest had stopped using the table and returned its page to the allocator, but had not unpinned it. The count of 1 is the pin alone. When the page's entry was to become writable again, Xen saw a table and refused.",
    'This happens to tables that the kernel itself sets up once, such as a top-level table for the early boot that lies in an init section. The code that frees such sections does not know about pins.',
  ],
  check: [
    "Look up the printed pfn in System.map, through the kernel's physical start: a symbol such as early_top_pgt names the table at once.",
    'See whether the count of `saw` is exactly 1. If so the pin is the only reference and an unpin is all that is missing; if it is larger, the table is in use as well and must be taken out first.',
    'Find the place where the guest switched away from this table. The unpin and the change to a writable entry belong right behind it.',
    'Check that the same table is not unpinned twice when the fix is in place: see the class unpin-of-unpinned.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Unpins early_top_pgt and makes it writable right after kasan_init(), before the init sections are freed (part of KASAN for PV guests).',
    },
  ],
  avoid: [],
}
