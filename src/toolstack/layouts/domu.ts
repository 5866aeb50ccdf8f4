import { hex, PAGE, pagesOf, roundUp } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { A, HI_GUEST_KERNEL, P, RW, US } from '../../bits/pte.ts'
import { SIF } from '../../xen/abi.ts'
import type { Image } from '../image/image.ts'
import { checkAddresses } from './addresses.ts'
import { ADDRESSES, type Mapping, type StartOfDayLayout, tableCount } from './start-of-day.ts'
import { tablesByLevel } from './tables.ts'

/** A domU's, which has pages for xenstore and console. */
export type DomULayout = StartOfDayLayout & { readonly xenstore: number; readonly console: number }

/** The initial mapping ends on a multiple of 4 MiB, with at least 512 KiB behind the last part. */
const MAPPING_UNIT = 4 << 20
const SLACK_PAGES = (512 << 10) / PAGE
const BOOT_STACK_PAGES = 1

/**
 * What the toolstack puts where in a domU's memory. All parts follow one another in pseudo-physical memory, and so they do
 * from the virtual base on, as far as the initial mapping reaches:
 *
 *     kernel | initrd | p2m list | start info | xenstore | console | page tables | boot stack | rest || initrd, p2m list
 *
 * A kernel may ask for its initrd unmapped, and for its p2m list at an address of its own: then those lie behind the
 * initial mapping. Xen: xc_dom_build_image(), alloc_pgtables_pv(), alloc_p2m_list_x86_64().
 *
 * @param initrdBytes 0 for none
 * @param nrPages the domain's memory, in frames
 * @throws BadInput when it does not fit
 */
export function layoutDomU(image: Image, initrdBytes: number, nrPages: number): DomULayout {
  const { virtBase, initP2m } = image
  const initrdPages = pagesOf(initrdBytes)
  const listPages = pagesOf(nrPages * 8)
  const isMapped = !image.unmappedInitrd
  let next = (image.end - virtBase) / PAGE
  const take = (pages: number): number => {
    next += pages
    return next - pages
  }
  const kernelPages = next
  let initrd = isMapped ? take(initrdPages) : 0
  let list = initP2m === null ? take(listPages) : 0
  const [startInfo, xenstore, console] = [take(1), take(1), take(1)]
  const first = initialMapping(virtBase, next)
  take(tableCount(first.tables))
  const bootStack = take(BOOT_STACK_PAGES)
  next = first.pages
  if (!isMapped) initrd = take(initrdPages)
  const mappings = [first]
  let frames = listPages
  if (initP2m !== null) {
    list = take(listPages)
    const tables = tablesByLevel(initP2m, listPages, next, [first])
    mappings.push({ va: initP2m, pfn: list, pages: listPages, tables })
    take(tableCount(tables))
    frames = next - list
  }
  checkAddresses(mappings)
  if (next > nrPages) {
    const needs = `${mib(next)}, of which the kernel takes ${mib(kernelPages)} and the initrd ${mib(initrdPages)}`
    throw new BadInput(`${mib(nrPages)} of memory are too little: the guest needs ${needs}; give it more`)
  }
  return {
    virtBase,
    end: next,
    startInfo,
    flags: SIF.VIRT_P2M_4TOOLS,
    stack: virtBase + (bootStack + BOOT_STACK_PAGES) * PAGE,
    p2mList: { pfn: list, va: initP2m ?? virtBase + list * PAGE, frames, isTold: initP2m !== null },
    initrd: initrdBytes === 0 ? null : { pfn: initrd, bytes: initrdBytes, isMapped },
    xenstore,
    console,
    video: null,
    mappings,
    // Xen has added its own flags to the kernel's entries when it took the L4.
    pageFlags: { lo: P | RW | A | US, hi: HI_GUEST_KERNEL },
    dirty: [],
    types: 'asBuilt',
  }
}

function mib(pages: number): string {
  return `${Math.ceil((pages * PAGE) / 2 ** 20)} MiB`
}

/** The mapping of everything up to now, of its own page tables, of the boot stack and of some room. */
function initialMapping(virtBase: number, pagesSoFar: number): Mapping {
  const end = virtBase + pagesSoFar * PAGE
  for (let pages = BOOT_STACK_PAGES + SLACK_PAGES; ; ) {
    // An end that is a multiple already is taken for the beginning of the next one.
    const mappedEnd = roundUp(end + pages * PAGE + 1, MAPPING_UNIT)
    if (mappedEnd > ADDRESSES) {
      throw new BadInput(
        `kernel and initrd do not fit between ${hex(virtBase)} and the end of the address space; give a smaller initrd`,
      )
    }
    const mapped = (mappedEnd - virtBase) / PAGE
    const tables = tablesByLevel(virtBase, mapped, pagesSoFar)
    pages = tableCount(tables) + BOOT_STACK_PAGES + SLACK_PAGES
    if (end + pages * PAGE > mappedEnd) continue
    return { va: virtBase, pfn: 0, pages: mapped, tables }
  }
}
