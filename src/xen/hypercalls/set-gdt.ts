import { SLOTS } from '../../bits/address.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { FIRST_XEN_DESCRIPTOR } from '../mm/descriptors.ts'
import { getPageAndType, putPageAndType } from '../mm/frame-type.ts'
import { isRefusal, type Refusal, refused } from '../refusal.ts'
import { arg32, argVa, wordsAt } from './arguments.ts'
import { flat } from './flat.ts'

type Request = { readonly frames: readonly number[]; readonly entries: number }

/**
 * set_gdt(frames*, entries): the guest's GDT, an array of u64 frames of 512 descriptors each. All of the frames are
 * taken, or none; those of the GDT before are given back after that. Xen: do_set_gdt().
 */
export const setGdt = flat(read, apply)

function read(call: Call): Request | Refusal {
  const entries = arg32(call.port, 1)
  if (entries > FIRST_XEN_DESCRIPTOR) return refused(call.xen, 'badArgument', { entries })
  const count = Math.ceil(entries / SLOTS)
  const list = wordsAt(call, argVa(call.port, 0), count * 2)
  if (isRefusal(list)) return list
  const frames = Array.from({ length: count }, (_, i) => list[i * 2 + 1] * 0x1_0000_0000 + list[i * 2])
  return { frames, entries }
}

function apply({ xen, domain, vcpu }: Call, { frames, entries }: Request): number {
  const taken: number[] = []
  for (const mfn of frames) {
    const rc = getPageAndType(xen, mfn, domain, TYPE_CODE.segdesc)
    if (rc !== 0) {
      putFrames(xen, taken.reverse())
      return rc
    }
    taken.push(mfn)
  }
  putFrames(xen, vcpu.gdtFrames)
  vcpu.gdtFrames = taken
  vcpu.gdtEntries = entries
  return 0
}

function putFrames(xen: Hypervisor, frames: readonly number[]): void {
  for (const mfn of frames) putPageAndType(xen, mfn, xen.memory.record(mfn))
}
