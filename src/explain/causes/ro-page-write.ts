import type { Cause } from './cause.ts'

export const roPageWrite: Cause = {
  class: 'ro-page-write',
  name: 'A store hit a read-only page',
  match: () => undefined,
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
