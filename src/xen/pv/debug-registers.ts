import { vaOf } from '../../bits/address.ts'
import { RAX, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { arg32, argHigh } from '../hypercalls/arguments.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isGuestAddress } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'

/** Bits that are always set, and those that a guest may set. */
const DR6 = { ones: 0xffff_0ff0, settable: 0xe00f } as const
const DR7 = { ones: 0x400, settable: 0xffff_03ff, generalDetect: 1 << 13 } as const
const IO_BREAKPOINT = 2

/** set_debugreg(register, value): a breakpoint anywhere but in Xen. Xen: do_set_debugreg(). */
export function setDebugRegister({ xen, port }: Call): number {
  return storeDebugRegister(xen, port, arg32(port, 0), arg32(port, 1), argHigh(port, 1))
}

/** The same for who has the register and the value: 0, or what is wrong with them. */
export function storeDebugRegister(xen: Hypervisor, port: Vcpu, n: number, lo: number, hi: number): number {
  const { code } = port
  if (code === null) return 0
  switch (n) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (!isGuestAddress(vaOf(lo, hi))) return refuse(xen, 'notAllowed', { register: n })
      code.setDebugRegister(n, lo, hi)
      return 0
    case 4:
    case 6:
      code.setDebugRegister(6, ((lo & DR6.settable) | DR6.ones) >>> 0, 0)
      return 0
    case 5:
    case 7: {
      if (hi !== 0 || (lo & DR7.generalDetect) !== 0) return refuse(xen, 'notAllowed', { register: n })
      const isForPorts = [16, 20, 24, 28].some((shift) => ((lo >>> shift) & 3) === IO_BREAKPOINT)
      // Ports are not the guest's.
      if (isForPorts) return refuse(xen, 'notAllowed', { register: n })
      code.setDebugRegister(7, ((lo & DR7.settable) | DR7.ones) >>> 0, 0)
      return 0
    }
    default:
      return refuse(xen, 'debugRegister', { register: n })
  }
}

/** dr4 and dr5 are other names of dr6 and dr7. */
function aliased(n: number): number {
  return n === 4 || n === 5 ? n + 2 : n
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
