import { SLOTS } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import type { FrameRange } from '../machine/memory.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import type { Dom0Layout } from './layouts/dom0.ts'
import { type Mapping, tableCount } from './layouts/start-of-day.ts'
import { P2m, type P2mRun } from './p2m.ts'

/** The largest allocation that there is, 1 GiB: Xen's MAX_ORDER. */
const MAX_ORDER = 18

/**
 * Frames of a dom0 out of the heap, and its p2m: the initrd's, the block of the initial mapping, the p2m list's, then chunks
 * until there are enough. Debug builds of Xen number the block's frames behind the initial mapping from its end, and those of
 * the chunks from the last pfn down. Xen: dom0_construct_pv().
 *
 * @throws BadInput when the machine has not so much
 */
export function dom0Frames(xen: Hypervisor, layout: Dom0Layout, nrPages: number): P2m {
  const { block, module, mappings } = layout
  const backwards = xen.version.rules.dom0FramesBackwards
  const initrd = module.pages === 0 ? 0 : contiguous(xen, module.pages, 1)
  const first = contiguous(xen, block, block)
  const runs = blockRuns(layout, first, initrd, backwards)
  for (const part of mappings.slice(1)) runs.push(...listRuns(xen, part))
  let pfn = layout.end
  for (const { start, end } of chunks(xen, nrPages - pfn)) {
    const count = end - start
    const last = nrPages - 1 - (pfn - layout.end)
    if (backwards) runs.push({ pfn: last - count + 1, mfn: end - 1, count, step: -1 })
    else runs.push({ pfn, mfn: start, count, step: 1 })
    pfn += count
  }
  return new P2m(runs.filter(({ count }) => count > 0).toSorted((a, b) => a.pfn - b.pfn))
}

/** The block's and the initrd's, whose pfns may lie in its midst: those behind it are then so many higher. */
function blockRuns(layout: Dom0Layout, first: number, initrd: number, backwards: boolean): P2mRun[] {
  const { block, module, mapped } = layout
  const isInside = module.pfn < block
  const total = block + (isInside ? module.pages : 0)
  const shift = isInside ? module.pages : 0
  // The pfn at v_end itself still counts upwards.
  const turn = backwards ? Math.min(total, mapped + 1) : total
  const before = isInside ? module.pfn : turn
  const after = module.pfn + module.pages
  return [
    { pfn: 0, mfn: first, count: before, step: 1 },
    { pfn: module.pfn, mfn: initrd, count: module.pages, step: 1 },
    ...(isInside ? [{ pfn: after, mfn: first + after - shift, count: turn - after, step: 1 as const }] : []),
    { pfn: turn, mfn: first + block - 1, count: total - turn, step: -1 },
  ]
}

/** A part of the p2m list's mapping: its tables one by one, its pages one by one or by 2 MiB. */
function listRuns(xen: Hypervisor, { pfn, pages, tables, isLarge }: Mapping): P2mRun[] {
  const runs: P2mRun[] = []
  const start = pfn - tableCount(tables)
  for (let at = start; at < pfn; at++) runs.push({ pfn: at, mfn: contiguous(xen, 1, 1), count: 1, step: 1 })
  const size = isLarge === true ? SLOTS : 1
  for (let done = 0; done < pages; done += size) {
    runs.push({ pfn: pfn + done, mfn: contiguous(xen, size, size), count: size, step: 1 })
  }
  return runs
}

function contiguous(xen: Hypervisor, count: number, align: number): number {
  const mfn = xen.heap.takeTop(count, align)
  if (mfn === -1) throw new BadInput(`the machine has no ${count} frames of RAM in a row, which dom0 needs`)
  return mfn
}

/** Chunks of 2^n frames, each at most as large as the one before: alloc_chunk(). Throws BadInput where there are too few. */
function chunks(xen: Hypervisor, wanted: number): FrameRange[] {
  const taken: FrameRange[] = []
  let order = MAX_ORDER
  for (let left = wanted; left > 0; ) {
    order = Math.min(order, Math.floor(Math.log2(left)))
    const start = xen.heap.takeTop(2 ** order, 2 ** order)
    if (start !== -1) {
      taken.push({ start, end: start + 2 ** order })
      left -= 2 ** order
    } else if (order-- === 0) throw new BadInput(`the machine has ${left} frames of RAM too few for dom0`)
  }
  return taken
}
