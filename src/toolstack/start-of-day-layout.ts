import { ENTRY_BYTES, hex, PAGE, pagesOf, REGION, roundUp } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import type { Image } from './image/image.ts'

/**
 * What the toolstack puts where in a domU's memory. All parts follow one another in pseudo-physical memory, and so they do
 * from the virtual base on, as far as the initial mapping reaches:
 *
 *     kernel | initrd | p2m list | start info | xenstore | console | page tables | boot stack | rest || initrd, p2m list
 *
 * A kernel may ask for its initrd unmapped, and for its p2m list at an address of its own: then those lie behind the
 * initial mapping. Xen: xc_dom_build_image(), alloc_pgtables_pv(), alloc_p2m_list_x86_64().
 */
export type StartOfDayLayout = {
  readonly virtBase: number
  /** The first pfn of each part; 0 for an initrd that is not there. */
  readonly initrd: number
  readonly mfnList: number
  readonly startInfo: number
  readonly xenstore: number
  readonly console: number
  readonly bootStack: number
  /** Address of the p2m list. */
  readonly mfnListVa: number
  /** Frames of the p2m list; with its page tables, where it is mapped for itself. */
  readonly mfnListFrames: number
  /** The initial mapping, and the p2m list's own if it has one. */
  readonly mappings: readonly Mapping[]
  /** The first pfn behind everything. */
  readonly end: number
}

/** Pages that are mapped in a row, from an address on, and the page tables that this takes. */
export type Mapping = {
  readonly va: number
  readonly pfn: number
  readonly pages: number
  readonly tables: readonly TableRun[]
  /** The first of its tables, which follow one another. */
  readonly firstTable: number
}

/** Tables of one level in a row, for addresses from `va` on. */
export type TableRun = {
  readonly level: 1 | 2 | 3 | 4
  readonly va: number
  readonly pfn: number
  readonly count: number
}

/** Bytes of an address space, and what one table of a level maps. */
const ADDRESSES = 2 ** 48
const tableBytes = (level: TableRun['level']): number => (level === 4 ? ADDRESSES : ENTRY_BYTES[level + 1])
/** Slots 256 to 271 of every L4 are Xen's, and nobody can map anything there. */
const XEN_ADDRESSES = { start: REGION.xenStart, end: REGION.xenStart + 16 * 2 ** 39 }
/** The initial mapping ends on a multiple of 4 MiB, with at least 512 KiB behind the last part. */
const MAPPING_UNIT = 4 << 20
const SLACK_PAGES = (512 << 10) / PAGE
const BOOT_STACK_PAGES = 1

/**
 * Lay out a domain.
 *
 * @param initrdBytes 0 for none
 * @param nrPages the domain's memory, in frames
 * @throws BadInput when it does not fit
 */
export function layoutStartOfDay(image: Image, initrdBytes: number, nrPages: number): StartOfDayLayout {
  const { virtBase } = image
  const initrdPages = pagesOf(initrdBytes)
  const listPages = pagesOf(nrPages * 8)
  const isMappedInitrd = initrdPages > 0 && !image.unmappedInitrd
  let next = (image.end - virtBase) / PAGE
  const take = (pages: number): number => {
    next += pages
    return next - pages
  }
  const kernelPages = next
  let initrd = isMappedInitrd ? take(initrdPages) : 0
  let mfnList = image.initP2m === null ? take(listPages) : 0
  const [startInfo, xenstore, console] = [take(1), take(1), take(1)]
  const first = initialMapping(virtBase, next)
  take(first.tables.reduce((sum, run) => sum + run.count, 0))
  const bootStack = take(BOOT_STACK_PAGES)
  next = first.pages
  if (initrdPages > 0 && !isMappedInitrd) initrd = take(initrdPages)
  const mappings = [first]
  let mfnListFrames = listPages
  if (image.initP2m !== null) {
    mfnList = take(listPages)
    const tables = tablesFor(image.initP2m, listPages, next, [first])
    mappings.push({ va: image.initP2m, pfn: mfnList, pages: listPages, tables, firstTable: next })
    take(tables.reduce((sum, run) => sum + run.count, 0))
    mfnListFrames = next - mfnList
  }
  checkAddresses(mappings)
  if (next > nrPages) {
    const needs = `${mib(next)}, of which the kernel takes ${mib(kernelPages)} and the initrd ${mib(initrdPages)}`
    throw new BadInput(`${mib(nrPages)} of memory are too little: the guest needs ${needs}; give it more`)
  }
  return {
    virtBase,
    initrd,
    mfnList,
    startInfo,
    xenstore,
    console,
    bootStack,
    mfnListVa: image.initP2m ?? virtBase + mfnList * PAGE,
    mfnListFrames,
    mappings,
    end: next,
  }
}

/** Where Xen would overwrite a mapping, or one the other, no domain can be built. Throws BadInput. */
function checkAddresses(mappings: readonly Mapping[]): void {
  const ranges = mappings.map(({ va, pages }) => ({ start: va, end: va + pages * PAGE }))
  for (const [i, range] of ranges.entries()) {
    for (const other of [XEN_ADDRESSES, ...ranges.slice(0, i)]) {
      if (range.start >= other.end || other.start >= range.end) continue
      const what = other === XEN_ADDRESSES ? "Xen's" : 'used twice'
      throw new BadInput(`the kernel wants to be mapped at ${hex(range.start)}, where addresses are ${what}`)
    }
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
    const tables = tablesFor(virtBase, mapped, pagesSoFar, [])
    pages = tables.reduce((sum, run) => sum + run.count, BOOT_STACK_PAGES + SLACK_PAGES)
    if (end + pages * PAGE > mappedEnd) continue
    return { va: virtBase, pfn: 0, pages: mapped, tables, firstTable: pagesSoFar }
  }
}

/** Tables for `pages` from `va` on, beside those of other mappings: level by level, the highest first. Xen: count_pgtables(). */
function tablesFor(va: number, pages: number, firstPfn: number, others: readonly Mapping[]): TableRun[] {
  const runs: TableRun[] = []
  let pfn = firstPfn
  for (const level of [4, 3, 2, 1] as const) {
    const bytes = tableBytes(level)
    let from = Math.floor(va / bytes)
    let to = Math.floor((va + pages * PAGE - 1) / bytes)
    for (const other of others.flatMap((mapping) => mapping.tables)) {
      if (other.level !== level) continue
      const [otherFrom, otherTo] = [other.va / bytes, other.va / bytes + other.count - 1]
      if (from >= otherFrom && from <= otherTo) from = otherTo + 1
      if (to >= otherFrom && to <= otherTo) to = otherFrom - 1
    }
    const count = Math.max(0, to - from + 1)
    if (count > 0) runs.push({ level, va: from * bytes, pfn, count })
    pfn += count
  }
  return runs
}

/** The pfn of the table of a level that an address goes through. */
export function tableFor(layout: StartOfDayLayout, level: TableRun['level'], va: number): number {
  const bytes = tableBytes(level)
  for (const { tables } of layout.mappings) {
    for (const run of tables) {
      const n = Math.floor((va - run.va) / bytes)
      if (run.level === level && n >= 0 && n < run.count) return run.pfn + n
    }
  }
  throw new Error(`no table of level ${level} for ${hex(va)}`)
}
