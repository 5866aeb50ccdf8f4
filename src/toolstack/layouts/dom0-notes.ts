import { PAGE, REGION, roundUp } from '../../bits/address.ts'
import { layoutDom0 } from './dom0.ts'
import { KERNEL_START } from './model.ts'
import { tablePfns } from './start-of-day.ts'

/** A part of a domain as it is built, in pseudo-physical bytes. */
export type Part = { readonly start: number; readonly end: number }

/**
 * Where the domain builder puts things for kernels of today, which ask by notes in their image (MOD_START_PFN, INIT_P2M)
 * that neither initrd nor p2m list be in the initial mapping: see `layoutDom0`.
 */
export type NotesLayout = {
  readonly kernel: Part
  readonly pageTables: Part
  readonly initrd: Part
  readonly p2m: Part
  readonly vEnd: number
}

/** Where Linux wants its p2m list. */
const INIT_P2M = 2 ** 39

/**
 * @param kernelBytes bytes from 16 MiB to the end of the image's bss
 * @param nrPages frames of the domain
 * @throws BadInput when it does not fit
 */
export function layoutWithNotes(kernelBytes: number, initrdBytes: number, nrPages: number): NotesLayout {
  const kernel = { start: KERNEL_START, end: roundUp(KERNEL_START + kernelBytes, PAGE) }
  const image = {
    entry: REGION.kernelMap + kernel.start,
    virtBase: REGION.kernelMap,
    start: REGION.kernelMap + kernel.start,
    end: REGION.kernelMap + kernel.end,
    segments: [],
    hypercallPage: null,
    initP2m: INIT_P2M,
    unmappedInitrd: true,
    canBeDom0: true,
  }
  const { module, p2mList, end, mappings, mapped } = layoutDom0(image, initrdBytes, nrPages)
  const part = (start: number, stop: number): Part => ({ start: start * PAGE, end: stop * PAGE })
  const tables = tablePfns(mappings[0])
  return {
    kernel,
    pageTables: part(tables.start, tables.end),
    initrd: part(module.pfn, module.pfn + module.pages),
    p2m: part(p2mList.pfn, end),
    vEnd: mapped * PAGE,
  }
}
