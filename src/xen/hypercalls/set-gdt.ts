import { SLOTS } from '../../bits/address.ts'
import { EFAULT, EINVAL } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageType, putPageAndType } from '../mm/frame-type.ts'
import { copyFromGuest } from '../mm/guest-copy.ts'
import { getPage, putPage } from '../mm/references.ts'
import { FIRST_XEN_DESCRIPTOR } from '../pv/descriptors.ts'
import { arg32, argVa } from './arguments.ts'

/**
 * set_gdt(frames*, entries): the guest's GDT, an array of u64 frames of 512 descriptors each. All of the frames are
 * taken, or none; those of the GDT before are given back after that. Xen: do_set_gdt().
 */
export function setGdt({ xen, domain, vcpu, port }: Call): number {
  const entries = arg32(port, 1)
  if (entries > FIRST_XEN_DESCRIPTOR) return EINVAL
  const count = Math.ceil(entries / SLOTS)
  const list = new Uint32Array(count * 2)
  if (!copyFromGuest(port, argVa(port, 0), list, count * 2)) return EFAULT
  const frames: number[] = []
  for (let i = 0; i < count; i++) {
    const mfn = list[i * 2 + 1] * 0x1_0000_0000 + list[i * 2]
    if (!getDescriptorPage(xen, domain, mfn)) {
      putFrames(xen, frames.reverse())
      return EINVAL
    }
    frames.push(mfn)
  }
  putFrames(xen, vcpu.gdtFrames)
  vcpu.gdtFrames = frames
  vcpu.gdtEntries = entries
  return 0
}

/** Take the page and type reference of a page of descriptors of the domain's own. */
export function getDescriptorPage(xen: Hypervisor, domain: Domain, mfn: number): boolean {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return false
  if (getPageType(xen, mfn, record, TYPE_CODE.segdesc) === 0) return true
  putPage(xen, mfn, record)
  return false
}

function putFrames(xen: Hypervisor, frames: readonly number[]): void {
  for (const mfn of frames) putPageAndType(xen, mfn, xen.memory.record(mfn))
}
