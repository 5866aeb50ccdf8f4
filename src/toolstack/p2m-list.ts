import { SLOTS } from '../bits/address.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import type { P2m } from './p2m.ts'

/**
 * Write the p2m list into the guest's memory: eight bytes a pfn, from the pfn `list` on. What lies behind the last entry in
 * its frame stays what a fresh frame has: zero.
 */
export function writeP2mList(xen: Hypervisor, p2m: P2m, list: number, nrPages: number): void {
  const words = xen.memory.u32
  p2m.forEachRun(0, nrPages, (pfn, mfn, count) => {
    for (let done = 0; done < count; ) {
      const slot = (pfn + done) % SLOTS
      const some = Math.min(count - done, SLOTS - slot)
      let at = xen.memory.frameWords(p2m.get(list + Math.floor((pfn + done) / SLOTS))) + slot * 2
      for (let i = 0; i < some; i++) {
        // The high halves of a fresh frame are zero.
        words[at] = mfn + done + i
        at += 2
      }
      done += some
    }
  })
}
