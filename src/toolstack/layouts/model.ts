import { hex, PAGE, pagesOf, REGION, roundUp } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { A, HI_GUEST_KERNEL, P, RW, US } from '../../bits/pte.ts'
import type { StartOfDayLayout } from './start-of-day.ts'
import { tablesAsNeeded } from './tables.ts'

/** Where Linux's x86-64 image is linked to run, relative to the virtual base: 16 MiB. */
export const KERNEL_START = 0x100_0000
const MIB_4 = 4 << 20
const MIB_2 = 2 << 20
/** Slack that the builder wants between the boot stack and the end of the initial mapping. */
const SLACK = 512 << 10
/** What the kernel's own map covers: level2_kernel_pgt and level2_fixmap_pgt leave 1 GiB of it for the initial mapping. */
export const KERNEL_WINDOW = 2 ** 30

/**
 * What the builder of the model's domain puts where, in bytes from the virtual base; pseudo-physical addresses are the same
 * numbers. Each part starts on a page: kernel | initrd | p2m list | start info | page tables | boot stack. Xen's construct_dom0().
 */
export type DomainLayout = {
  readonly kernelEnd: number
  readonly initrd: number
  readonly initrdBytes: number
  readonly mfnList: number
  readonly startInfo: number
  readonly pageTables: number
  readonly nrPageTables: number
  readonly bootStack: number
  /** End of the initial mapping. */
  readonly vEnd: number
}

/** Frames of the boot page tables for an initial mapping of `vEnd` bytes: L4, L3, one L2 a GiB, one L1 for 2 MiB. */
export function pageTableFrames(vEnd: number): number {
  return 2 + Math.ceil(vEnd / 2 ** 30) + Math.ceil(vEnd / MIB_2)
}

/** The layout of a kernel and an initrd, both in bytes: v_end follows from them. */
export function layoutFor(kernelBytes: number, initrdBytes: number, nrPages: number): DomainLayout {
  const kernelEnd = roundUp(KERNEL_START + kernelBytes, PAGE)
  const mfnList = kernelEnd + pagesOf(initrdBytes) * PAGE
  const startInfo = mfnList + pagesOf(nrPages * 8) * PAGE
  const pageTables = startInfo + PAGE
  // The tables map themselves: their number and the end of the mapping depend on each other.
  let nrPageTables = 1
  let vEnd = 0
  for (;;) {
    const end = pageTables + (nrPageTables + 1) * PAGE
    vEnd = roundUp(end, MIB_4)
    if (vEnd - end < SLACK) vEnd += MIB_4
    const needed = pageTableFrames(vEnd)
    if (needed <= nrPageTables) break
    nrPageTables = needed
  }
  return {
    kernelEnd,
    initrd: kernelEnd,
    initrdBytes,
    mfnList,
    startInfo,
    pageTables,
    nrPageTables,
    bootStack: pageTables + nrPageTables * PAGE,
    vEnd,
  }
}

/**
 * The layout whose initial mapping ends at `vEnd`: a kernel of `kernelBytes`, and the largest initrd with which the
 * builder's rule gives that end. Throws BadInput when even without an initrd it ends later.
 */
export function layoutEndingAt(vEnd: number, kernelBytes: number, nrPages: number): DomainLayout {
  const least = layoutFor(kernelBytes, 0, nrPages)
  if (least.vEnd > vEnd) {
    throw new BadInput(
      `v_end ${hex(vEnd)} is too small: kernel and p2m list of ${hex(nrPages)} pages end at ${hex(least.vEnd)}; use at least that`,
    )
  }
  let layout = least
  // One page of initrd moves the end by at most one 4 MiB step: find the last size that still ends at vEnd.
  let [low, high] = [0, Math.floor((vEnd - KERNEL_START) / PAGE)]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const candidate = layoutFor(kernelBytes, middle * PAGE, nrPages)
    if (candidate.vEnd <= vEnd) {
      low = middle
      layout = candidate
    } else high = middle - 1
  }
  if (layout.vEnd !== vEnd)
    throw new BadInput(`v_end ${hex(vEnd)} cannot be reached with 4 KiB pages of initrd`)
  return layout
}

/** The same for the builder: everything is mapped, and the tables are as Xen's builder of a dom0 makes them. */
export function modelStartOfDay(layout: DomainLayout): StartOfDayLayout {
  const { initrdBytes, mfnList, startInfo, pageTables, bootStack, vEnd } = layout
  const virtBase = REGION.kernelMap
  const [pages, tables] = [vEnd / PAGE, pageTables / PAGE]
  return {
    virtBase,
    end: pages,
    startInfo: startInfo / PAGE,
    flags: 0,
    stack: virtBase + bootStack + PAGE,
    p2mList: {
      pfn: mfnList / PAGE,
      va: virtBase + mfnList,
      frames: (startInfo - mfnList) / PAGE,
      isTold: false,
    },
    initrd: initrdBytes === 0 ? null : { pfn: layout.initrd / PAGE, bytes: initrdBytes, isMapped: true },
    xenstore: null,
    console: null,
    video: null,
    mappings: [{ va: virtBase, pfn: 0, pages, tables: tablesAsNeeded(virtBase, pages, tables) }],
    pageFlags: { lo: P | RW | A | US, hi: HI_GUEST_KERNEL },
    dirty: [],
    types: 'asBuilt',
  }
}
