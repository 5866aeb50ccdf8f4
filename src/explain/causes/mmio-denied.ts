import { domainText, readPte } from '../decode/values.ts'
import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { failedCalls, linesOf, refusedEntries, SETS_ENTRY } from './shared.ts'

export const mmioDenied: Cause = {
  class: 'mmio-denied',
  name: 'A device frame was denied',
  match: (evidence) => {
    const denied = messagesOf(evidence, 'mmio-denied')
    const io = refusedEntries(evidence).filter(({ fields }) => fields.pg_owner === '32753')
    if (denied.length > 0 || io.length > 0) {
      const mfn = (denied[0] ?? io[0]).fields.mfn
      return {
        score: denied.length > 0 ? 94 : 92,
        title: `Xen denied the guest machine frame ${mfn}, which is not RAM: the domain has no permission for that device memory.`,
        lines: linesOf([...denied, ...io]),
        details: io.length === 0 ? [] : [`pg_owner is ${domainText('32753')}.`],
      }
    }
    const refused = failedCalls(evidence).filter(({ op, result }) => SETS_ENTRY.includes(op) && result === -1)
    if (refused.length === 0) return undefined
    const entry = readPte(refused[0].args.at(-1) ?? '')
    const place = entry === undefined ? undefined : deviceMemory(Number.parseInt(entry.mfn, 16))
    return {
      score: place !== undefined ? 90 : entry !== undefined ? 80 : 52,
      title:
        entry === undefined
          ? 'Xen refused a mapping with -1 (EPERM): the guest has no permission for that machine frame.'
          : `Xen refused to map machine frame ${entry.mfn} with -1 (EPERM)${place === undefined ? '' : `: it lies in ${place}`}.`,
      lines: linesOf(refused),
      details:
        entry === undefined
          ? []
          : [`The entry was ${refused[0].args.at(-1)}: frame ${entry.mfn}, ${entry.flags}.`],
    }
  },
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

/** Well-known places of the physical address space that are not RAM, by frame. */
function deviceMemory(mfn: number): string | undefined {
  if (mfn >= 0xfee00 && mfn < 0xfef00)
    return 'the window of the local APICs and of message-signalled interrupts'
  if (mfn >= 0xfec00 && mfn < 0xfed00) return 'the window of the I/O APICs'
  if (mfn >= 0xa0 && mfn < 0x100) return "the PC's VGA and ROM area"
  if (mfn >= 0xe0000 && mfn < 0x100000) return 'the range below 4 GiB where devices and firmware are'
  return undefined
}
