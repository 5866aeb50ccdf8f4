import { PAGE } from '../../bits/address.ts'
import { bytesOf, type Kernel, type PageTableBuffer, printk } from '../kernel.ts'
import type { Memblock } from '../memory/memblock.ts'
import { directVa } from '../symbols.ts'
import { makeLowmemPageReadwrite } from './pgtable.ts'

/**
 * The seed: mark_rw_past_pgt() of Linux commit a38647837a41.
 *
 * The whole buffer [start, top) is mapped read-only, as any of it may become a table. When the tables are built only
 * [start, end) is kept; the tail [end, top) goes back to the allocator, and whoever gets it faults on the first store.
 * This function gives the tail its write permission back. As nobody calls it at the right moment, it is called from
 * every entry that is written, and finds out by itself whether the buffer it knows has been reserved meanwhile.
 */
export type MarkState = {
  /** `end` of the last tail that was released, or 0: Linux's __last_pgt_set_rw. */
  lastRw: number
  /** The buffer it knows, pfns: __pgt_buf_start, __pgt_buf_end, __pgt_buf_top. */
  s: number
  e: number
  t: number
  /** What the last call saw and did, to report a run of equal calls once. */
  seen: string
  /** Who made it; empty when none is being counted. */
  seenSite: string
  times: number
  /** memblock's version and buffer at the last call that changed nothing: the next equal call cannot either. */
  quietVersion: number
  quietEnd: number
  quietStart: number
}

/** Nothing has been marked yet. */
export function newMarkState(): MarkState {
  return {
    lastRw: 0,
    s: 0,
    e: 0,
    t: 0,
    seen: '',
    seenSite: '',
    times: 0,
    quietVersion: -1,
    quietEnd: -1,
    quietStart: -1,
  }
}

/** Which way a call went. */
export type MarkBranch =
  | 'nothing-allocated'
  | 'first-call'
  | 'not-reserved-yet'
  | 'already-released'
  | 'release'

/**
 * Call it `times` times in a row, from `site`; the branch that each call takes is what the trace shows. A call that changes
 * nothing is repeated by the next one, as long as neither the buffer nor memblock changes.
 */
export function markRwPastPgt(kernel: Kernel, site: MarkSite, times: number): void {
  const { mark, memblock, pgtBuf } = kernel
  // Nothing that the function looks at has changed since a call that did nothing.
  const isQuiet =
    mark.quietVersion === memblock.version && mark.quietEnd === pgtBuf.end && mark.quietStart === pgtBuf.start
  if (isQuiet && (kernel.trace === null || mark.seenSite === site)) {
    mark.times += times
    return
  }
  for (let left = times; left > 0; left--) {
    const before = { s: mark.s, e: mark.e, t: mark.t, lastRw: mark.lastRw }
    const branch = step(kernel)
    if (before.s !== mark.s || before.e !== mark.e || before.t !== mark.t || before.lastRw !== mark.lastRw) {
      if (kernel.trace !== null) report(kernel, site, branch, before, 1)
      continue
    }
    mark.quietVersion = memblock.version
    mark.quietEnd = pgtBuf.end
    mark.quietStart = pgtBuf.start
    if (kernel.trace !== null) report(kernel, site, branch, before, left)
    return
  }
}

export type MarkSite = 'mask_rw_pte' | 'xen_post_allocator_init'

function step(kernel: Kernel): MarkBranch {
  const { branch, release } = markStep(kernel.mark, kernel.memblock, kernel.pgtBuf)
  if (release !== null) setRwTheRange(kernel, release.from, release.to)
  return branch
}

/** What the function decides: the branch, and the tail [from, to) (pfns) that is to have its write permission back. */
export function markStep(
  mark: MarkState,
  memblock: Memblock,
  { start, end, top }: PageTableBuffer,
): { branch: MarkBranch; release: { from: number; to: number } | null } {
  const only = (branch: MarkBranch) => ({ branch, release: null })
  // Between the search for a buffer and its first page the new buffer is known and empty; the old tail waits.
  if (!(end > start)) return only('nothing-allocated')
  if (mark.s === 0) {
    mark.s = start
    mark.e = end
    mark.t = top
    return only('first-call')
  }
  // The first free byte from s on. If that is s itself, nobody has reserved the buffer yet: it is still being built.
  if (memblock.findInRangeSize(bytesOf(mark.s), PAGE) === bytesOf(mark.s)) {
    mark.e = end
    mark.t = top
    return only('not-reserved-yet')
  }
  if (mark.e === mark.lastRw) return only('already-released')
  const release = { from: mark.e, to: mark.t }
  mark.lastRw = mark.e
  mark.s = start
  mark.e = end
  mark.t = top
  return { branch: 'release', release }
}

/** Give the pages [from, to) (pfns) their write permission back, with the line that both repairs print. */
export function setRwTheRange(kernel: Kernel, from: number, to: number): void {
  printk(kernel, `xen: setting RW the range ${bytesOf(from).toString(16)} - ${bytesOf(to).toString(16)}`)
  for (let pfn = from; pfn < to; pfn++) makeLowmemPageReadwrite(kernel, directVa(bytesOf(pfn)))
}

function report(
  kernel: Kernel,
  site: string,
  branch: MarkBranch,
  before: { s: number; e: number; t: number; lastRw: number },
  times: number,
): void {
  const { mark, pgtBuf } = kernel
  const after = { s: mark.s, e: mark.e, t: mark.t, lastRw: mark.lastRw }
  const key = JSON.stringify([site, branch, before, after])
  if (key === mark.seen) {
    mark.times += times
    return
  }
  flushMarkReport(kernel)
  mark.seen = key
  mark.seenSite = site
  mark.times = times
  kernel.trace?.('mark_rw_past_pgt', { site, branch, before, after, buffer: { ...pgtBuf } })
}

/** Report how often the last call was repeated with nothing different, if it was. */
export function flushMarkReport(kernel: Kernel): void {
  const { mark } = kernel
  if (mark.times > 1) kernel.trace?.('mark_rw_past_pgt_repeated', { times: mark.times - 1 })
  mark.times = 0
  mark.seen = ''
  mark.seenSite = ''
}
