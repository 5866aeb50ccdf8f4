import type { Cause } from './cause.ts'

export const linearPtDisabled: Cause = {
  class: 'linear-pt-disabled',
  name: 'Recursive page tables are switched off',
  match: () => undefined,
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
