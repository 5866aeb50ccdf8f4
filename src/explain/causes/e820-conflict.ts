import type { Cause } from './cause.ts'

export const e820Conflict: Cause = {
  class: 'e820-conflict',
  name: 'Host map has a hole under the kernel',
  match: () => undefined,
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
