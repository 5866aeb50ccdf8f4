import { errnoOf } from '../decode/values.ts'
import { hasRefusals, messagesOf, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const linearPtDisabled: Cause = {
  class: 'linear-pt-disabled',
  name: 'Recursive page tables are switched off',
  match: (evidence) => {
    const off = messagesOf(evidence, 'linear-off')
    if (off.length > 0) {
      return {
        score: 95,
        title: 'Xen refused a recursive (linear) page-table entry: this Xen has the feature switched off.',
        lines: linesOf(off),
      }
    }
    // A release build says nothing: a kernel that is not Linux panics into its debugger with -EINVAL in a register.
    const trap = recordsOf(evidence, 'trap').find(({ vector }) => vector === 3)
    if (trap === undefined || hasRefusals(evidence)) return undefined
    for (const { values, line } of recordsOf(evidence, 'registers')) {
      const found = Object.entries(values).find(([, value]) => errnoOf(value) === '-EINVAL')
      if (found === undefined) continue
      return {
        score: 72,
        title: `A kernel stopped itself by a breakpoint after Xen had answered -22 (EINVAL): most likely its recursive page-table entry was refused.`,
        lines: [trap.line, line],
        details: [
          `${found[0]} is ${found[1]}: -EINVAL.`,
          'This build of Xen prints no line for a refused entry.',
        ],
      }
    }
    return undefined
  },
  signature: [
    '`Attempt to create linear p.t. (feature disabled)` in a debug build of Xen.',
    'A release build prints nothing. The guest then stops in its own panic or debugger trap early in its start, such as `Unhandled bkpt`, and `ffffffea` (-22, EINVAL) is in a register or on its stack.',
    'The guest is one that maps its page tables into itself, such as NetBSD; Linux does not.',
  ],
  explanation: [
    'A recursive entry, also called linear page table, is an entry of a table that points to a table of the same level, usually to itself. The guest then sees all its tables in one window of its address space. Xen can allow that if the entry is read-only, and keeps a count of its own for such references.',
    'After XSA-240 in 2017 this became an option of Xen. Where it is off, by the build (CONFIG_PV_LINEAR_PT) or by default or by the switch, each recursive entry is refused with EINVAL.',
    'A guest that is built around its recursive entry cannot start without it. It fails at its first top-level table, before it has a console, and so the cause is seen only as an error number in a register.',
  ],
  check: [
    "Ask for Xen's version, its build configuration and its command line: `pv-linear-pt` and CONFIG_PV_LINEAR_PT decide.",
    "Look for ffffffea, alone or with leading f digits, in the registers and in the guest's stack in the dump; resolve RIP with the guest's symbols to see which hypercall it was.",
    'Ask whether the same guest ran on the same host before Xen was updated: the security update itself is then the change.',
    'Ask for the log of a Xen with debug=y, which names the reason in words.',
  ],
  fixes: [],
  avoid: ['Boot Xen with pv-linear-pt=true.'],
}
