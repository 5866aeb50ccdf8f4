import { RAX } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { aliased, storeDebugRegister } from '../pv/debug-registers.ts'
import { refuse } from '../refusal.ts'
import { arg32, argHigh } from './arguments.ts'

/** set_debugreg(register, value): a breakpoint anywhere but in Xen. Xen: do_set_debugreg(). */
export function setDebugRegister({ xen, port }: Call): number {
  return storeDebugRegister(xen, port, arg32(port, 0), arg32(port, 1), argHigh(port, 1))
}

/** get_debugreg(register): the value is the result. Xen: do_get_debugreg(). */
export function getDebugRegister({ xen, port }: Call): number {
  const n = arg32(port, 0)
  if (n > 7) {
    const error = refuse(xen, 'debugRegister', { register: n })
    port.setNumber(RAX, error)
    return error
  }
  const [lo, hi] = port.code?.debugRegister(aliased(n)) ?? [0, 0]
  port.set(RAX, lo, hi)
  return lo
}
