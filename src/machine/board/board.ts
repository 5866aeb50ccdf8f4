import { readCmos } from './cmos.ts'
import { commandPit, loadPit, newPit, type Pit, pitOutput, readPit, setGate } from './pit.ts'
import { ticksOf } from './ticks.ts'

/**
 * The board of a dom0: what a machine has besides memory and CPUs. It is nearly empty, as the smallest one on which a kernel
 * waits for nothing. All that its devices remember is in here, as plain data.
 */
export type Board = {
  /** When it was switched on: seconds since 1970. */
  readonly wallClock: number
  /** Whether its firmware left ACPI's tables, and it has the registers that they name. */
  readonly hasAcpi: boolean
  /** Whether it has an IO-APIC, and with it more lines of interrupts than the two PICs have. */
  readonly hasIoApic: boolean
  readonly pit: Pit
  /** Bits 0 and 1 of port 0x61: the counter's gate, and the speaker's. */
  speaker: number
  /** The register that port 0x70 has chosen, where a guest writes there itself. */
  cmosIndex: number
  /** The two registers of power management that keep what is written: enabled events, and control. */
  pm1Enable: number
  pm1Control: number
  /** Functions of PCI that dom0 has told Xen of, though there are none: segment, bus, device and function in 32 bits. */
  pciFunctions: readonly number[]
  /** Lines of the IO-APIC that dom0 has had set up. */
  programmedLines: readonly number[]
}

/** What a board is made with. */
export type BoardOptions = Pick<Board, 'wallClock' | 'hasAcpi'> & Partial<Pick<Board, 'hasIoApic'>>

/** Ports of the power management block, which the FADT names: events, control and the timer. */
export const PM = { event: 0x600, control: 0x604, timer: 0x608 } as const
export const PM_BYTES = { event: 4, control: 2, timer: 4 } as const

/** Lines of interrupts: of the two PICs, of an IO-APIC, and the one of power management. */
export const BOARD_IRQS = { pics: 16, ioApic: 24, sci: 9 } as const

/** The timer of ACPI: 24 bits of them. */
const PM_HERTZ = 3_579_545
/** Of the control register: ACPI is on, for good; and the bit that would send it to sleep, which is no register's. */
const [SCI_ENABLED, SLEEPS] = [0x0001, 0x2000]

/** A board that was just switched on. */
export function newBoard({ wallClock, hasAcpi, hasIoApic = false }: BoardOptions): Board {
  return {
    wallClock,
    hasAcpi,
    hasIoApic,
    pit: newPit(),
    speaker: 0,
    cmosIndex: 0,
    pm1Enable: 0,
    pm1Control: SCI_ENABLED,
    pciFunctions: [],
    programmedLines: [],
  }
}

/** A device on some ports; `port` counts from its first. Without `read` it reads as ones, and writes are forgotten without `write`. */
type Device = {
  readonly name: string
  readonly first: number
  readonly last: number
  /** Only on a board with ACPI. */
  readonly isOfAcpi?: true
  readonly read?: (board: Board, now: number, port: number) => number
  readonly write?: (board: Board, now: number, port: number, byte: number) => void
}

/**
 * What the board has, by ports; on all others nothing answers either. Those without `read` stand here because kernels look for
 * them, and ones are the answer that ends the search at once.
 */
