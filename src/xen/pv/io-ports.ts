import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { kernelRootOf } from '../pv-vcpu.ts'

/**
 * Ports of a machine on which no device answers. What is left are two registers of Xen's own, which hold what a domain has
 * written there: the index of the CMOS's clock and the address of a PCI register. Xen: guest_io_read(), guest_io_write().
 */
const CMOS_INDEX = 0x70
const PCI_ADDRESS = 0xcf8

/** What a domain reads at a port, of 1, 2 or 4 bytes: its own latches, else ones. */
export function readPort(domain: Domain, port: number, size: number): number {
  if (port === PCI_ADDRESS && size === 4) return domain.pciAddress
  let value = 0
  // Byte by byte, as each port of a wider access is a device of its own.
  for (let i = 0; i < size; i++) {
    value |= (port + i === CMOS_INDEX ? domain.cmosIndex : 0xff) << (8 * i)
  }
  return value >>> 0
}

/** A domain writes to a port. What nothing answers for is forgotten. */
export function writePort(domain: Domain, port: number, size: number, value: number): void {
  if (port === PCI_ADDRESS && size === 4) {
    domain.pciAddress = value >>> 0
    return
  }
  const at = CMOS_INDEX - port
  if (at >= 0 && at < size) domain.cmosIndex = (value >>> (8 * at)) & 0xff
}

/**
 * Whether the guest's own bitmap lets it use all of so many ports: their bits are 0. It is read by the tables of the guest's
 * kernel, whoever asks, and what cannot be read denies. Xen: guest_io_okay().
 */
export function isGranted(call: Call, first: number, count: number): boolean {
  const { xen, vcpu } = call
  const bitmap = vcpu.ioBitmap
  if (bitmap === null) return false
  const end = first + count
  if (xen.version.rules.ioBitmapReachesEnd ? end > bitmap.ports : end >= bitmap.ports) return false
  return byKernelTables(call, () => {
    for (let port = first; port < end; port++) {
      const byte = copyByteFromGuest(call.port, bitmap.at + (port >>> 3))
      if (byte === -1 || ((byte >>> (port & 7)) & 1) !== 0) return false
    }
    return true
  })
}

/** Look at something as the guest's kernel has it mapped: guest_kernel_mode is put on and off by toggle_guest_pt(). */
function byKernelTables({ vcpu, port }: Call, look: () => boolean): boolean {
  const { root } = port
  if (port.kernelMode) return look()
  port.root = kernelRootOf(vcpu)
  port.tlb.flush()
  const seen = look()
  port.root = root
  port.tlb.flush()
  return seen
}
