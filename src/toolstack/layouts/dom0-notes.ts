import { PAGE, pagesOf, roundUp } from '../../bits/address.ts'
import { KERNEL_START, pageTableFrames } from './model.ts'

const MIB_4 = 4 << 20
const SLACK = 512 << 10

/** A part of a domain as it is built, in pseudo-physical bytes. */
export type Part = { readonly start: number; readonly end: number }

/**
 * Where the domain builder puts things for kernels of today, which ask by notes in their image (MOD_START_PFN, INIT_P2M)
 * that neither initrd nor p2m list be in the initial mapping:
 *
 *   kernel | start info | page tables | boot stack | up to v_end, and to the next power of two of pages
 *   then, behind all that, the initrd | the p2m list with the tables that map it
 *
 * Xen's dom0_construct_pv(): the first block is one allocation of 2^n pages, the other two follow it in pfns.
 */
export type NotesLayout = {
  readonly kernel: Part
  readonly pageTables: Part
  readonly initrd: Part
  readonly p2m: Part
  readonly vEnd: number
}

/** @param kernelBytes bytes from 16 MiB to the end of the image's bss @param nrPages frames of the domain */
export function layoutWithNotes(kernelBytes: number, initrdBytes: number, nrPages: number): NotesLayout {
  const kernel = { start: KERNEL_START, end: roundUp(KERNEL_START + kernelBytes, PAGE) }
  const tables = kernel.end + PAGE
  let count = 1
  let vEnd = 0
  for (;;) {
    const end = tables + (count + 1) * PAGE
    vEnd = roundUp(end, MIB_4)
    if (vEnd - end < SLACK) vEnd += MIB_4
    const needed = pageTableFrames(vEnd)
    if (needed <= count) break
    count = needed
  }
  const block = 2 ** Math.ceil(Math.log2(vEnd))
  const initrd = { start: block, end: block + pagesOf(initrdBytes) * PAGE }
  const list = pagesOf(nrPages * 8)
  // The list is mapped at an address of its own: one L1 for 512 of its pages, and an L2 and an L3.
  const p2m = { start: initrd.end, end: initrd.end + (list + Math.ceil(list / 512) + 2) * PAGE }
  return { kernel, pageTables: { start: tables, end: tables + count * PAGE }, initrd, p2m, vEnd }
}
