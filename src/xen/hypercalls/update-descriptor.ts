import { EINVAL } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import { getPageType, putPageType } from '../mm/frame-type.ts'
import { getPage, putPage, typeCodeOf } from '../mm/references.ts'
import { checkDescriptor, checked } from '../pv/descriptors.ts'
import { arg32, argHigh } from './arguments.ts'

/**
 * update_descriptor(machine address, descriptor): store one descriptor, checked, where the guest may not store itself
 * because the page is a GDT or LDT. A page that is neither is taken as writable. Xen: do_update_descriptor().
 */
export function updateDescriptor({ xen, domain: caller, port }: Call): number {
  const offset = arg32(port, 0) & 0xfff
  const mfn = argHigh(port, 0) * 0x10_0000 + (arg32(port, 0) >>> 12)
  // The descriptor is judged before the frame is even looked at.
  if ((offset & 7) !== 0 || !checkDescriptor(arg32(port, 1), argHigh(port, 1))) return EINVAL
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
