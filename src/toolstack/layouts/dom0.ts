import { ENTRY_BYTES, PAGE, pagesOf, roundUp, SLOTS } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { A, HI_GUEST_KERNEL, P, RW, US } from '../../bits/pte.ts'
import { SIF } from '../../xen/abi.ts'
import type { Image } from '../image/image.ts'
import { checkAddresses } from './addresses.ts'
import {
  ADDRESSES,
  type Mapping,
  type PfnRange,
  type StartOfDayLayout,
  type TableLevel,
  tableBytes,
  tableCount,
} from './start-of-day.ts'
import { tablesAsNeeded } from './tables.ts'

/** A dom0's, with how its frames come together. */
export type Dom0Layout = StartOfDayLayout & {
  /** Pages of the first allocation, a power of two, without those of the initrd. */
  readonly block: number
  /** The initrd's pages, which are frames of their own; `pages` 0 for none. */
  readonly module: { readonly pfn: number; readonly pages: number }
  /** Where debug builds begin to number the block's frames from its end: the end of the initial mapping. */
  readonly mapped: number
}

/** v_end is a multiple of this, and lies so far behind the boot stack at least. */
const MAPPING_UNIT = 4 << 20
const SLACK = 512 << 10
/** What Xen keeps free, before it begins a part of the p2m list's mapping, for tables that the part may take. */
const SPARE_TABLES = 3

/**
 * What Xen puts where in a dom0's memory: one block of 2^n pages that the initial mapping fits, and the initrd in the frames
 * that the boot loader put it in.
 *
 *     kernel | initrd | p2m list | start info | page tables | boot stack | rest of the block
 *
 * A kernel may ask for its initrd unmapped and for its p2m list at an address of its own: then their pfns follow the block's,
 * the list with its tables between its pages, by 2 MiB as far as it fills them. Xen: dom0_construct_pv(), setup_pv_physmap().
 *
 * @param initrdBytes 0 for none
 * @param nrPages dom0's memory, in frames
 * @param video what dom0 is told of the machine's screen; null for nothing
 * @throws BadInput when it does not fit
 */
export function layoutDom0(
  image: Image,
  initrdBytes: number,
  nrPages: number,
  video: Uint8Array | null = null,
): Dom0Layout {
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
  const mappedInitrd = isMapped ? take(initrdPages) : 0
  const mappedList = initP2m === null ? take(listPages) : 0
  const startInfo = take(1)
  const tooLittle = (pages: number): BadInput => {
    const needs = `${mib(pages)}, of which the kernel takes ${mib(kernelPages)} and the initrd ${mib(initrdPages)}`
    return new BadInput(`${mib(nrPages)} of memory are too little: dom0 needs ${needs}; give it more`)
  }
  if (next > nrPages) throw tooLittle(next)
  const first = initialMapping(virtBase, next)
  const bootStack = next + tableCount(first.tables)
  const block = 2 ** Math.ceil(Math.log2(first.pages - (isMapped ? initrdPages : 0)))
  const module = { pfn: isMapped && initrdPages > 0 ? mappedInitrd : block, pages: initrdPages }
  const behind = block + initrdPages
  const list = initP2m === null ? [] : mapList(initP2m, listPages, behind, first)
  const end = list.reduce((sum, { pages, tables }) => sum + pages + tableCount(tables), behind)
  checkAddresses([first, ...list])
  if (end + (initP2m === null ? 0 : SPARE_TABLES) > nrPages) throw tooLittle(end)
  return {
    virtBase,
    end,
    startInfo,
    // Power management of CPUs is dom0's to tell Xen about: C states, and frequencies.
    flags: SIF.PM,
    stack: virtBase + (bootStack + 1) * PAGE,
    p2mList: { pfn: behind, va: initP2m ?? virtBase + mappedList * PAGE, frames: end - behind, isTold: true },
    initrd: initrdPages === 0 ? null : { pfn: module.pfn, bytes: initrdBytes, isMapped },
    xenstore: null,
    console: null,
    video,
    mappings: [first, ...list],
    pageFlags: { lo: P | RW | A | US, hi: HI_GUEST_KERNEL },
    dirty: written({
      image,
      startInfo,
      list: initP2m === null ? { start: mappedList, end: mappedList + listPages } : null,
      parts: list,
    }),
    types: 'asBuilt',
    block,
    module,
    mapped: first.pages,
  }
}

