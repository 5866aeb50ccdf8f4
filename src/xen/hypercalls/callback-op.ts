import { vaOf } from '../../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS } from '../../bits/errno.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { CALLBACK } from '../abi.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { arg32, argHigh, argVa } from './arguments.ts'

const KNOWN: ReadonlySet<number> = new Set(Object.values(CALLBACK))

/**
 * callback_op(command, {u16 type, u16 flags, u64 address}*): where Xen enters the guest for events, system calls and
 * failures. 0 registers, 1 takes back, which only the NMI's can be. Xen: do_callback_op().
 */
export function callbackOp(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const command = arg32(vcpu, 0)
  const words = new Uint32Array(4)
  if (command > 1) return ENOSYS
  if (!copyFromGuest(vcpu, argVa(vcpu, 1), words, command === 0 ? 4 : 1)) return EFAULT
  const type = words[0] & 0xffff
  if (command === 0) {
    const address = vaOf(words[2], words[3])
    if (address === -1) return EINVAL
    if (!KNOWN.has(type)) return ENOSYS
    caller.callbacks.set(type, { flags: words[0] >>> 16, address })
    return 0
  }
  if (!KNOWN.has(type)) return ENOSYS
  if (type !== CALLBACK.nmi) return EINVAL
  caller.callbacks.delete(type)
  return 0
}

/** set_callbacks(event, failsafe, syscall): the same, before there was callback_op. Bad addresses are ignored. */
export function setCallbacks(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  for (const [i, type] of [CALLBACK.event, CALLBACK.failsafe, CALLBACK.syscall].entries()) {
    const address = vaOf(arg32(vcpu, i), argHigh(vcpu, i))
    if (address !== -1) caller.callbacks.set(type, { flags: 0, address })
  }
  return 0
}
