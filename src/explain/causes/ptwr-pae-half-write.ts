import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const ptwrPaeHalfWrite: Cause = {
  class: 'ptwr-pae-half-write',
  name: 'A 64-bit entry was written in halves',
  match: (evidence) => {
    const found = messagesOf(evidence, 'ptwr-fixup')
    if (found.length === 0) return undefined
    // The refused entry is the half-written one: what Xen says of it is no refusal then.
    const halves = new Set(found.map(({ fields }) => fields.pte))
    const refused = messagesOf(evidence, 'l1-get').filter(({ fields }) => !halves.has(fields.pte))
    const alone = refused.length === 0 && evidence.badTypes.length === 0
    return {
      score: alone ? 91 : 58,
      title:
        'Harmless: a 32-bit guest writes page-table entries in two halves, and Xen repairs what it sees in between.',
      lines: linesOf(found),
    }
  },
  signature: [
    '`ptwr_emulate: fixing up invalid PAE PTE ...`, once or many times, from a 32-bit PAE guest.',
    'No refusal and no crash follows from it; whatever comes behind it in the log has another cause.',
  ],
  explanation: [
    'A 32-bit guest with PAE has entries of 64 bits and can write only 32 bits with an ordinary store. When it stores to a table in use, Xen takes the write fault and carries the store out itself, half by half, each time looking at the whole entry that results.',
    "Between the two stores the entry is half new and half old, and that mixture may name a frame that the guest must not map. Xen knows this case: if the upper half is written while the lower one still has the present bit, and the entry that results is not allowed, Xen clears the present bit and stores the rest. The lower half follows with the guest's next store and makes the entry complete.",
    'The line reports that help. It is harmless: Xen never installs an entry that it has not checked, and the guest ends up with the entry that it wanted.',
  ],
  check: [
    'Read on: another message below it is the one to explain.',
    'If the guest faults soon after on an address of that table, see whether it wrote the upper half and never the lower one: the entry has then stayed non-present.',
    'If there are very many such lines, the guest makes its updates by plain stores where one hypercall would be faster; this is a matter of speed alone.',
    'A 64-bit guest does not print it. If the log is said to be from one, check which domain the prefix names.',
  ],
  fixes: [],
  avoid: [],
  benign: true,
}
