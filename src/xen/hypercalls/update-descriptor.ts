import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import { typeCodeOf } from '../frames/frame-record.ts'
import { mayHaveDescriptor, storedDescriptorHigh, storedDescriptorLow } from '../mm/descriptors.ts'
import { getPageType, putPageType } from '../mm/frame-type.ts'
import { getPage, putPage } from '../mm/references.ts'
import { type Refusal, refuse, refused } from '../refusal.ts'
import { arg32, argHigh } from './arguments.ts'
import { flat } from './flat.ts'

type Request = {
  readonly mfn: number
  /** Of the descriptor in its page, in bytes. */
  readonly offset: number
  readonly lo: number
  readonly hi: number
}

/**
 * update_descriptor(machine address, descriptor): store one descriptor, checked, where the guest may not store itself
 * because the page is a GDT or LDT. A page that is neither is taken as writable. Xen: do_update_descriptor().
 */
export const updateDescriptor = flat(read, apply)

/** The descriptor is judged before the frame is even looked at. */
function read({ xen, port }: Call): Request | Refusal {
  const offset = arg32(port, 0) & 0xfff
  const mfn = argHigh(port, 0) * 0x10_0000 + (arg32(port, 0) >>> 12)
  const [lo, hi] = [arg32(port, 1), argHigh(port, 1)]
  if ((offset & 7) !== 0) return refused(xen, 'badArgument', { mfn, offset })
  if (!mayHaveDescriptor(lo, hi)) return refused(xen, 'badDescriptor', { mfn, slot: offset >>> 3 })
  return { mfn, offset, lo: storedDescriptorLow(lo, hi), hi: storedDescriptorHigh(hi) }
}

function apply({ xen, domain }: Call, { mfn, offset, lo, hi }: Request): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return refuse(xen, 'noPage', { mfn })
  const isDescriptors = typeCodeOf(xen, record) === TYPE_CODE.segdesc
  const rc = getPageType(xen, mfn, record, isDescriptors ? TYPE_CODE.segdesc : TYPE_CODE.writable)
  if (rc === 0) {
    const at = xen.memory.backing(record) + offset / 4
    xen.memory.u32[at] = lo
    xen.memory.u32[at + 1] = hi
    putPageType(xen, mfn, record)
  }
  putPage(xen, mfn, record)
  return rc
}
