import { ticksOf } from './ticks.ts'

/**
 * The third counter of the 8254, which is the speaker's: kernels measure the CPU's clock by it. The other two are Xen's, and
 * there is nothing of them here. It counts down from what was loaded while its gate, bit 0 of port 0x61, is open.
 */
export type Pit = {
  /** The counting mode: 0 ends once, 2 and 3 begin again. */
  mode: number
  /** What it counts down from; 0 stands for 65536. */
  reload: number
  /** Ticks that it has counted before its gate was opened last, and when that was, in nanoseconds; null while it is shut. */
  counted: number
  since: number | null
  /** The low byte of a new value, whose high byte is still to come; -1 when none is. */
  half: number
  /** What was latched, to be read; -1 when nothing is. And whether the next byte read is the high one. */
  latched: number
  isHigh: boolean
}

const HERTZ = 1_193_182

/** The counter after power is on: nobody has loaded it. */
export function newPit(): Pit {
  return { mode: 3, reload: 0, counted: 0, since: null, half: -1, latched: -1, isHigh: false }
}

function ticks({ counted, since }: Pit, now: number): number {
  return counted + (since === null ? 0 : ticksOf(now - since, HERTZ))
}

/** The counter's 16 bits at a moment in nanoseconds. */
function count(pit: Pit, now: number): number {
  const from = pit.reload === 0 ? 0x1_0000 : pit.reload
  const gone = ticks(pit, now)
  return (pit.mode === 0 ? from - gone : from - (gone % from)) & 0xffff
}

/** The counter's output, bit 5 of port 0x61. */
export function pitOutput(pit: Pit, now: number): boolean {
  const from = pit.reload === 0 ? 0x1_0000 : pit.reload
  const gone = ticks(pit, now)
  return pit.mode === 0 ? gone >= from : gone % from < from / 2
}

/** Open or shut the gate. */
export function setGate(pit: Pit, now: number, isOpen: boolean): void {
  if (isOpen === (pit.since !== null)) return
  pit.counted = ticks(pit, now)
  pit.since = isOpen ? now : null
}

/** Read the counter: its low byte, and then its high one. */
export function readPit(pit: Pit, now: number): number {
  const value = pit.latched === -1 ? count(pit, now) : pit.latched
  const byte = pit.isHigh ? value >>> 8 : value & 0xff
  if (pit.isHigh) pit.latched = -1
  pit.isHigh = !pit.isHigh
  return byte
}

/** Load the counter: the low byte, and then the high one, which lets it begin. */
export function loadPit(pit: Pit, now: number, byte: number): void {
  if (pit.half === -1) {
    pit.half = byte
    return
  }
  pit.reload = pit.half | (byte << 8)
  pit.half = -1
  pit.counted = 0
  if (pit.since !== null) pit.since = now
}

const [SELECTS_THIRD, READS_BACK] = [2, 3]
/** In a command that reads back: the bit of the third counter, and the one that says not to latch. */
const [OF_THIRD, NO_COUNT] = [0x08, 0x20]

/** A command of port 0x43: two bits of the counter, two of how it is accessed, 0 to latch it, three of the mode. */
export function commandPit(pit: Pit, now: number, command: number): void {
  const which = command >>> 6
  const latches =
    which === READS_BACK
      ? (command & OF_THIRD) !== 0 && (command & NO_COUNT) === 0
      : which === SELECTS_THIRD && (command & 0x30) === 0
  if (latches) {
    if (pit.latched === -1) pit.latched = count(pit, now)
    pit.isHigh = false
  } else if (which === SELECTS_THIRD) {
    // Of a mode of two or three the third bit says nothing.
    const mode = (command >>> 1) & 7
    pit.mode = mode > 5 ? mode - 4 : mode
    pit.half = -1
    pit.isHigh = false
    pit.latched = -1
  }
}
