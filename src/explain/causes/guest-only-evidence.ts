import { errnoOf, errnoText, hypercallName } from '../decode/values.ts'
import { crashed, type Evidence, hasRefusals, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { failedCalls, linesOf } from './shared.ts'

export const guestOnlyEvidence: Cause = {
  class: 'guest-only-evidence',
  name: "Only the guest's half of a refusal",
  match: (evidence) => {
    if (hasRefusals(evidence)) return undefined
    const multicalls = recordsOf(evidence, 'multicall').filter(({ failed }) => failed > 0)
    if (multicalls.length > 0) {
      const [first] = failedCalls(evidence)
      const detail =
        first === undefined ? '' : `: ${hypercallName(first.op)} answered ${errnoText(first.result)}`
      return {
        score: 55,
        title: `A batch of hypercalls failed${detail}; why is not in this log, only Xen's own console says it.`,
        lines: linesOf(multicalls),
      }
    }
    const bugs = recordsOf(evidence, 'guest-bug').filter(({ place }) => place?.includes('arch/x86/xen/'))
    if (bugs.length > 0) {
      return {
        score: 50,
        title: `The kernel's Xen code stopped at ${bugs[0].place}; why is not in this log, only Xen's own console says it.`,
        lines: linesOf(bugs),
      }
    }
    // A fault in one of the kernel's own Xen hooks, where Xen has answered something that the kernel could not take.
    const faults = [...recordsOf(evidence, 'guest-fault'), ...recordsOf(evidence, 'guest-bug')]
    if (faults.length > 0 && inMmuHook(evidence)) {
      return {
        score: 45,
        title:
          'The kernel died in one of its Xen hooks for page tables; what Xen had answered is not in this log.',
        lines: linesOf(faults),
      }
    }
    const trap = recordsOf(evidence, 'trap').find(({ vector }) => vector === 6 || vector === 3)
    if (trap === undefined || !crashed(evidence)) return undefined
    const dump = recordsOf(evidence, 'registers').find(({ values }) =>
      Object.values(values).some((value) => errnoOf(value) !== undefined),
    )
    if (dump === undefined) return undefined
    const [name, value] = Object.entries(dump.values).find(([, text]) => errnoOf(text) !== undefined)!
    return {
      score: 54,
      title: `The guest stopped itself after a hypercall had failed (${name} is ${errnoOf(value)}); which and why this build of Xen does not print.`,
      lines: linesOf([trap, dump]),
    }
  },
  signature: [
    '`multicall(s) failed`, a warning in xen_mc_flush, or a BUG() in a Xen hook of the guest, and no line of Xen about page types or frames.',
    'Where single calls are listed, `result=-22` is EINVAL, `-16` is EBUSY and `-1` is EPERM; `op=1` is mmu_update, `op=14` is update_va_mapping, `op=26` is mmuext_op.',
    'Nothing in the results decides between the classes: there is no entry with an address, no result, or only the count of failed calls.',
  ],
  explanation: [
    "When Xen refuses an update, the guest learns an error number and nothing else. Which frame was concerned, which type it had and who else refers to it is said in Xen's own lines.",
    'Since Xen 4.6 (commit 28fbff96c1) a release build does not contain most of those lines, and no log level brings them back. On a rented host they exist, if at all, where only the provider can read them. So a refusal by a release Xen looks like this.',
    'Some of it can be recovered. The number of the operation and the error say what kind of refusal it was: -22 at a pin points to a frame with a wrong type, -16 at an update to a frame that is in use as something else or has another owner, -1 to device memory. An entry in the arguments gives frame and flags.',
  ],
  check: [
    "Fetch Xen's side: `xl dmesg` in dom0, best right after the failure, and the host's serial console if dom0 died.",
    'Boot Xen with `loglvl=all guest_loglvl=all`. If nothing more appears and the version is 4.6 or later, it is a release build: ask for the same failure on a build with debug=y.',
    'Boot the guest with `earlyprintk=xen`, and use a kernel that lists the calls of a failed batch, to get operation, arguments and result of each call.',
    'Decode the last argument of a failed mmu_update as an entry: its frame and its flags select the class.',
    'Read the call trace for what the guest was doing: a new table, a freed one, a change of permission, or a device.',
  ],
  fixes: [],
  avoid: [],
}

const MMU_HOOK =
  /^_*xen_(?:mc_|set_|alloc_|release_|make_|pgd|pmd|pte|pin|unpin|write_cr3|batched|extend_mmu|ptep_|do_pin|remap|setup_kernel)/

/** Whether the innermost function of a trace, or the one beside RIP, is a hook of Linux's arch/x86/xen/mmu. */
function inMmuHook(evidence: Evidence): boolean {
  return (
    recordsOf(evidence, 'registers').some(({ symbol }) => symbol !== undefined && MMU_HOOK.test(symbol)) ||
    recordsOf(evidence, 'calls').some(({ symbols }) =>
      symbols.slice(0, 3).some((name) => MMU_HOOK.test(name)),
    )
  )
}
