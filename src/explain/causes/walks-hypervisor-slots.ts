import { isXenRange } from '../decode/regions.ts'
import { hexOf } from '../decode/values.ts'
import { calls, faultAddresses, isXen, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const walksHypervisorSlots: Cause = {
  class: 'walks-hypervisor-slots',
  name: "The guest follows Xen's own entries",
  match: (evidence) => {
    if (!isXen(evidence)) return undefined
    const updates = messagesOf(evidence, 'xen-slot')
    const walker = calls(evidence, /ptdump|walk_p[gu4m]|note_page|dump_pagetable|pgd_level|effective_prot/)
    const hit = faultAddresses(evidence).find(({ address }) => isXenRange(address))
    const reports = [...recordsOf(evidence, 'guest-fault'), ...recordsOf(evidence, 'guest-bug')]
    if (hit === undefined && updates.length === 0 && !(walker && reports.length > 0)) return undefined
    return {
      score: hit !== undefined ? (walker ? 94 : 88) : updates.length > 0 ? 80 : 87,
      title:
        hit !== undefined
          ? `The kernel went to ${hexOf(hit.address)}, in the range ffff800000000000 to ffff87ffffffffff that belongs to Xen.`
          : updates.length > 0
            ? 'The guest tried to change a slot of its table that belongs to Xen.'
            : "The kernel's page-table dump walked through slots that belong to Xen and followed entries that are not its own.",
      lines: [
        ...(hit === undefined ? [] : [hit.line]),
        ...linesOf(updates),
        ...(hit === undefined && updates.length === 0 ? linesOf(reports) : []),
      ],
    }
  },
  signature: [
    'A page fault or a bad frame while the guest walks or dumps page tables: ptdump, a walk over all L4 slots, or a debugging check in the call trace.',
    'The address that is walked lies in `ffff800000000000` to `ffff87ffffffffff`, slots 256 to 271 of the L4 (0x100 to 0x10f).',
    "The guest's fault address is often one of its direct map that has no memory behind it: it comes from a frame number of Xen that was taken for one of the guest.",
  ],
  explanation: [
    'In each L4 that Xen validates, slots 256 to 271 belong to Xen. It writes its own entries there, whatever the guest had put, and the guest can read them when it reads its L4 as memory.',
    "These entries point to Xen's tables. Their frames are no frames of the guest: they have no pfn of the guest, and turning them into an address in the direct map gives an address where nothing is mapped, or a page that is something else. A walk that follows them faults, or reports nonsense.",
    'Xen prevents nothing here and has nothing to refuse: the guest reads memory of its own and misunderstands it. Code that visits all slots of the top level has to skip this range in a PV guest.',
  ],
  check: [
    'Find the slot that was being walked: in the registers at the fault, the L4 index or an address of this range.',
    "Compare the frame in the last entry read with the guest's list from mfn to pfn: an entry without a pfn is not the guest's.",
    'Look for the loop over the top level in the code from the call trace, and for a missing test for the range that is reserved for the hypervisor.',
    "Leave out the dump to get on: checks of this kind run by configuration (CONFIG_DEBUG_WX, page-table dumps in debugfs) and not for the guest's function.",
  ],
  fixes: [],
  avoid: ["Build the guest's kernel without the page-table dump or check that the call trace names."],
}
