import { poisonMeaning, readPte } from '../decode/values.ts'
import { type Evidence, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause, Match } from './cause.ts'
import { frameName, isForeign, linesOf, refusedEntries, saysWhy } from './shared.ts'

export const ambiguousMessage: Cause = {
  class: 'ambiguous-message',
  name: 'A refused entry, with no reason given',
  match: (evidence) => {
    const entries = refusedEntries(evidence).filter(
      (entry) => !['32753', '32754'].includes(entry.fields.pg_owner ?? '') && !isForeign(entry),
    )
    if (entries.length === 0) return refusedTable(evidence)
    const [first] = entries
    const poison = poisonMeaning(first.fields.pfn ?? '')
    return {
      score: saysWhy(evidence) ? 20 : 85,
      title: `Xen could not take ${frameName(first.fields)} for an L1 entry, and does not say why: the frame is not the guest's, or it cannot be had writable.`,
      lines: linesOf(entries),
      details: [
        ...(poison === undefined
          ? []
          : [`pfn ${first.fields.pfn}: ${poison}, which speaks for a frame that was freed.`]),
        ...writableDetail(first.fields.pte),
      ],
    }
  },
  signature: [
    '`Error getting mfn ... from L1 entry ...` alone: no `Bad type` line before it, no `but real_pg_owner` line, no line about I/O space.',
    'The log is from Xen before 4.2, or its other lines were lost to the rate limit or a lower log level.',
  ],
  explanation: [
    'Xen refuses an L1 entry for one of two reasons that matter here. Either the frame does not belong to the domain that is named, or it does and the entry is writable while the frame has another type, such as a table in use. Both end in the same line.',
    'Xen before 4.2 did not say which of them it was. Commit 3d9ab2267f of March 2012 added a line of its own for each, just because such logs could not be read. In the older releases a type conflict still prints `Bad type` first, so its absence speaks for the owner, unless that line was suppressed.',
    "If the owner was wrong, the cause is that of foreign-or-free-frame: the frame was given back, exchanged, or never the guest's. If the type was wrong, the cause is that of pagetable-freed-then-mapped-rw, pinned-table-freed or rw-mapping-refused, depending on what happened to the page before.",
  ],
  check: [
    'Look at the flags of the entry: without RW the type cannot be the reason, because a read-only entry needs no type, so it is the owner.',
    'Look at the pfn: `5555555555555555` or `ffffffffffffffff` means that the frame has no pfn, which speaks for a freed or foreign frame. An ordinary pfn of this guest speaks for the type.',
    'Look for `printk: ... messages suppressed` and for the log level; ask for `xl dmesg` with `guest_loglvl=all`, from boot on.',
    'Ask for the same failure on Xen 4.2 or later with debug=y: `Could not get page type PGT_writable_page` means the type, `but real_pg_owner` means the owner.',
  ],
  fixes: [
    {
      project: 'Xen',
      commit: '3d9ab2267f',
      release: '4.2',
      what: 'Prints a line of its own for each of the two reasons.',
    },
  ],
  avoid: [],
}

/** Whether the entry asked for write permission: if not, the type cannot have been the reason. */
function writableDetail(pte: string | undefined): string[] {
  const entry = pte === undefined ? undefined : readPte(pte)
  if (entry === undefined) return []
  return entry.flags.split('|').includes('RW')
    ? [`The entry ${pte} asks for frame ${entry.mfn} with RW: owner and type can both be the reason.`]
    : [`The entry ${pte} asks for frame ${entry.mfn} without RW: a type cannot be the reason, the owner is.`]
}

/** A table that was refused, and nothing in the log of what Xen found on the way. */
function refusedTable(evidence: Evidence): Match | undefined {
  const refused = messagesOf(evidence, 'pin-error', 'baseptr', 'user-baseptr', 'validate')
  const others = recordsOf(evidence, 'xen').filter(({ group }) => !SAYS_NOTHING.includes(group))
  if (refused.length === 0 || others.length > 0) return undefined
  return {
    score: 60,
    title: `Xen refused ${frameName(refused[0].fields)} as a page table, and the line that says why is not in this log.`,
    lines: linesOf(refused),
    details: [
      'Xen prints no reason when the frame is in use as a table of the next higher level, as that can be a recursive mapping.',
    ],
  }
}

/** Messages that follow a refusal, or have nothing to do with one. */
const SAYS_NOTHING: readonly string[] = [
  'pin-error',
  'baseptr',
  'user-baseptr',
  'validate',
  'validate-l1',
  'validate-l2',
  'validate-l3',
  'validate-l4',
  'crashed',
  'crash-sync',
  'domain-crash',
  'unhandled-trap',
  'mmio-ro',
]
