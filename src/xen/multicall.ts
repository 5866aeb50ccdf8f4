import { EFAULT, EINVAL, ENOSYS } from '../bits/errno.ts'
import { ARGUMENTS, RAX, type Vcpu } from '../machine/vcpu.ts'
import { arg32, argVa } from './arguments.ts'
import type { Domain } from './domain.ts'
import { copyFromGuest, copyToGuest, isGuestRange } from './guest-copy.ts'
import { hypercallOf } from './hypercalls.ts'
import type { Hypervisor } from './hypervisor.ts'

/** multicall(entries, count): hypercalls of {u64 number, u64 result, u64 arguments[6]}, each result written back. */
export function multicall(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [array, count] = [argVa(vcpu, 0), arg32(vcpu, 1)]
  if (xen.inMulticall) {
    xen.log('multicallReentry')
    return EINVAL
  }
  if (!isGuestRange(array, count * 64)) return EFAULT
  const saved = vcpu.regs.slice()
  xen.inMulticall = true
  try {
    const entry = new Uint32Array(16)
    for (let i = 0; i < count; i++) {
      if (!copyFromGuest(vcpu, array + i * 64, entry, 16)) return EFAULT
      for (let a = 0; a < ARGUMENTS.length; a++) vcpu.set(ARGUMENTS[a], entry[4 + a * 2], entry[5 + a * 2])
      const handler = hypercallOf(entry[0], entry[1])
      const rc = handler === undefined ? ENOSYS : handler.call(xen, caller, vcpu)
      vcpu.setNumber(RAX, rc)
      if (!copyToGuest(vcpu, array + i * 64 + 8, [vcpu.regs[RAX * 2], vcpu.regs[RAX * 2 + 1]], 2))
        return EFAULT
    }
    return 0
  } finally {
    xen.inMulticall = false
    vcpu.regs.set(saved)
  }
}
