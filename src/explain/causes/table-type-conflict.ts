import type { Cause } from './cause.ts'
import { aTable, frameName, linesOf } from './shared.ts'

export const tableTypeConflict: Cause = {
  class: 'table-type-conflict',
  name: 'Frame is in use as another kind of table',
  match: (evidence) => {
    const found = evidence.badTypes.filter(
      ({ saw, exp }) => saw.type !== 'writable' && exp.type !== 'writable' && saw.type !== exp.type,
    )
    if (found.length === 0) return undefined
    const [first] = found
    return {
      score: 87,
      title: `Xen refused ${frameName(first)} as ${aTable(first.exp.type)}: it is in use as ${aTable(first.saw.type)}.`,
      lines: linesOf(found.map(({ record }) => record)),
    }
  },
  signature: [
    '`Bad type` in which both `saw` and `exp` are special types: two different levels of tables, or a table and a descriptor page (for the GDT or LDT).',
    '`Error while pinning mfn`, `Error while validating mfn`, `Error while installing new baseptr` or a failed set_gdt follows, depending on what the frame was wanted for.',
    "A missing `Bad type` line fits as well: Xen does not print it when a table is wanted as the next lower level (an L2 as L1, an L3 as L2, an L4 as L3), as this may be a recursive entry. The failing operation's own line is all that is left then.",
  ],
  explanation: [
    'A frame has one type at a time, and each level of tables is a type of its own: an L2 is validated by other rules than an L1. A page of segment descriptors is another type again. While references to the frame as one of them exist, it cannot become another.',
    'The guest uses one page at two levels, or took a page for a new table or for its GDT while it was still in use as something else. It may be deliberate, as in a scheme that lets one page be a table of two levels, which the hardware allows. It may be an accident: a page that was freed too early and was given out again for the next table.',
    'Which use comes second is the one that is refused. So `saw` is the older use and `exp` the newer one, and neither of them has to be the wrong one.',
  ],
  check: [
    'Read both types and the count of `saw`: it says how many entries, pins or table roots hold the older use.',
    'If the pinned bit is set in `saw`, find the unpin that is missing before the reuse.',
    'Look for the place that freed the older table, and check that it was unhooked from its parent in every address space first.',
    'For a descriptor page, see which vCPU has it as its GDT or LDT; it has to be given up there before the page can be a table.',
    'If the scheme is recursive, the entry has to be read-only and at the same level: see linear-pt-writable and linear-pt-disabled.',
  ],
  fixes: [],
  avoid: [],
}
