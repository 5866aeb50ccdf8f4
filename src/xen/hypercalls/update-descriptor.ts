import { EINVAL } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageType, putPageType } from '../mm/frame-type.ts'
import { getPage, putPage, typeCodeOf } from '../mm/references.ts'
import { checkDescriptor, checked } from '../pv/descriptors.ts'
import { arg32, argHigh } from './arguments.ts'

/**
 * update_descriptor(machine address, descriptor): store one descriptor, checked, where the guest may not store itself
 * because the page is a GDT or LDT. A page that is neither is taken as writable. Xen: do_update_descriptor().
 */
export function updateDescriptor(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const offset = arg32(vcpu, 0) & 0xfff
  const mfn = argHigh(vcpu, 0) * 0x10_0000 + (arg32(vcpu, 0) >>> 12)
  // The descriptor is judged before the frame is even looked at.
  if ((offset & 7) !== 0 || !checkDescriptor(arg32(vcpu, 1), argHigh(vcpu, 1))) return EINVAL
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, caller)) return EINVAL
  const { lo, hi } = checked
  const code = typeCodeOf(xen, record) === TYPE_CODE.segdesc ? TYPE_CODE.segdesc : TYPE_CODE.writable
  const rc = getPageType(xen, mfn, record, code)
  if (rc === 0) {
    const at = xen.memory.backing(record) + offset / 4
    xen.memory.u32[at] = lo
    xen.memory.u32[at + 1] = hi
    putPageType(xen, mfn, record)
  }
  putPage(xen, mfn, record)
  return rc === 0 ? 0 : EINVAL
}
