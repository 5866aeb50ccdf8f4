import { ERRNO } from '../../bits/errno.ts'
import { ARGUMENTS, type Vcpu } from '../../machine/vcpu/vcpu.ts'

/**
 * Hypercalls that take long are put off: the registers are made to ask for the rest, and the guest makes the same call again,
 * before which it may take events. Xen: hypercall_create_continuation().
 */

/** What a hypercall returns in place of a result when it is not over. */
export const PREEMPTED = -ERRNO.ERESTART

/** In the count of a list: the call goes on, and the requests done before are to be added. Xen: MMU_UPDATE_PREEMPTED. */
export const GOES_ON = 1 << 31

/** Ask for the rest of a call by its first arguments; addresses have 48 bits. Returns `PREEMPTED`. */
export function continueWith(port: Vcpu, ...args: readonly number[]): number {
  for (const [i, value] of args.entries()) port.setVa(ARGUMENTS[i], value)
  return PREEMPTED
}
