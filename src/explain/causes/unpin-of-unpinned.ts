import { calls, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const unpinOfUnpinned: Cause = {
  class: 'unpin-of-unpinned',
  name: 'An unpin of a table that is not pinned',
  match: (evidence) => {
    const messages = messagesOf(evidence, 'unpin-not-pinned', 'unpin-owner')
    if (messages.length > 0) {
      const [{ fields, group }] = messages
      return {
        score: group === 'unpin-not-pinned' ? 93 : 80,
        title: `The guest unpinned mfn ${fields.mfn}, which was not pinned; Xen refused that.`,
        lines: linesOf(messages),
      }
    }
    const bugs = recordsOf(evidence, 'guest-bug').filter(
      ({ what, place }) => what === 'bug' && place?.includes('/xen/'),
    )
    if (bugs.length === 0 || !calls(evidence, /^xen_release_(?:pt|pte|pmd|ptpage)|^_*xen_pgd_unpin/))
      return undefined
    return {
      score: 60,
      title:
        "The guest's hook for freeing a page table failed; most likely it unpinned a table that was not pinned.",
      lines: linesOf(bugs),
    }
  },
  signature: [
    '`mfn ... not pinned` (`Mfn ... not pinned` up to Xen 4.8).',
    "On the guest's side `kernel BUG` in a function that releases tables, such as xen_release_pt, or a failed multicall with `op=26` and `result=-22`.",
  ],
  explanation: [
    'An unpin takes away the reference that a pin made. When the frame is not pinned there is nothing to take, and Xen returns EINVAL and changes nothing.',
    'A table that was never pinned itself can well be a live table: it is validated because a pinned table above refers to it. Code that unpins every table on its way out forgets this, or it treats the levels unlike the code that pinned them.',
    'Other ways to it are a table that is released twice, or a page that was given to Xen by decrease_reservation: old Xen releases, 4.1 among them, drop the pin silently then, and later ones leave the pin alone.',
    "Only the answer of the guest makes it fatal. The tables on Xen's side are as they were before the call.",
  ],
  check: [
    'Find the level of the table. If the pins are made at another level than the unpins, the two hooks disagree.',
    'Look for an earlier successful unpin of the same mfn: a second release of a page means that two owners believe it is theirs.',
    'Read the call trace at the BUG(): a path for one level of tables, such as __pmd_free_tlb for L2 tables, names the hook.',
    'Make sure that the frame was not handed back to Xen and received again in between: its pin does not come back with it.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: 'a684d69d15a',
      what: 'Pins and unpins L1 tables only, and leaves the L2 tables to the pin of the top-level table.',
    },
  ],
  avoid: [],
}
