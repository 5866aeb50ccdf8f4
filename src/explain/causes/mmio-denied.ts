import type { Cause } from './cause.ts'

export const mmioDenied: Cause = {
  class: 'mmio-denied',
  name: 'A device frame was denied',
  match: () => undefined,
  signature: [
    '`Non-privileged attempt to map I/O space`, `non-privileged attempt to map MMIO space`, or `attempted to map MMIO space` in the name of another domain.',
    '`Error getting mfn` with a `pg_owner` of 32753 (0x7ff1), the pseudo-domain that owns device memory.',
    'From the guest alone: `multicall(s) failed` with an `op=1` of `result=-1` (EPERM); its last argument is the entry, often with NX and the cache bits set, and ioremap or ACPI functions are in the trace.',
  ],
  explanation: [
    'Frames that are no RAM, such as the registers of devices, have no type and no owner among the guests. A domain may map such a frame only if it was given the right to it: dom0 has most of them, a driver domain those of its devices. All others are refused with EPERM.',
    'Some ranges are denied to dom0 too, because Xen drives the hardware behind them: the local APIC, the I/O APICs, the window for message signalled interrupts at frame fee00 and above, and the IOMMUs. Firmware can name addresses there, for example in an ACPI method, and the guest maps what it is told.',
    'In a driver domain an address may also be an artefact: a frame just above the end of RAM, such as 100000, can come from a range that the guest took for RAM or for a hole and that is neither of the two on this host.',
  ],
  check: [
    "Decode the frame in the entry and look it up in the host's memory map and in the list of PCI resources (`lspci -v`): whose registers are these?",
    'A frame from fec00 to fec3f is an I/O APIC, from fee00 to feeff is the local APIC and the interrupt window: the denial is deliberate.',
    "For a domain with an assigned device see whether the toolstack granted the range (`iomem` and `pci` in the domain's configuration).",
    "Read the trace for who asked: acpi_os_map_iomem and acpi_ex_ functions mean that the firmware's code chose the address.",
    'See what the guest lost: a driver that failed, or only a warning. If it works on, the denial is harmless.',
  ],
  fixes: [],
  avoid: [],
}
