import { SLOTS } from '../bits/address.ts'
import { entryFrame, P, RW } from '../bits/pte.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { REF_COUNT, REFS_WORD, TYPE_COUNT, TYPE_SHIFT, TYPE_VALIDATED } from '../machine/frames.ts'
import type { Memory } from '../machine/memory.ts'

/** An entry that keeps a reference on a frame: in which table, at which slot, and what it says. */
export type Holder = {
  readonly table: number
  readonly slot: number
  readonly lo: number
  readonly hi: number
  readonly writable: boolean
}

/**
 * Every L1 entry that maps `mfn` in a validated L1, whether or not that L1 is linked anywhere: Xen counts them all. This
 * is the question that the hypervisor's own message leaves open.
 */
export function holdersOf(memory: Memory, mfn: number): Holder[] {
  const words = memory.u32
  const holders: Holder[] = []
  for (const [firstMfn, firstWord, frames] of memory.recordGroups()) {
    for (let i = 0; i < frames; i++) {
      const record = firstWord + i * 4
      const type = words[record]
      if (type >>> TYPE_SHIFT !== TYPE_CODE.l1 || (type & TYPE_VALIDATED) === 0 || (type & TYPE_COUNT) === 0)
        continue
      if ((words[record + REFS_WORD] & REF_COUNT) === 0 || !memory.isTouched(firstMfn + i)) continue
      const at = memory.backing(record)
      for (let slot = 0; slot < SLOTS; slot++) {
        const lo = words[at + slot * 2]
        if ((lo & P) === 0) continue
        const hi = words[at + slot * 2 + 1]
        if (entryFrame(lo, hi) !== mfn) continue
        holders.push({ table: firstMfn + i, slot, lo, hi, writable: (lo & RW) !== 0 })
      }
    }
  }
  return holders
}
