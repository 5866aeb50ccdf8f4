import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const missingL1ForGrantMap: Cause = {
  class: 'missing-l1-for-grant-map',
  name: 'No L1 entry for a grant mapping',
  match: (evidence) => {
    const missing = messagesOf(evidence, 'grant-no-l1')
    if (missing.length === 0) return undefined
    const address = missing[0].fields.addr ?? missing[0].fields.va
    return {
      score: 95,
      title: `Xen could not map a grant at ${address ?? 'an address'}: the tables in use have no L1 there, and a hypercall cannot fault to get one.`,
      lines: linesOf(missing),
    }
  },
  signature: [
    '`Could not find L1 PTE for address ...`, from Xen 4.10 on `Could not find L1 PTE for linear address ...` or `... for linear ...`; the printed address is a kernel address of the guest, often in its vmalloc area.',
    "On the guest's side a failed grant map operation: a backend that cannot attach to its ring.",
  ],
  explanation: [
    'When a guest maps a granted page at a virtual address, Xen itself writes the entry. For that the L1 table of that address has to be linked in the tables that are in use at this moment. Xen looks for it and makes none.',
    'The kernel had reserved the address and had built the tables for it in its reference tables only. The tables of the running process did not have that part yet. Native code copies it when the first access faults. In a hypercall no such fault can happen, so nothing fills the gap.',
    'Whether it fails depends on which address space is current: a thread that borrows the tables of another process works or fails by chance, and the same driver works on the next try.',
  ],
  check: [
    'See whether the address lies in an area whose top-level entries are copied on demand: that is vmalloc in 32-bit PAE guests above all.',
    'Find who reserved the area (alloc_vm_area or its like), and whether it synchronises all address spaces before the hypercall.',
    'Alternatively see whether the area is touched in the current address space, or whether the driver names the entry by its machine address instead.',
    'The line is a debug line of Xen: releases from 4.6 on print it only in a debug build. Without it, look at the status that the grant operation returned.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Puts the call that synchronises the vmalloc area into all address spaces back into alloc_vm_area().',
    },
  ],
  avoid: [],
}
