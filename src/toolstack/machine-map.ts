import type { E820Entry } from '../xen/abi.ts'

/**
 * What Xen answers to XENMEM_machine_memory_map. It is not the firmware's map alone: where that map has a gap, every
 * frame in the gap that dom0 may not map as I/O memory is reported as reserved. So the local APIC and the I/O APICs
 * appear in dom0's map though no firmware lists them. Real boots show that the rule is Xen's: one kernel sees
 * 0xfee00000-0xfee01000 under Xen 4.1.0 and 0xfee00000-0xfef00000 under Xen 4.17.7.
 */

const PAGE = 4096
const LOCAL_APIC = 0xfee00000

/** I/O memory that a dom0 may not map, bytes. */
export type DeniedMmio = readonly { readonly start: number; readonly end: number }[]

/** The usual first I/O APIC, bytes. A machine with more of them has a page for each. */
export const defaultIoApics: readonly number[] = [0xfec00000]

/**
 * What Xen keeps for itself: the page of each I/O APIC, and so many pages from the local APIC's on.
 *
 * @param lapicPages what a version denies: its own page, or the whole window of 1 MiB that interrupt messages are written to
 */
export function deniedMmio(lapicPages: number, ioApics: readonly number[] = defaultIoApics): DeniedMmio {
  return [...ioApicPages(ioApics), { start: LOCAL_APIC, end: LOCAL_APIC + lapicPages * PAGE }]
}

function ioApicPages(ioApics: readonly number[]): DeniedMmio {
  return ioApics.map((start) => ({ start, end: start + PAGE }))
}

/**
 * The map that a dom0 is given: the firmware's `entries` in order, with denied I/O memory in the gaps between them as
 * reserved entries. Gaps are counted in whole frames, so a gap inside one frame is none.
 */
export function hostMapForDom0(entries: readonly E820Entry[], denied: DeniedMmio): E820Entry[] {
  const result: E820Entry[] = []
  const sorted = [...denied].sort((a, b) => a.start - b.start)
  let gapStart = 0
  const fillGap = (gapEnd: number) => {
    for (const range of sorted) {
      const start = Math.max(range.start, gapStart)
      const end = Math.min(range.end, gapEnd)
      if (start < end) result.push({ start, end, type: 'reserved' })
    }
  }
  for (const entry of entries) {
    fillGap(entry.start - (entry.start % PAGE))
    result.push(entry)
    gapStart = Math.ceil(entry.end / PAGE) * PAGE
  }
  fillGap(Number.POSITIVE_INFINITY)
  return result
}
