import { calls, messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { failedCalls, linesOf } from './shared.ts'

export const doublePin: Cause = {
  class: 'double-pin',
  name: 'A table was pinned twice',
  match: (evidence) => {
    const twice = messagesOf(evidence, 'pin-already')
    if (twice.length > 0) {
      const frames = new Set(twice.map(({ fields }) => fields.mfn))
      const [first] = frames
      return {
        score: 93,
        title:
          frames.size === 1
            ? `The guest pinned mfn ${first} a second time; Xen refused that.`
            : `The guest pinned ${frames.size} tables a second time, mfn ${first} first; Xen refused each.`,
        lines: linesOf(twice),
        details: ['The table keeps its first pin; what fails is the call, and what the guest makes of it.'],
      }
    }
    // The guest's side alone: the hook for a new table fails, on a path that moves tables which exist.
    const hook =
      calls(evidence, /^xen_alloc_(?:pte|pmd|pud|ptpage)/) &&
      calls(evidence, /^move_p(?:gt_entry|age_tables)/)
    const failed = failedCalls(evidence)
    if (!hook || failed.length === 0) return undefined
    return {
      score: 61,
      title:
        'The guest announced a page table that it was only moving; most likely Xen refused to pin it twice.',
      lines: linesOf(failed),
    }
  },
  signature: [
    '`mfn ... already pinned` (`Mfn ... already pinned` up to Xen 4.8), often many times in a row with different mfns.',
    "On the guest's side `multicall(s) failed` or a warning in xen_mc_flush, with the pin's `result=-22`, and a function that allocates or moves a table in the call trace.",
    'An `op` of `aaaaaaaaaaaaaaaa` in the multicall dump is what a debug Xen leaves in the entries of a batch that it has worked off; the arguments are gone and the results are not.',
  ],
  explanation: [
    "A frame can be pinned once. The pin is a bit and not a counter, so Xen drops the references that a second pin had taken and returns EINVAL. The table stays a pinned, validated table; nothing is lost on Xen's side.",
    'The guest pinned a table that it had pinned before. Commonly some generic code moved an existing table to another place with the function for new tables, whose Xen hook pins what it is given. In Linux 5.14, commit 0881ace292b6 made mremap() do so.',
    "How bad it is depends on the guest's answer. Where the failed call is only reported, the guest works on and the tables are right. Where a failed pin is a BUG(), the guest dies although its tables were in order.",
  ],
  check: [
    'Read the call trace below the first warning: the function that calls the Xen hook for a table that already existed is the one to change.',
    'See which call of the batch failed (`call n/m`, `n of m`): other calls of the same batch have failed too if their results are not 0.',
    'Look for a later `not pinned` line on the same mfn: then pins and unpins are out of balance at both ends.',
    "If the arguments are overwritten by `aa`, the printed mfn in Xen's line is the only name of the table; match it with `xl dmesg`.",
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Lets xen_alloc_ptpage() pin a table only if it is not marked as pinned already.',
    },
  ],
  avoid: [],
}
