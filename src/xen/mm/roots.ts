import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import { passOn } from '../refusal.ts'
import { getNamedPage, putPageAndType } from './frame-type.ts'
import { dropLdt } from './ldt.ts'
import { fillM2pSlot, isM2pStrict, zapM2pSlot } from './tables.ts'

/** The roots of a vCPU's tables. Each holds one page reference and one type reference. */

/**
 * MMUEXT_NEW_BASEPTR: a new root for the kernel, new_guest_cr3(). The reference on the new one is taken before the old
 * one is given back. The LDT's pages go: where the new tables map it is another question.
 */
export function newBaseptr({ xen, domain: caller, vcpu, port }: Call, mfn: number): number {
  const old = port.root
  // The root is only loaded again.
  if (mfn === old && xen.version.rules.sameRootIsKept) return 0
  const rc = getNamedPage(xen, mfn, caller, TYPE_CODE.l4)
  if (rc !== 0) return passOn(xen, 'baseptr', { mfn }, xen.version.errnos.badRoot)
  dropLdt(xen, vcpu)
  if (!xen.version.rules.m2pOnPromotion && !isM2pStrict(caller)) fillM2pSlot(xen, xen.memory.frameWords(mfn))
  port.root = mfn
  xen.flushTlbs()
  putPageAndType(xen, old, xen.memory.record(old))
  return 0
}

/** MMUEXT_NEW_USER_BASEPTR: the root of the guest's processes; 0 for none. */
export function newUserBaseptr({ xen, domain: caller, vcpu }: Call, mfn: number): number {
  const old = vcpu.userRoot
  if (mfn === old && xen.version.rules.sameRootIsKept) return 0
  if (mfn !== 0) {
    const rc = getNamedPage(xen, mfn, caller, TYPE_CODE.l4)
    if (rc !== 0) return passOn(xen, 'userBaseptr', { rc, mfn }, xen.version.errnos.badRoot)
    // A strict guest's processes do not see the M2P: zap_ro_mpt().
    if (isM2pStrict(caller)) zapM2pSlot(xen, xen.memory.frameWords(mfn))
  }
  vcpu.userRoot = mfn
  if (old !== 0) putPageAndType(xen, old, xen.memory.record(old))
  return 0
}
