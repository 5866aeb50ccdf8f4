import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { asksToWrite, aTable, frameName, isForeign, linesOf, tablesMappedWritable } from './shared.ts'

export const mapPagetableRwFromDom0: Cause = {
  class: 'map-pagetable-rw-from-dom0',
  name: 'Foreign table was to be mapped writable',
  match: (evidence) => {
    const foreign = messagesOf(evidence, 'l1-get').filter(isForeign)
    const tables = tablesMappedWritable(evidence)
    if (foreign.length === 0) return undefined
    const [first] = tables
    const owner = foreign[0].fields.pg_owner ?? foreign[0].fields.domid
    if (first === undefined) {
      // The type is not in the log: a writable entry of another domain's page, which is what such a tool asks for.
      if (!asksToWrite(foreign[0])) return undefined
      return {
        score: 64,
        title: `A writable mapping of ${frameName(foreign[0].fields)} of domain ${owner} by another domain was refused: most likely the page is a table there.`,
        lines: linesOf(foreign),
      }
    }
    return {
      score: 94,
      title: `A mapping of ${frameName(first)} of domain ${owner} by another domain was refused: there the page is ${aTable(first.saw.type)}, and the mapping asked for write permission.`,
      lines: linesOf([first.record, ...foreign]),
    }
  },
  signature: [
    '`Bad type` with a `saw` of type L1 to L4 and an `exp` of type writable, then `Error getting mfn ... from L1 entry ...` in which `l1e_owner` and `pg_owner` differ.',
    'The prefix names the privileged domain, mostly `d0`; `l1e_owner` is that domain and `pg_owner` is the one whose page it is. The L1 entry has RW set.',
  ],
  explanation: [
    'A privileged domain may map the frames of another domain, for example to build it, save it or look into it. The rule of types holds for such mappings as well: a writable entry needs the type writable, whoever owns the entry.',
    'The frame is at that moment a live page table of the other domain. So its type is one of L1 to L4, and Xen refuses the writable mapping, whatever privileges the caller has. A read-only mapping of the same frame would be accepted.',
    'The other domain did nothing wrong and does not notice. The fault is in the tool or the driver of the privileged domain: it asked for write access where reading would do, or it took a frame number from an outdated table, so that the frame is not the one it wanted.',
  ],
  check: [
    "See which process of the privileged domain made the mapping: the call trace of its kernel at the time (privcmd, gntdev), and the toolstack's own log.",
    'Compare the mfn with what the tool wanted. If it wanted a data page, its frame number was stale: the guest exchanged or reused the frame after the tool had read its table.',
    'If the tool only reads, it should ask for a read-only mapping.',
    'Tools that write must pause the domain first and must leave its page tables alone, or let Xen carry out the change with mmu_update.',
    "Ask for `xl dmesg` and the toolstack's log of the same minute; neither alone tells both sides.",
  ],
  fixes: [],
  avoid: [],
}
