import { hex, SLOTS } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { OWNER_NONE, REF_ALLOCATED, TYPE_SHIFT, TYPE_VALIDATED } from '../../machine/frames.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { initSharedInfo } from '../sched/vcpu-info.ts'
import { fillRecords, setRecord } from './frame-record.ts'

/** A run of the p2m: `count` pfns from `pfn` on have the frames from `mfn` on. */
export type P2mRun = { readonly pfn: number; readonly mfn: number; readonly count: number }

/** A domain that owns nothing yet but its shared_info. */
export function addGuest(xen: Hypervisor, id: number, privileged: boolean, nrPages: number): Domain {
  const domain = xen.addDomain(id, privileged)
  domain.totPages = nrPages
  domain.maxPages = nrPages
  domain.sharedInfo = xen.allocateXenFrame(domain.owner)
  initSharedInfo(xen, domain.sharedInfo)
  return domain
}

/** The p2m while it is being made: runs, and the few frames that were swapped. */
export class P2m {
  readonly runs: readonly P2mRun[]
  readonly exceptions = new Map<number, number>()

  constructor(runs: readonly P2mRun[]) {
    this.runs = runs
  }

  get(pfn: number): number {
    const swapped = this.exceptions.get(pfn)
    if (swapped !== undefined) return swapped
    const run = this.runs.find((r) => pfn >= r.pfn && pfn < r.pfn + r.count)
    if (run === undefined) throw new Error(`no frame for pfn ${hex(pfn)}`)
    return run.mfn + pfn - run.pfn
  }

  /** The pfn that has a frame, or -1. */
  pfnOf(mfn: number): number {
    for (const [pfn, other] of this.exceptions) if (other === mfn) return pfn
    const run = this.runs.find((r) => mfn >= r.mfn && mfn < r.mfn + r.count)
    if (run === undefined) return -1
    const pfn = run.pfn + mfn - run.mfn
    return this.exceptions.has(pfn) ? -1 : pfn
  }
}

/** Frames for a guest: the first `initial` pages in a row, if there is such a row; the others from the bottom up. */
export function takeFrames(xen: Hypervisor, nrPages: number, initial: number): P2mRun[] {
  const runs: P2mRun[] = []
  const first = xen.heap.takeTop(initial, 0x400)
  let pfn = 0
  if (first !== -1) {
    runs.push({ pfn: 0, mfn: first, count: initial })
    pfn = initial
  }
  for (const { start, end } of xen.heap.takeBottom(nrPages - pfn)) {
    runs.push({ pfn, mfn: start, count: end - start })
    pfn += end - start
  }
  return runs
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
  } else p2m.exceptions.set(other, old)
  p2m.exceptions.set(pfn, mfn)
}

/**
 * Records and M2P of the domain's frames. dom0's frames have no type yet; a domU's were filled through writable mappings
 * of the toolstack, which leaves them writable with a count of zero.
 */
export function ownFrames(xen: Hypervisor, domain: Domain, p2m: P2m, fresh: boolean): void {
  const type = fresh ? 0 : (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED
  const own = (pfn: number, mfn: number): void => {
    setRecord(xen, xen.memory.record(mfn), type, REF_ALLOCATED | 1, domain.owner)
    xen.m2p.set(mfn, pfn, 0)
  }
  for (const run of p2m.runs) {
    for (let done = 0; done < run.count; ) {
      const mfn = run.mfn + done
      // Up to the end of the 512 frames that one frame of the M2P describes: one look-up for all of them.
      const count = Math.min(run.count - done, SLOTS - (mfn & (SLOTS - 1)))
      ownNeighbours(xen, mfn, run.pfn + done, count, type, domain.owner)
      done += count
    }
  }
  // A swap that went out of the domain's runs leaves a frame behind that is the domain's no longer.
  for (const pfn of p2m.exceptions.keys()) disown(xen, p2m, pfn)
  for (const [pfn, mfn] of p2m.exceptions) own(pfn, mfn)
}

/** `count` frames from `mfn` on, whose entries of the M2P lie in one frame of it, get an owner and pfns from `pfn` on. */
function ownNeighbours(
  xen: Hypervisor,
  mfn: number,
  pfn: number,
  count: number,
  type: number,
  owner: number,
): void {
  fillRecords(xen, xen.memory.record(mfn), count, type, REF_ALLOCATED | 1, owner)
  const words = xen.memory.i32
  const m2p = xen.m2p.wordOf(mfn)
  for (let i = 0; i < count; i++) {
    words[m2p + i * 2] = pfn + i
    words[m2p + i * 2 + 1] = 0
  }
}

function disown(xen: Hypervisor, p2m: P2m, pfn: number): void {
  const run = p2m.runs.find((r) => pfn >= r.pfn && pfn < r.pfn + r.count)
  if (run === undefined) return
  const mfn = run.mfn + pfn - run.pfn
  setRecord(xen, xen.memory.record(mfn), 0, 0, OWNER_NONE)
  xen.m2p.set(mfn, 0xffffffff, 0xffffffff)
}
