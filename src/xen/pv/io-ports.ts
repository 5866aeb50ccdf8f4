import { type Board, PM, PM_BYTES, readBoard, readClock, writeBoard } from '../../machine/board/board.ts'
import type { Call } from '../call.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { kernelRootOf } from '../pv-vcpu.ts'

/**
 * Two registers of Xen's own, which hold what a domain has written there: the index of the CMOS's clock and the address of a
 * PCI register. Of a machine without a board, and of devices that a domain does not own, they are all that there is.
 */
const CMOS_INDEX = 0x70
const CMOS_DATA = 0x71
const PCI_ADDRESS = 0xcf8
/** The counter and the speaker's gate, which Xen passes on to dom0: pv_pit_handler(), hwdom_pit_access(). */
const PIT_PORTS: ReadonlySet<number> = new Set([0x42, 0x43, 0x61])

/** Ports that dom0 does not own, first and last: PICs, PIT, speaker, data of PCI registers. Xen: dom0_setup_permissions(). */
const DENIED: readonly (readonly [first: number, last: number])[] = [
  [0x20, 0x21],
  [0x40, 0x43],
  [0x61, 0x61],
  [0xa0, 0xa1],
  [0xcfc, 0xcff],
]

/** What a domain reads at a port, of 1, 2 or 4 bytes. What nothing answers for reads as ones. Xen: guest_io_read(). */
export function readPort(call: Call, port: number, size: number): number {
  if (port === PCI_ADDRESS && size === 4) return call.domain.pciAddress
  let value = 0
  // Byte by byte, as each port of a wider access is a device of its own.
  for (let i = 0; i < size; i++) value |= readByte(call, port + i) << (8 * i)
  return value >>> 0
}

/** A domain writes to a port. What nothing answers for is forgotten. Xen: guest_io_write(). */
export function writePort(call: Call, port: number, size: number, value: number): void {
  if (port === PCI_ADDRESS && size === 4) {
    call.domain.pciAddress = value >>> 0
    return
  }
  for (let i = 0; i < size; i++) writeByte(call, port + i, (value >>> (8 * i)) & 0xff)
}

function readByte(call: Call, port: number): number {
  const { xen, domain } = call
  const board = boardOf(call, port)
  if (keepsIndex(call) && port === CMOS_INDEX) return domain.cmosIndex
  if (board === null) return 0xff
  const { now } = xen.clock
  return keepsIndex(call) && port === CMOS_DATA
    ? readClock(board, now, domain.cmosIndex & 0x7f)
    : readBoard(board, now, port)
}

function writeByte(call: Call, port: number, byte: number): void {
  const { xen, domain } = call
  if (keepsIndex(call) && port === CMOS_INDEX) {
    domain.cmosIndex = byte & xen.version.abi.cmosIndexMask
    return
  }
  const board = boardOf(call, port)
  if (board !== null) writeBoard(board, xen.clock.now, port, byte)
}

/** Whether Xen has the index of the clock for the domain: of all, but that dom0 of 2011 has the clock itself. */
function keepsIndex({ xen, domain }: Call): boolean {
  return !(domain.privileged && xen.board !== null && xen.version.rules.clockIsDirect)
}

/** The board that answers for a port of the domain's; null where nothing does. */
function boardOf({ xen: { board }, domain }: Call, port: number): Board | null {
  if (board === null || !domain.privileged) return null
  if (PIT_PORTS.has(port)) return board
  const isTimer = board.hasAcpi && port >= PM.timer && port < PM.timer + PM_BYTES.timer
  const isDenied = isTimer || DENIED.some(([first, last]) => port >= first && port <= last)
  return isDenied ? null : board
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
