import { hex } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { BEFORE_TABLES, PROBE_PFNS } from '../../toolstack/layouts/probe.ts'
import { P2m } from '../../toolstack/p2m.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'

/** Frames of the machine of the recordings, as its domains get them: the recorded ones, and where nothing is recorded others. */

/**
 * The rest of dom0's memory on that machine: runs of frames, in the order in which Xen's builder allocates them. Where
 * recordings name one of these frames they show its pfn; debug builds number this part from the end.
 */
const DOM0_REST = [
  { mfn: 0xd000, pages: 0x1000 },
  { mfn: 0xf000, pages: 0x400 },
  { mfn: 0xe600, pages: 0x200 },
  { mfn: 0xce00, pages: 0x200 },
]
/** Frames that a domain is to have: by pfn the recorded ones, and those that it may not have. */
export type WantedFrames = {
  readonly recorded: ReadonlyMap<number, number>
  readonly kept: ReadonlySet<number>
}

/**
 * Frames of a dom0: one run for what comes before the script, which lies in frames of its own, one for what comes after
 * it, then the rest.
 */
export function dom0Frames(
  xen: Hypervisor,
  { recorded, kept }: WantedFrames,
  tables: number,
  nrPages: number,
): P2m {
  const { mapped, script } = PROBE_PFNS
  const scriptStart = script.dom0
  const scriptEnd = tables - BEFORE_TABLES
  const first = (recorded.get(tables) ?? 0xe800 + tables - (scriptEnd - scriptStart)) - tables
  const rest = DOM0_REST.flatMap(({ mfn, pages }) => Array.from({ length: pages }, (_, i) => mfn + i))
  return p2mBy(nrPages, (pfn) => {
    let mfn = recorded.get(pfn)
    if (mfn === undefined) {
      if (pfn >= mapped) {
        const backwards = xen.version.rules.dom0FramesBackwards
        mfn = rest[backwards ? nrPages - 1 - pfn : pfn - mapped]
      } else if (pfn >= scriptEnd) mfn = first + pfn
      else mfn = pfn >= scriptStart ? 0 : first + pfn + scriptEnd - scriptStart
      if (kept.has(mfn) || !xen.heap.has(mfn)) mfn = lowest(xen, kept)
    }
    return take(xen, mfn, pfn)
  })
}

/** Frames of a domU: its pages came one by one, each below the one before, so a recorded one tells its neighbours. */
export function domUFrames(xen: Hypervisor, { recorded, kept }: WantedFrames, nrPages: number): P2m {
  const known = recorded.size === 0 ? [[0, 0xe5ff] as const] : [...recorded]
  return p2mBy(nrPages, (pfn) => {
    let mfn = recorded.get(pfn)
    if (mfn === undefined) {
      const near = (a: readonly [number, number]): number => Math.abs(a[0] - pfn)
      const [pfnNear, mfnNear] = known.reduce((best, next) => (near(next) < near(best) ? next : best))
      mfn = mfnNear + pfnNear - pfn
      if (kept.has(mfn) || !xen.heap.has(mfn)) mfn = lowest(xen, kept)
    }
    return take(xen, mfn, pfn)
  })
}

function p2mBy(nrPages: number, frameOf: (pfn: number) => number): P2m {
  const frames: number[] = []
  for (let pfn = 0; pfn < nrPages; pfn++) frames.push(frameOf(pfn))
  return P2m.of(frames)
}

function take(xen: Hypervisor, mfn: number, pfn: number): number {
  if (!xen.heap.takeFrame(mfn))
    throw new BadInput(`the recording gives pfn ${hex(pfn)} frame ${hex(mfn)}, which is taken`)
  return mfn
}

function lowest(xen: Hypervisor, kept: ReadonlySet<number>): number {
  let mfn = 0x1000
  while (kept.has(mfn) || !xen.heap.has(mfn)) mfn++
  return mfn
}