/** The mapping of all that is placed so far, of its own tables and of the boot stack, up to v_end. */
function initialMapping(virtBase: number, pagesSoFar: number): Mapping {
  for (let count = 2; ; ) {
    const end = virtBase + (pagesSoFar + count + 1) * PAGE
    const mappedEnd = roundUp(end, MAPPING_UNIT)
    const vEnd = mappedEnd - end < SLACK ? mappedEnd + MAPPING_UNIT : mappedEnd
    if (vEnd > ADDRESSES) {
      throw new BadInput(
        'kernel, initrd and p2m list do not fit between the virtual base and the end of the address space; give dom0 less memory',
      )
    }
    const pages = (vEnd - virtBase) / PAGE
    const tables = tablesAsNeeded(virtBase, pages, pagesSoFar)
    if (tableCount(tables) <= count) return { va: virtBase, pfn: 0, pages, tables }
    count = tableCount(tables)
  }
}

/** A part of the p2m list's mapping while it grows. */
type Part = Mapping & { pages: number }

/**
 * The p2m list at an address of its own, beside the initial mapping: a page of 2 MiB wherever one begins and ends in it, and
 * pages of 4 KiB elsewhere; a table is taken when the first page below it is mapped. Parts begin where tables are taken.
 */
function mapList(va: number, listPages: number, firstPfn: number, initial: Mapping): Mapping[] {
  const parts: Part[] = []
  const taken = new Set(
    initial.tables.flatMap(({ level, va, count }) =>
      Array.from({ length: count }, (_, i) => key(level, va + i * tableBytes(level))),
    ),
  )
  let pfn = firstPfn
  for (let done = 0; done < listPages; ) {
    const at = va + done * PAGE
    const isLarge = !taken.has(key(1, at)) && at % ENTRY_BYTES[2] === 0 && listPages - done >= SLOTS
    const levels = (isLarge ? [3, 2] : [3, 2, 1]) as TableLevel[]
    const tables = levels
      .filter((level) => !taken.has(key(level, at)))
      .map((level, i) => ({ level, va: at - (at % tableBytes(level)), pfn: pfn + i, count: 1 }))
    for (const { level } of tables) taken.add(key(level, at))
    pfn += tables.length
    const pages = isLarge ? SLOTS : 1
    const last = parts.at(-1)
    if (last !== undefined && tables.length === 0 && last.isLarge === isLarge) last.pages += pages
    else parts.push({ va: at, pfn, pages, tables, isLarge })
    pfn += pages
    done += pages
  }
  return parts
}

/** A table by its level and which part of the address space it is for. */
function key(level: TableLevel, va: number): string {
  return `${level}:${Math.floor(va / tableBytes(level))}`
}

/** What Xen writes through dom0's own mapping, so that the entries are dirty: what it loads, start_info and the p2m list. */
function written({
  image,
  startInfo,
  list,
  parts,
}: {
  image: Image
  startInfo: number
  list: PfnRange | null
  parts: readonly Mapping[]
}): PfnRange[] {
  const pfnOf = (va: number): number => (va - image.virtBase) / PAGE
  const loaded = image.segments.map(({ va, memoryBytes }) => ({
    start: Math.floor(pfnOf(va)),
    end: Math.ceil(pfnOf(va + memoryBytes)),
  }))
  const ofCalls = image.hypercallPage === null ? [] : [pfnOf(image.hypercallPage)]
  return [
    ...loaded,
    ...[...ofCalls, startInfo].map((start) => ({ start, end: start + 1 })),
    ...(list === null ? [] : [list]),
    ...parts.map(({ pfn, pages }) => ({ start: pfn, end: pfn + pages })),
  ]
}

function mib(pages: number): string {
  return `${Math.ceil((pages * PAGE) / 2 ** 20)} MiB`
}
