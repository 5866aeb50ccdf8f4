import { errnoOf } from '../decode/values.ts'
import { type Evidence, hasRefusals, inEarlyBoot, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause, Match } from './cause.ts'
import {
  asksToWrite,
  aTable,
  failedCalls,
  frameName,
  isTable,
  linesOf,
  refusedEntries,
  SETS_ENTRY,
  saysWhy,
  tailMadeWritable,
} from './shared.ts'

export const rwMappingRefused: Cause = {
  class: 'rw-mapping-refused',
  name: 'A writable mapping was refused',
  match: (evidence) => {
    const refused = evidence.badTypes.filter(
      ({ saw, exp }) => exp.type === 'writable' && saw.type !== 'writable',
    )
    if (refused.length > 0) {
      const [first] = refused
      const tail = isTable(first.saw.type) ? tailMadeWritable(evidence, first) : undefined
      if (tail !== undefined) {
        return {
          score: 94,
          title: `A writable mapping of ${frameName(first)} was refused while the kernel gave back what it had not used of its buffer for early page tables: the page is ${aTable(first.saw.type)} in use by now.`,
          lines: linesOf([tail, ...refused.map(({ record }) => record), ...refusedEntries(evidence)]),
          details: [
            `The range ${tail.fields.from}-${tail.fields.to} was free memory before it was writable again. The allocator had given this page out, and it has become a table of the kernel's, most likely of its array of struct page (the vmemmap).`,
            'Linux 2.6.39-rc6 and rc7 die so as guests, where they make the last range writable only behind that array.',
          ],
        }
      }
      const pinned = first.saw.flags.includes('pinned')
      const inUse = messagesOf(evidence, 'ptwr-refused').length > 0 || (inEarlyBoot(evidence) && !pinned)
      const upper = isTable(first.saw.type) && first.saw.type !== 'l1'
      const score = !isTable(first.saw.type) ? 90 : inUse ? 91 : upper && !pinned ? 70 : 50
      return {
        score,
        title: `A writable mapping of ${frameName(first)} was refused: the page is ${aTable(first.saw.type)} in use.`,
        lines: linesOf([...refused.map(({ record }) => record), ...refusedEntries(evidence)]),
        ...(messagesOf(evidence, 'ptwr-refused').length > 0
          ? {
              details: [
                'The entry was a plain store into a table, which Xen emulates: the guest got a page fault for it.',
              ],
            }
          : {}),
      }
    }
    const told = messagesOf(evidence, 'l1-writable')
    if (told.length > 0) {
      const [entry] = refusedEntries(evidence)
      return {
        score: 76,
        title: `A writable mapping of ${frameName(entry?.fields ?? {})} was refused: the page has another type.`,
        lines: linesOf([...told, ...refusedEntries(evidence)]),
      }
    }
    const unexplained = saysWhy(evidence)
      ? []
      : refusedEntries(evidence).filter(
          (entry) => asksToWrite(entry) && !/^3275[34]$/.test(entry.fields.pg_owner ?? ''),
        )
    if (unexplained.length > 0) {
      const [{ fields }] = unexplained
      return {
        score: 56,
        title: `One reading: ${frameName(fields)} has another type, so the entry, which asks for RW, cannot have it writable.`,
        lines: linesOf(unexplained),
      }
    }
    const busy = failedCalls(evidence).filter(({ op, result }) => SETS_ENTRY.includes(op) && result === -16)
    if (busy.length === 0) return gaveUpOnBusy(evidence)
    return {
      score: 86,
      title:
        'A mapping was refused with -16 (EBUSY): the page is not to be had with that permission, most likely it is a table or was made read-only for good.',
      lines: linesOf(busy),
      details: [
        "Only the guest's side is in the log; EBUSY is what Xen answers when a page cannot get the writable type, or has another owner.",
      ],
    }
  },
  signature: [
    '`Bad type` with an `exp` of type writable and a `saw` of another type: L1 to L4, or a descriptor page; around it no sign that the page was freed and no foreign owner.',
    '`Could not get page type PGT_writable_page` (Xen 4.2 and later) and `Error getting mfn ... from L1 entry ...` belong to the same refusal.',
    'Seen from the guest alone: `multicall(s) failed`, or a warning with `result=-16` (EBUSY) of an `op=1` (mmu_update) or `op=14` (update_va_mapping) whose new entry has RW set.',
    'Older Xen releases (3.x) return -22 (EINVAL) for it.',
    'A line `xen: setting RW the range A - B` before it, with the refused page in that range: the kernel gives back what it has not used of its buffer for early page tables, and that page has become a table.',
  ],
  explanation: [
    'A writable entry needs the type writable for its frame. As long as the frame is a page table in use, or holds segment descriptors for a GDT or LDT, it has that other type, and Xen refuses the entry with EBUSY. Nothing changes: the old entry stays in place.',
    'The guest meant a page that must not be writable under Xen, and did not know it. A typical case is code that makes a range writable again as a whole, with a table or a descriptor page in its middle, or code that makes a writable alias of pages which another mapping keeps read-only.',
    "Linux 2.6.39-rc6 and rc7 did that to themselves. Their workaround a38647837a41 gives the unused rest of a buffer for page tables its write permission back late, for the last buffer behind sparse_init(). The pages are free memory meanwhile: where the rest of the first buffer is used up, the tables of the vmemmap are taken from them, and the workaround then wants tables to be writable. Xen's refusal ends in the kernel's BUG().",
    'Code that changes permissions by 2 MiB pages is at risk too. Xen offers a PV guest no large pages by default, so the same call runs through the L1 tables of the range and meets pages that native code would not touch one by one. A module loader that makes a writable alias of its read-only, executable area fails in this way.',
  ],
  check: [
    "Decode the frame in the refused entry and find out what it is to the guest: a page table, its GDT or LDT, part of the module area. The type in `saw` tells when Xen's line is there.",
    "Without Xen's line, ask for the same failure on a Xen with debug=y, or look up the pfn in the guest's own lists. A result of -1 in place of -16 means a different refusal: see mmio-denied.",
    'Read the call trace for who changes the permission: set_memory_rw(), a module or BPF loader, text patching.',
    'Check the order of unlink and remap. A table has to be unpinned and taken out of its tree before its page becomes writable.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '279b706bf800',
      release: '2.6.39',
      what: 'Gives the unused part of a buffer for early page tables its write permission back when each mapping is done, before anybody can get its pages.',
    },
    {
      project: 'Linux',
      commit: '92bdaef7b2c5',
      release: '2.6.39',
      what: 'Withdraws the workaround a38647837a41, which did so too late for the last buffer.',
    },
  ],
  avoid: [],
}

/** A release build prints nothing: a kernel that gave up, with EBUSY in a register. */
function gaveUpOnBusy(evidence: Evidence): Match | undefined {
  const trap = recordsOf(evidence, 'trap').find(({ vector }) => vector === 6)
  if (trap === undefined || hasRefusals(evidence)) return undefined
  for (const { values, line } of recordsOf(evidence, 'registers')) {
    const found = Object.entries(values).find(([, value]) => errnoOf(value) === '-EBUSY')
    if (found === undefined) continue
    return {
      score: 71,
      title: `The kernel gave up when Xen had answered -16 (EBUSY): most likely it wanted a page writable that is a table.`,
      lines: [trap.line, line],
      details: [`${found[0]} is ${found[1]}: -EBUSY.`, 'This build of Xen prints no line for a refusal.'],
    }
  }
  return undefined
}
