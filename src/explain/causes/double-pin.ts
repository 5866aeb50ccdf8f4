import type { Cause } from './cause.ts'

export const doublePin: Cause = {
  class: 'double-pin',
  name: 'A table was pinned twice',
  match: () => undefined,
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
