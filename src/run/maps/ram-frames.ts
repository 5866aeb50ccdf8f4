import { PAGE } from '../../bits/address.ts'
import type { FrameRange } from '../../machine/memory.ts'
import type { E820Entry } from '../../xen/abi.ts'

/** The whole frames of RAM of a map, in order. */
export function ramFrames(entries: readonly E820Entry[]): FrameRange[] {
  return entries
    .filter((e) => e.type === 'usable')
    .map((e) => ({ start: Math.ceil(e.start / PAGE), end: Math.floor(e.end / PAGE) }))
    .filter((r) => r.end > r.start)
    .sort((a, b) => a.start - b.start)
}
