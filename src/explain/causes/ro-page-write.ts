import { hexOf, readPte } from '../decode/values.ts'
import { isXen, recordsOf, walkAddress, walkEnd } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const roPageWrite: Cause = {
  class: 'ro-page-write',
  name: 'A store hit a read-only page',
  match: (evidence) => {
    const follows = evidence.badTypes.length > 0
    for (const walk of recordsOf(evidence, 'walk')) {
      const { readOnlyAt } = walkEnd(walk)
      if (readOnlyAt === undefined) continue
      const entry = walk.levels.find(({ level }) => level === readOnlyAt)!
      const pte = readPte(entry.entry)
      return {
        score: follows ? 52 : 89,
        title: `A write to ${hexOf(walkAddress(walk))} hit a page that is mapped read-only (L${readOnlyAt} entry ${entry.entry}, without RW).`,
        lines: [walk.line],
        details: [`Frame ${pte?.mfn}, flags ${pte?.flags}: present, and RW is not among them.`],
      }
    }
    const pv = isXen(evidence)
    // Error code 3: the page was present (bit 0) and the access was a write (bit 1), by the kernel (bit 2 clear).
    const faults = [
      ...recordsOf(evidence, 'guest-fault'),
      ...recordsOf(evidence, 'trap').filter(({ vector }) => vector === 14),
    ]
    const write = faults.find(({ errorCode }) => errorCode !== undefined && (errorCode & 0x17) === 3)
    if (write === undefined || !pv) return undefined
    return {
      score: follows ? 52 : 84,
      title:
        'The kernel wrote to a page that is mapped read-only: under Xen that is a page table, or memory that was one.',
      lines: linesOf([write]),
      details: ['The error code is 3: the page was present, the access a write of the kernel.'],
    }
  },
  signature: [
    'A page fault with the write bit and the present bit in its error code: `ec=0003`, `#PF[0003]`, `Oops: 0003`.',
    'The page walk is complete, and the last entry is present without RW, as in an entry that ends in `025` or `065`: present, user and accessed are set, and bit 1 is clear.',
    'No `Bad type` line and no failed pin: Xen refused nothing.',
    "Without an error code: a walk of an address near rsp, then `domain_crash_sync` in create_bounce_frame. There Xen itself could not push the frame of an exception on the guest's stack.",
  ],
  explanation: [
    'A PV guest holds its page tables and descriptor pages read-only, and often its code and constants. A store to such a page is a page fault like any other. Xen only steps in when the page is a live L1 table: then it carries out the store for the guest, if the entry is allowed.',
    'Here the page is no such table, or the store was nothing that Xen emulates, so the guest gets the fault. If it has no handler yet, or if the stack itself is the read-only page, the domain is crashed.',
    "Two causes are common. The stack grew down into read-only pages, such as the kernel's tables or constants. Or a page was made read-only because it might have become a table, was not used as one, and was handed to the allocator without its write permission: Linux 2.6.39-rc7 so lost the pages of NODE_DATA.",
  ],
  check: [
    'Compare the faulting address with rsp. If both lie close together, the stack overflowed or was set up in the wrong place.',
    'Look up the pfn of the last entry in the guest: what lies there, and who made it read-only.',
    'Compare the pfn with the unused end of the buffer for early page tables: a page from there points to a missing change back to writable.',
    'Resolve RIP with System.map: memset() in an early allocator means memory that was handed out read-only.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: '279b706bf800',
      release: '2.6.39',
      what: 'Gives the unused part of the buffer for page tables its write permission back when each mapping is done.',
    },
    {
      project: 'Linux',
      commit: '92bdaef7b2c5',
      release: '2.6.39',
      what: 'Withdraws the workaround a38647837a41, which left the tail of the second buffer read-only.',
    },
  ],
  avoid: [],
}
