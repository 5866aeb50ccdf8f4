import { vaOf } from '../../bits/address.ts'
import type { Call } from '../call.ts'
import { type Refusal, refused } from '../refusal.ts'
import { arg32, argHigh } from './arguments.ts'
import { flat } from './flat.ts'

/** stack_switch(ss, sp): the stack on which the kernel is entered from its processes. Xen: do_stack_switch(). */
export function stackSwitch({ vcpu, port }: Call): number {
  vcpu.kernelSs = (arg32(port, 0) & 0xffff) | 3
  vcpu.kernelSp = vaOf(arg32(port, 1), argHigh(port, 1))
  return 0
}

/** fpu_taskswitch(set): whether the guest's next use of its FPU is to trap. Xen: do_fpu_taskswitch(). */
export function fpuTaskswitch({ port }: Call): number {
  if (port.code !== null) port.code.fpuTraps = arg32(port, 0) !== 0
  return 0
}

const WHICH = { fs: 0, userGs: 1, kernelGs: 2, userGsSelector: 3 } as const

type Base = { readonly which: number; readonly lo: number; readonly hi: number }

/**
 * set_segment_base(which, base): bases of fs (0), gs of user mode (1) and of the kernel (2), or the selector of user gs
 * (3). The model's loads and stores name whole addresses, so only the answer matters there. Xen: do_set_segment_base().
 */
export const setSegmentBase = flat(readBase, applyBase)

function readBase({ xen, port }: Call): Base | Refusal {
  const [which, lo, hi] = [arg32(port, 0), arg32(port, 1), argHigh(port, 1)]
  if (which > WHICH.userGsSelector) return refused(xen, 'badArgument', { which })
  const isBase = which !== WHICH.userGsSelector && xen.version.rules.checksSegmentBases
  if (isBase && vaOf(lo, hi) === -1) return refused(xen, 'badArgument', { which })
  return { which, lo, hi }
}

function applyBase({ vcpu, port }: Call, { which, lo, hi }: Base): number {
  if (which === WHICH.fs) port.code?.setSegmentBase('fs', lo, hi)
  if (which === WHICH.kernelGs) port.code?.setSegmentBase('gs', lo, hi)
  if (which === WHICH.userGs) vcpu.otherGsBase = [lo, hi]
  // Without a descriptor there is no base.
  if (which === WHICH.userGsSelector) vcpu.otherGsBase = [0, 0]
  return 0
}
