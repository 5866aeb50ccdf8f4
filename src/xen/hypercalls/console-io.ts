import { EFAULT, ENOSYS, EPERM } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyByteFromGuest } from '../mm/guest-copy.ts'
import { arg32, argVa } from './arguments.ts'

/** console_io(command, count, buffer): write to, or read from, Xen's own console. */
export function consoleIo(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [command, count, buffer] = [arg32(vcpu, 0), arg32(vcpu, 1), argVa(vcpu, 2)]
  if (caller.id !== 0 && !xen.version.rules.consoleForAll) return EPERM
  // There is never anything to read.
  if (command === 1) return 0
  if (command !== 0) return ENOSYS
  for (let i = 0; i < count; i++) {
    const byte = copyByteFromGuest(vcpu, buffer + i)
    if (byte === -1) return EFAULT
    if (byte === 10) {
      xen.console.guest(caller.consoleLine)
      caller.consoleLine = ''
    } else caller.consoleLine += String.fromCharCode(byte)
  }
  return count
}
