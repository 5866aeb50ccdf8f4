import { isVmemmap } from '../decode/regions.ts'
import { hexOf } from '../decode/values.ts'
import { calls, faultAddresses, recordsOf, walkEnd } from '../evidence.ts'
import type { Cause } from './cause.ts'

export const hookCalledTooEarly: Cause = {
  class: 'hook-called-too-early',
  name: 'A Xen hook ran before it could',
  match: (evidence) => {
    const hit = faultAddresses(evidence).find(({ address }) => isVmemmap(address))
    if (hit === undefined) return undefined
    const walk = recordsOf(evidence, 'walk').find(({ line }) => line === hit.line)
    const missing = walk === undefined ? undefined : walkEnd(walk).missing
    const hook = calls(evidence, /^xen_/)
    return {
      score: 86 + (hook ? 4 : 0) + (missing !== undefined && missing >= 3 ? 3 : 0),
      title: `The kernel looked up a struct page (${hexOf(hit.address)}) before there were any: ${hook ? 'a Xen hook' : 'something'} ran too early.`,
      lines: [hit.line],
      details:
        missing === undefined ? [] : [`The walk ends at L${missing}: that part of vmemmap was never mapped.`],
    }
  },
  signature: [
    'An unhandled page fault in early boot (`unhandled page fault (ec=0000)`, `#PF[0000]`), with RIP in a Xen hook of the guest: xen_write_cr3, xen_get_user_pgd and their like.',
    'The address is in an area that does not exist yet at that time: `ffffea...` is the array of struct page (vmemmap). The walk ends at once, as in `L4[0x1d4] = 0000000000000000 ffffffffffffffff`.',
    'The call trace has set-up functions below the hook, such as init_mem_mapping and setup_arch.',
  ],
  explanation: [
    "Linux calls hypervisors through hooks: to load CR3, to set an entry, to take a page as a table. A hook has two versions, one for early boot and one for later, which may use the kernel's own structures, such as the struct page of a table that tells whether it is pinned.",
    'Here the later version ran, or the early code newly called an operation that it had not called before, while these structures were not mapped. The access faults, the guest has no handler yet, and Xen crashes the domain.',
    'Xen refused nothing, and the tables are as they should be at this point of the boot. What changed is the order of events in the guest, mostly by work on the native boot code, which runs without fault on hardware.',
  ],
  check: [
    'Name the area of the faulting address: ffffea... is vmemmap, ffff88... is the direct map, ffffc9... is vmalloc. Then find where in the boot it is set up, and compare with the place in the trace.',
    'Read the hook that RIP is in: which structure it uses, and which version of it is installed during early boot.',
    'Look for a recent change to the order in setup_arch() or in the set-up of the direct map, and bisect there.',
    'Resolve RIP with System.map or addr2line where the log has no symbols.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: "Uses an early version of the CR3 hook (xen_write_cr3_init) until the kernel's structures exist.",
    },
  ],
  avoid: [],
}
