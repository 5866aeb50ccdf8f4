import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const linearPtWritable: Cause = {
  class: 'linear-pt-writable',
  name: 'A recursive entry was writable',
  match: (evidence) => {
    const found = messagesOf(evidence, 'linear-rw')
    if (found.length === 0) return undefined
    const refusals = messagesOf(evidence, ...REFUSALS)
    const own = found.filter(
      (message) => !refusals.some(({ line }) => line <= message.line && message.line - line <= NEAR),
    )
    return {
      // Behind another refusal the line is only what the failed look at a table says next.
      score: own.length === 0 ? 15 : 82,
      title: 'Xen refused a recursive (linear) page-table entry because it asked for write permission.',
      lines: linesOf(own.length === 0 ? found : own),
    }
  },
  signature: [
    '`Attempt to create linear p.t. with write perms` on its own: no other line about a refused page, entry or table right before it.',
    '`Failure in ... slot` or `... entry`, `Error while validating mfn`, `Error while pinning mfn` or `Error while installing new baseptr` may follow; the hypercall returns -22 (EINVAL).',
    'With another refusal right before it (`Bad type`, `Bad L1 flags`, `Failure in`, `Error while validating`) the line is only an echo of that one, which is then the line to explain.',
  ],
  explanation: [
    'A recursive entry points to a table of the same level as the one it stands in. Through it, the tables of the whole address space appear as ordinary pages. Xen allows this for reading, and therefore only if the entry has no RW: otherwise the guest could write its tables without any check.',
    'The guest set up such an entry with RW. On hardware that is what one wants, as the point of the scheme is to edit the tables through it. Under Xen the window must be read-only, and changes go through hypercalls, or through stores that Xen carries out.',
    'No `Bad type` line is printed, because a table that is wanted as the next lower level may be a recursive entry: Xen stays silent about the type and looks at that possibility next. The permission is then the reason to refuse.',
    'The same look follows whenever the table below an entry was refused with EINVAL, whatever the reason. Ordinary entries of the upper levels have RW set, so the line then appears as an echo and describes nothing that the guest had in mind.',
  ],
  check: [
    'Find the slot: the `Failure` line gives it when the table was being validated; otherwise decode the entry in the arguments of the failed update.',
    'See whether the frame in the entry is the table itself or another one of the same level. Both must be read-only; chains of such tables are not allowed in newer releases.',
    'Clear RW in the recursive entry and try again. If `feature disabled` appears then, see linear-pt-disabled.',
    'Make sure that the entry was meant to be recursive: a wrong frame in an ordinary entry, a table of the wrong level, gives the same line.',
  ],
  fixes: [],
  avoid: [],
}

/** Lines of others may stand between an echo and what it echoes. */
const NEAR = 3
const REFUSALS = [
  'bad-type',
  'bad-flags',
  'l1-get',
  'get-page',
  'page-ref',
  'validate',
  'validate-l1',
  'validate-l2',
  'validate-l3',
]
