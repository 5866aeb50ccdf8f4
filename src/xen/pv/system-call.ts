import { hexVa } from '../../bits/address.ts'
import { GuestTrap, type Vcpu, VECTOR_UD } from '../../machine/vcpu/vcpu.ts'
import { CALLBACK } from '../abi.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { setEventsMasked } from '../sched/vcpu-info.ts'
import { deliverException, enterGuest } from './exceptions.ts'

/** Flag of a callback: events are masked as it is entered. */
const MASKS_EVENTS = 1

/**
 * SYSCALL in the guest's user mode: no hypercall, but the kernel's own business. The kernel goes on at the callback that
 * it registered, on the stack of stack_switch. Without a callback the instruction is an undefined one, which the driver
 * sees as a GuestTrap; in 2011 it was the end of the domain.
 */
export function systemCall(xen: Hypervisor, vcpu: PvVcpu): void {
  const { port } = vcpu
  const callback = vcpu.callbacks.get(CALLBACK.syscall)
  const registered = callback !== undefined && callback.address !== 0
  if (!registered && xen.version.rules.unregisteredSyscallTraps) {
    stepBack(port)
    deliverException(xen, vcpu, VECTOR_UD, 0)
    throw new GuestTrap(VECTOR_UD, 0, 0)
  }
  enterGuest(xen, vcpu, registered ? callback.address : null, null)
  if (callback === undefined) return
  if ((callback.flags & MASKS_EVENTS) !== 0) setEventsMasked(xen, vcpu, true)
  port.rip = hexVa(callback.address)
}

/** rip at the instruction again, which is two bytes long. */
export function stepBack(port: Vcpu): void {
  const { code } = port
  if (code === null) return
  const lo = code.ripLow - 2
  code.setRip(lo >>> 0, code.ripHigh - (lo < 0 ? 1 : 0))
}
