import { layoutConflicts, movedAway } from '../decode/layout.ts'
import { errnoOf } from '../decode/values.ts'
import { afterBoot, crashed, hasMark, hasRefusals, recordsOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const e820Conflict: Cause = {
  class: 'e820-conflict',
  name: 'Host map has a hole under the kernel',
  match: (evidence) => {
    const said = recordsOf(evidence, 'mark').filter(({ mark }) => mark === 'e820-conflict')
    const conflicts = layoutConflicts(evidence).filter((conflict) => !movedAway(evidence, conflict))
    if (conflicts.length > 0 && !afterBoot(evidence)) {
      const [{ placed, range }] = conflicts
      return {
        score: said.length > 0 ? 95 : 88,
        title: `Dom0 has ${placed.type} at ${hex(placed.start)} to ${hex(placed.end)}, where the host has ${range.type} (${hex(range.start)} to ${hex(range.end)}): the kernel's layout does not fit the machine's map.`,
        lines: linesOf([...conflicts.map((conflict) => conflict.placed), ...said]),
      }
    }
    if (said.length > 0)
      return {
        score: 93,
        title: "The kernel says that what Xen loaded conflicts with the machine's memory map.",
        lines: linesOf(said),
      }
    // BUG() before the first handler, without a refusal and without an error in a register: the checks of memory set-up
    // are the BUG()s that come so early. Xen's hypercall helpers lie at the image's start, set-up code at its end.
    const trap = recordsOf(evidence, 'trap').find(({ vector }) => vector === 6)
    if (trap === undefined || hasRefusals(evidence) || hasMark(evidence, 'early-tables')) return undefined
    const dump = recordsOf(evidence, 'registers').find(({ values }) => values.rip !== undefined)
    if (Object.values(dump?.values ?? {}).some((value) => errnoOf(value) !== undefined)) return undefined
    const rip = dump === undefined ? undefined : BigInt(`0x${dump.values.rip}`)
    const inSetUp = rip !== undefined && rip >= LATE_IN_IMAGE && rip < END_OF_IMAGE
    if (!crashed(evidence) && dump === undefined) return undefined
    return {
      score: inSetUp ? 70 : 45,
      title: `The kernel hit a BUG() in its first steps${rip === undefined ? '' : ` at ${dump!.values.rip}`}, before it could say anything: most likely its place conflicts with the memory map it was given.`,
      lines: linesOf([trap, ...(dump === undefined ? [] : [dump])]),
      details: [
        "Xen printed no refusal. What would decide: the function at that address in the kernel's System.map; xen_memory_setup means a conflict.",
      ],
    }
  },
  signature: [
    '`Unhandled invalid opcode` (`#UD`) very early, with RIP in the function that sets up the memory map: xen_memory_setup in Linux.',
    "The layout in Xen's boot log tells it without the crash: the range that the kernel, the initrd, the page tables or the p2m list take as pseudo-physical addresses (`paddr 0x1000000 -> 0x4000000`, `Page tables:`) overlaps a range of the host map that is not `(usable)`, such as `(ACPI NVS)` at 0x4000000.",
    "The kernel's own words, if they got out: `Xen hypervisor allocated kernel memory conflicts with E820 map`.",
  ],
  explanation: [
    "Xen loads a PV kernel at the pseudo-physical addresses that the kernel asks for, with its start-of-day tables and lists behind it, without any regard to the host's memory map. A dom0, or a guest with e820_host=1, then lays out its memory after that map, so that the addresses of devices and of firmware tables are the same as the host's.",
    'Where the host map has a hole or a reserved range at the very place of what Xen has loaded, both cannot be true. Linux can move the initrd and the p2m list out of the way. It could not move itself or the tables in use, and stops with BUG(), before it has a trap handler and often before it can print.',
    'The outcome therefore depends on the firmware and the size of the kernel: an update of either one can bring it about or cure it, though nothing in the page tables is wrong.',
  ],
  check: [
    'Draw the ranges on one line: kernel image, initrd, p2m, page tables, against each range of the host map that is not usable RAM.',
    'Look up RIP in System.map to confirm xen_memory_setup; the message itself appears with `earlyprintk=xen`.',
    'Ask for the full `xl dmesg` from boot: the host map, `Dom0 kernel: ... paddr`, and the section VIRTUAL MEMORY ARRANGEMENT.',
    'For a domU ask whether e820_host is set in its configuration; guests with a passed-through PCI device commonly have it.',
  ],
  fixes: [
    {
      project: 'Linux',
      release: '6.12',
      what: 'Moves the ranges that are not RAM, ACPI NVS among them, elsewhere in the p2m when they conflict with the kernel.',
    },
  ],
  avoid: [
    "For a domU on kernels before 6.6: e820_host=0 in the domain's configuration.",
    'Build the kernel with CONFIG_PHYSICAL_START=0x200000, so that it ends below the range.',
  ],
}

/** A kernel's set-up code lies behind its text and data; 8 MiB is less than any that boots as PV today has before it. */
const LATE_IN_IMAGE = 0xffffffff81800000n
const END_OF_IMAGE = 0xffffffffa0000000n

function hex(bytes: number): string {
  return `0x${bytes.toString(16)}`
}
