import { vaOf } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS } from '../../bits/errno.ts'
import { CALLBACK } from '../abi.ts'
import type { Call } from '../call.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { arg32, argHigh, argVa } from './arguments.ts'

const KNOWN: ReadonlySet<number> = new Set(Object.values(CALLBACK))

/**
 * callback_op(command, {u16 type, u16 flags, u64 address}*): where Xen enters the guest for events, system calls and
 * failures. 0 registers, 1 takes back, which only the NMI's can be. Xen: do_callback_op().
 */
export function callbackOp({ vcpu, port }: Call): number {
  const command = arg32(port, 0)
  const words = new Uint32Array(4)
  if (command > 1) return ENOSYS
  if (!copyFromGuest(port, argVa(port, 1), words, command === 0 ? 4 : 1)) return EFAULT
  const type = words[0] & 0xffff
  if (command === 0) {
    const address = vaOf(words[2], words[3])
    if (address === -1) return EINVAL
    if (!KNOWN.has(type)) return ENOSYS
    vcpu.callbacks.set(type, { flags: words[0] >>> 16, address })
    return 0
  }
  if (!KNOWN.has(type)) return ENOSYS
  if (type !== CALLBACK.nmi) return EINVAL
  vcpu.callbacks.delete(type)
  return 0
}

/** set_callbacks(event, failsafe, syscall): the same, before there was callback_op. Bad addresses are ignored. */
export function setCallbacks({ vcpu, port }: Call): number {
  for (const [i, type] of [CALLBACK.event, CALLBACK.failsafe, CALLBACK.syscall].entries()) {
    const address = vaOf(arg32(port, i), argHigh(port, i))
    if (address !== -1) vcpu.callbacks.set(type, { flags: 0, address })
  }
  return 0
}
