import { hex, SLOTS } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { REF_ALLOCATED, TYPE_SHIFT, TYPE_VALIDATED } from '../machine/frames.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { P2m, type P2mRun } from './p2m.ts'

/** Frames for a domain: the first `initial` pages in a row, if there is such a row; the others from the bottom up. */
export function takeFrames(xen: Hypervisor, nrPages: number, initial: number): P2m {
  const runs: P2mRun[] = []
  const first = xen.heap.takeTop(initial, 0x400)
  let pfn = 0
  if (first !== -1) {
    runs.push({ pfn: 0, mfn: first, count: initial, step: 1 })
    pfn = initial
  }
  for (const { start, end } of xen.heap.takeBottom(nrPages - pfn)) {
    runs.push({ pfn, mfn: start, count: end - start, step: 1 })
    pfn += end - start
  }
  return new P2m(runs)
}

/** Give a pfn the frame that the user wants it to have, and whoever had it the other. */
export function swap(xen: Hypervisor, p2m: P2m, nrPages: number, pfn: number, mfn: number): void {
  const what = `--mfn ${pfn.toString(16)}=${mfn.toString(16)}`
  if (pfn >= nrPages)
    throw new BadInput(`${what}: the guest has no pfn ${hex(pfn)}; its pages end at ${hex(nrPages)}`)
  const old = p2m.get(pfn)
  if (old === mfn) return
  const other = p2m.pfnOf(mfn)
  if (other === -1) {
    if (!xen.heap.takeFrame(mfn)) throw new BadInput(`${what}: frame ${hex(mfn)} is not RAM of this machine`)
    xen.heap.free(old)
  } else p2m.set(other, old)
  p2m.set(pfn, mfn)
}

/**
 * Records and M2P of a domain's frames. dom0's frames have no type yet; a domU's were filled through writable mappings of
 * the toolstack, which leaves them writable with a count of zero.
 */
export function ownFrames(xen: Hypervisor, domain: Domain, p2m: P2m, nrPages: number): void {
  const type = domain.privileged ? 0 : (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED
  p2m.forEachRun(0, nrPages, (pfn, mfn, count, step) => {
    // Upwards in frames, whichever way the pfns go.
    const [lowest, itsPfn] = step === 1 ? [mfn, pfn] : [mfn - count + 1, pfn + count - 1]
    for (let done = 0; done < count; ) {
      // Up to the end of the 512 frames that one frame of the M2P describes: one look-up for all of them.
      const some = Math.min(count - done, SLOTS - ((lowest + done) & (SLOTS - 1)))
      xen.memory.fillRecords(xen.memory.record(lowest + done), some, type, REF_ALLOCATED | 1, domain.owner)
      xen.memory.fillNumbers(xen.m2p.wordOf(lowest + done), some, itsPfn + done * step, step)
      done += some
    }
  })
}
