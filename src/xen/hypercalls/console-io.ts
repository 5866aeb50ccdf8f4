import type { Call } from '../call.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'
import { COST_NS } from '../work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith } from './continuation.ts'

/** Characters of a line after which it is broken. */
const MOST_LINE = 2 ** 16

/** Bytes of a text that Xen copies at a time: guest_console_write(). */
const PIECE = 128

/**
 * console_io(command, count, buffer): write to, or read from, Xen's own console. Xen writes a text by pieces, between which a
 * long one is put off, so what comes before a byte that cannot be read is written.
 */
export function consoleIo({ xen, domain: caller, port }: Call): number {
  const [command, count, buffer] = [arg32(port, 0), arg32(port, 1), argVa(port, 2)]
  if (caller.id !== 0 && !xen.version.rules.consoleForAll)
    return refuse(xen, 'notAllowed', { domid: caller.id })
  // There is never anything to read.
  if (command === 1) return 0
  if (command !== 0) return refuse(xen, 'unknownCommand', { cmd: command })
  for (let i = 0; i < count; i++) {
    if (i % PIECE === 0) {
      if (i > 0 && xen.work.isTooLong) return continueWith(port, command, count - i, buffer + i)
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
