import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'

/** The frame of the local APIC's registers, at the beginning of the window that interrupt messages are written to. */
const LAPIC_FRAME = 0xfee00

/**
 * Whether a domain may map a device's frame. dom0 may, but for the pages of the local APIC and of interrupt messages, and
 * in newer versions no further than the CPU's addresses reach, and not its links. Xen: iomem_access_permitted().
 */
export function mayMapDevice({ host, version }: Hypervisor, domain: Domain, mfn: number): boolean {
  const { passedThrough = [], addressBits = 46, cpuLinks } = host
  if (!domain.privileged) return passedThrough.some((range) => mfn >= range.start && mfn < range.end)
  const { deniedLapicPages, deniesUnaddressable } = version.rules
  if (mfn >= LAPIC_FRAME && mfn < LAPIC_FRAME + deniedLapicPages) return false
  if (!deniesUnaddressable) return true
  const isLink = cpuLinks !== undefined && mfn >= cpuLinks.start && mfn < cpuLinks.end
  return !isLink && mfn < 2 ** (addressBits - 12)
}
