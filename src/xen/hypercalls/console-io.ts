import type { Call } from '../call.ts'
import type { SerialLine } from '../console/console.ts'
import { copyByteFromGuest, copyByteToGuest } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith } from './continuation.ts'

/** Characters of a line after which it is broken. */
const MOST_LINE = 2 ** 16

/** Bytes of a text that Xen copies at a time: guest_console_write(). */
const PIECE = 128

const [WRITE, READ] = [0, 1]

/**
 * console_io(command, count, buffer): write to, or read from, Xen's own console. Xen writes a text by pieces, between which a
 * long one is put off, so what comes before a byte that cannot be read is written. dom0's bytes go out as they are, and what
 * is typed is dom0's; others' come out line by line, and they have nothing to read.
 */
export function consoleIo(call: Call): number {
  const { xen, domain: caller, port } = call
  const [command, count, buffer] = [arg32(port, 0), arg32(port, 1), argVa(port, 2)]
  if (caller.id !== 0 && !xen.version.rules.consoleForAll)
    return refuse(xen, 'notAllowed', { domid: caller.id })
  const serial = caller.id === 0 ? xen.console.serial : null
  if (command === READ) return serial === null ? 0 : read(call, serial, count, buffer)
  if (command !== WRITE) return refuse(xen, 'unknownCommand', { cmd: command })
  return serial === null ? writeLines(call, count, buffer) : write(call, serial, count, buffer)
}

function writeLines({ xen, domain: caller, port }: Call, count: number, buffer: number): number {
  for (let i = 0; i < count; i++) {
    if (i % PIECE === 0) {
      if (i > 0 && xen.work.isTooLong) return continueWith(port, WRITE, count - i, buffer + i)
      xen.work.done += COST_NS.consolePiece
    }
    const byte = copyByteFromGuest(port, buffer + i)
    if (byte === -1) return refuse(xen, 'unreadable', { va: buffer + i })
    if (byte !== 10) caller.consoleLine += String.fromCharCode(byte)
    // Somebody may write a line without end.
    if (byte === 10 || caller.consoleLine.length === MOST_LINE) {
      xen.console.guest(caller.consoleLine)
      caller.consoleLine = ''
    }
  }
  return 0
}

/** Piece by piece; of a piece that cannot be read whole nothing goes out. */
function write({ xen, port }: Call, serial: SerialLine, count: number, buffer: number): number {
  for (let done = 0; done < count; done += PIECE) {
    if (done > 0 && xen.work.isTooLong) return continueWith(port, WRITE, count - done, buffer + done)
    xen.work.done += COST_NS.consolePiece
    const piece = new Uint8Array(Math.min(PIECE, count - done))
    for (let i = 0; i < piece.length; i++) {
      const byte = copyByteFromGuest(port, buffer + done + i)
      if (byte === -1) return refuse(xen, 'unreadable', { va: buffer + done + i })
      piece[i] = byte
    }
    serial.write(piece)
  }
  return 0
}

/** How many bytes it gets. Those that cannot be given to it are still there the next time. */
function read({ xen, port }: Call, serial: SerialLine, count: number, buffer: number): number {
  const bytes = serial.peek(count)
  for (let i = 0; i < bytes.length; i++) {
    if (!copyByteToGuest(port, buffer + i, bytes[i])) return refuse(xen, 'unwritable', { va: buffer + i })
  }
  serial.drop(bytes.length)
  return bytes.length
}