const DEVICES: readonly Device[] = [
  { name: 'first PIC', first: 0x20, last: 0x21 },
  {
    name: 'PIT',
    first: 0x42,
    last: 0x43,
    read: ({ pit }, now, port) => (port === 0 ? readPit(pit, now) : 0),
    write: ({ pit }, now, port, byte) => (port === 0 ? loadPit : commandPit)(pit, now, byte),
  },
  // No keyboard: a status of ones has its buffer full for ever.
  { name: 'i8042', first: 0x60, last: 0x60 },
  { name: 'speaker', first: 0x61, last: 0x61, read: readSpeaker, write: writeSpeaker },
  { name: 'i8042', first: 0x64, last: 0x64 },
  {
    name: 'CMOS',
    first: 0x70,
    last: 0x71,
    read: (board, now, port) => (port === 0 ? 0xff : readClock(board, now, board.cmosIndex)),
    write: (board, _now, port, byte) => {
      if (port === 0) board.cmosIndex = byte & 0x7f
    },
  },
  { name: 'delay', first: 0x80, last: 0x80 },
  { name: 'second PIC', first: 0xa0, last: 0xa1 },
  { name: 'serial', first: 0x2e8, last: 0x2ef },
  { name: 'serial', first: 0x2f8, last: 0x2ff },
  { name: 'VGA', first: 0x3c0, last: 0x3df },
  { name: 'serial', first: 0x3e8, last: 0x3ef },
  { name: 'serial', first: 0x3f8, last: 0x3ff },
  {
    name: 'PM1a events',
    first: PM.event,
    last: PM.event + PM_BYTES.event - 1,
    isOfAcpi: true,
    // Status, of which nothing ever happens, and what is enabled.
    read: ({ pm1Enable }, _now, port) => byteOf(pm1Enable * 0x1_0000, port),
    write: (board, _now, port, byte) => {
      if (port >= 2) board.pm1Enable = withByte(board.pm1Enable, port - 2, byte)
    },
  },
  {
    name: 'PM1a control',
    first: PM.control,
    last: PM.control + PM_BYTES.control - 1,
    isOfAcpi: true,
    read: ({ pm1Control }, _now, port) => byteOf(pm1Control, port),
    write: (board, _now, port, byte) => {
      board.pm1Control = (withByte(board.pm1Control, port, byte) & ~SLEEPS) | SCI_ENABLED
    },
  },
  {
    name: 'PM timer',
    first: PM.timer,
    last: PM.timer + PM_BYTES.timer - 1,
    isOfAcpi: true,
    read: (_board, now, port) => byteOf(ticksOf(now, PM_HERTZ) % 2 ** 24, port),
  },
  // The address of a PCI register is a dword, which Xen keeps; a byte here resets a machine, and not this one.
  { name: 'PCI address', first: 0xcf8, last: 0xcfb },
  { name: 'PCI data', first: 0xcfc, last: 0xcff },
]

const BY_PORT: ReadonlyMap<number, Device> = new Map(
  DEVICES.flatMap((device) =>
    Array.from({ length: device.last - device.first + 1 }, (_, i) => [device.first + i, device]),
  ),
)

function deviceAt(board: Board, port: number): Device | undefined {
  const device = BY_PORT.get(port)
  return device?.isOfAcpi && !board.hasAcpi ? undefined : device
}

/** The byte that a port of the board reads as, at a moment in nanoseconds. */
export function readBoard(board: Board, now: number, port: number): number {
  const device = deviceAt(board, port)
  return device?.read === undefined ? 0xff : device.read(board, now, port - device.first)
}

/** Write a byte to a port of the board. */
export function writeBoard(board: Board, now: number, port: number, byte: number): void {
  const device = deviceAt(board, port)
  device?.write?.(board, now, port - device.first, byte)
}

/** A register of the board's clock, by its number. */
export function readClock({ wallClock }: Board, now: number, index: number): number {
  return readCmos(index, wallClock * 1000 + Math.floor(now / 1e6))
}

function readSpeaker({ pit, speaker }: Board, now: number): number {
  return speaker | (pitOutput(pit, now) ? 0x20 : 0)
}

function writeSpeaker(board: Board, now: number, _port: number, byte: number): void {
  board.speaker = byte & 3
  setGate(board.pit, now, (byte & 1) !== 0)
}

function byteOf(word: number, at: number): number {
  return Math.floor(word / 2 ** (8 * at)) & 0xff
}

function withByte(word: number, at: number, byte: number): number {
  return (word & ~(0xff << (8 * at))) | (byte << (8 * at))
}
