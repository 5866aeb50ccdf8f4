import { PAGE, pagesOf } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import { START_INFO } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { buildDomain } from './build-domain.ts'
import { dom0Frames } from './dom0-frames.ts'
import { swap } from './domain-frames.ts'
import type { Image } from './image/image.ts'
import { type Dom0Layout, layoutDom0 } from './layouts/dom0.ts'
import { ADDRESSES } from './layouts/start-of-day.ts'

/** What a dom0 with a real kernel is to be made of. */
export type Dom0Plan = {
  readonly image: Image
  /** What the image is called in errors. */
  readonly imageName: string
  readonly initrd: Uint8Array | null
  readonly commandLine: string
  readonly nrPages: number
  /** What it is told of the machine's screen; null for nothing. */
  readonly video?: Uint8Array | null
  /** Pairs pfn, mfn: each swaps two frames of the p2m. */
  readonly swaps?: readonly (readonly [pfn: number, mfn: number])[]
}

/** A dom0 that is about to run its first instruction. */
export type Dom0Start = { readonly domain: Domain; readonly vcpu: Vcpu; readonly layout: Dom0Layout }

/** What a dom0 may come to have when dom0_mem does not say: d->max_pages, which has 32 bits. */
const MOST_PAGES = 2 ** 32 - 1
/** What Xen keeps of the free memory for itself: a sixteenth, 128 MiB at most. */
const KEPT = { part: 16, most: (128 << 20) / PAGE } as const

/**
 * Lay out and build dom0 from a kernel's image, as Xen does when it has started. Xen: dom0_construct_pv(), construct_dom0().
 *
 * @throws BadInput when it does not fit into its memory or the machine's
 */
export function buildDom0(xen: Hypervisor, plan: Dom0Plan): Dom0Start {
  const { image, imageName, initrd, nrPages, commandLine, video = null, swaps = [] } = plan
  if (!image.canBeDom0) throw new BadInput(`${imageName}: the kernel's notes say that it cannot be dom0`)
  const layout = layoutDom0(image, initrd?.length ?? 0, nrPages, video)
  const frames = () => {
    const p2m = dom0Frames(xen, layout, nrPages)
    for (const [pfn, mfn] of swaps) swap(xen, p2m, nrPages, pfn, mfn)
    return p2m
  }
  const { domain, vcpu } = buildDomain(xen, layout, {
    id: 0,
    privileged: true,
    nrPages,
    maxPages: MOST_PAGES,
    frames,
    image,
    imageName,
    initrd,
    // Xen cuts what is too long.
    commandLine: commandLine.slice(0, START_INFO.cmd_line_bytes - 1),
  })
  return { domain, vcpu, layout }
}

/**
 * The memory of a dom0 for which no dom0_mem is given, in frames. A kernel that wants its p2m list in the initial mapping
 * gets no more than lets list and tables of about its size fit above the virtual base. Xen: dom0_compute_nr_pages().
 *
 * @param available free frames, those of the initrd among them
 */
export function usualDom0Pages(available: number, image: Image, initrdBytes: number): number {
  const nrPages = available - Math.min(Math.floor(available / KEPT.part), KEPT.most)
  if (image.initP2m !== null) return nrPages
  const initrd = image.unmappedInitrd ? 0 : pagesOf(initrdBytes) * PAGE
  const room = ADDRESSES - (image.end + initrd)
  // Of the room that there is half is for the list.
  const fits = 2 * nrPages * 8 + (image.end + initrd - image.virtBase) < ADDRESSES - image.virtBase
  return fits ? nrPages : Math.floor(room / 16)
}
