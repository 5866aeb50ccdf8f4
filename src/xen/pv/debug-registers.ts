import { vaOf } from '../../bits/address.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { isGuestAddress } from '../mm/guest-copy.ts'
import { refuse } from '../refusal.ts'

/** Bits that are always set, and those that a guest may set. */
const DR6 = { ones: 0xffff_0ff0, settable: 0xe00f } as const
const DR7 = { ones: 0x400, settable: 0xffff_03ff, generalDetect: 1 << 13 } as const
const IO_BREAKPOINT = 2

/** Give a guest's debug register a value, a breakpoint anywhere but in Xen: set_debugreg(). 0, or a negative error. */
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
export function aliased(n: number): number {
  return n === 4 || n === 5 ? n + 2 : n
}
