import { PAGE, SLOTS } from '../bits/address.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { pfnAt, type StartOfDayLayout } from './layouts/start-of-day.ts'
import type { P2m } from './p2m.ts'

/**
 * Write the p2m list into the guest's memory: eight bytes a pfn, where the layout maps it. What lies behind the last entry
 * in its frame stays what a fresh frame has: zero.
 */
export function writeP2mList(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout, nrPages: number): void {
  const { va } = layout.p2mList
  p2m.forEachRun(0, nrPages, (pfn, mfn, count, step) => {
    for (let done = 0; done < count; ) {
      const slot = (pfn + done) % SLOTS
      const some = Math.min(count - done, SLOTS - slot)
      const frame = p2m.get(pfnAt(layout, va + Math.floor((pfn + done) / SLOTS) * PAGE))
      xen.memory.fillNumbers(xen.memory.frameWords(frame) + slot * 2, some, mfn + done * step, step)
      done += some
    }
  })
}
