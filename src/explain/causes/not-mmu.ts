import { isXen, recordsOf } from '../evidence.ts'
import { vectorName } from '../log/xen-lines.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const notMmu: Cause = {
  class: 'not-mmu',
  name: 'Not a page-type problem',
  match: (evidence) => {
    if (!isXen(evidence)) return undefined
    const traps = recordsOf(evidence, 'trap').filter(({ vector }) => vector !== 14)
    if (traps.length > 0) {
      const [first] = traps
      return {
        // An invalid opcode is a BUG(), which many a refusal ends in; other exceptions are no business of page types.
        score: first.vector === 6 || first.vector === 3 ? 40 : 63,
        title: `The guest died of an exception that it had no handler for, ${vectorName(first.vector)}; nothing in the log is a refused page.`,
        lines: linesOf(traps),
      }
    }
    const ends = [
      ...recordsOf(evidence, 'crash'),
      ...recordsOf(evidence, 'guest-fault'),
      ...recordsOf(evidence, 'guest-bug'),
    ]
    return {
      score: ends.length > 0 ? 30 : 10,
      title:
        ends.length > 0
          ? 'Something failed, and nothing in the log is a refused page or page table.'
          : 'Nothing failed in this log as far as page tables go.',
      lines: linesOf(ends.slice(0, 5)),
    }
  },
  signature: [
    'A healthy boot or an orderly end, or a crash by something other than memory: `general protection fault` (`#GP`), an invalid opcode whose place in the guest is no Xen hook, a machine check, a panic of the guest about its own matters.',
    'None of the lines by which Xen tells of a refused page: no `Bad type`, no failed pin, no `Error getting mfn`, no `Bad L1 flags`, no failed multicall.',
    'A page fault alone is no such sign: a walk that ends in an empty entry is for the guest to explain.',
  ],
  explanation: [
    "Xen's rules about page types are one of many reasons why a PV guest can stop. A type violation always has a refused hypercall or a refused store in it, and Xen's line or the guest's failed call shows that in most logs. Nothing of the kind is in this one.",
    'A trap without a handler ends the same way, whatever its cause: `Unhandled ... fault/trap`, `domain_crash_sync`, the registers. That frame around a crash says just that the guest had no handler yet. A general protection fault in early boot, for example, is a privileged instruction or a port access that Xen does not grant: a dom0 that reads PCI configuration space (port 0xcf8) before it has asked for the right to do so dies in that way.',
    "It would be wrong to look for a mapping to blame. The place in the guest's code is what counts here.",
  ],
  check: [
    'Resolve RIP with System.map or addr2line and look at the instruction there: rdmsr, wrmsr, in, out or iret each have rules of their own.',
    'Look at the registers that such an instruction takes: dx is the port, cx the number of the MSR.',
    "A page fault whose walk is complete, and whose last entry allows the access, points to a CPU feature such as SMAP or to an emulator, and not to Xen's rules.",
    'If a refusal is suspected all the same, ask for a debug build of Xen and `guest_loglvl=all`: a release build since 4.6 is silent about most of them.',
  ],
  fixes: [
    {
      project: 'Linux',
      commit: 'ec35a69c467',
      what: 'Sets the I/O permission of dom0 before the first access to PCI configuration space; one case of many.',
    },
  ],
  avoid: [],
  benign: true,
}
