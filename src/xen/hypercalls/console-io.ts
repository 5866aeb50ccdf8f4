import { EFAULT, ENOSYS, EPERM } from '../../bits/errno.ts'
import type { Call } from '../call.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { COST_NS } from '../sched/work.ts'
import { arg32, argVa } from './arguments.ts'
import { continueWith } from './continuation.ts'

/** Characters of a line after which it is broken. */
const MOST_LINE = 2 ** 16

/** Bytes of a text that Xen copies at a time: guest_console_write(). */
const PIECE = 128

/** console_io(command, count, buffer): write to, or read from, Xen's own console. A long text is put off between pieces. */
export function consoleIo({ xen, domain: caller, port }: Call): number {
  const [command, count, buffer] = [arg32(port, 0), arg32(port, 1), argVa(port, 2)]
  if (caller.id !== 0 && !xen.version.rules.consoleForAll) return EPERM
  // There is never anything to read.
  if (command === 1) return 0
  if (command !== 0) return ENOSYS
  for (let i = 0; i < count; i++) {
    if (i % PIECE === 0) {
      if (i > 0 && xen.work.isTooLong) return continueWith(port, command, count - i, buffer + i)
      xen.work.done += COST_NS.consolePiece
    }
    const byte = copyByteFromGuest(port, buffer + i)
    if (byte === -1) return EFAULT
    if (byte !== 10) caller.consoleLine += String.fromCharCode(byte)
    // Somebody may write a line without end.
    if (byte === 10 || caller.consoleLine.length === MOST_LINE) {
      xen.console.guest(caller.consoleLine)
      caller.consoleLine = ''
    }
  }
  return 0
}
