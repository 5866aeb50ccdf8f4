import { PAGE, pagesOf, REGION } from '../../bits/address.ts'
import { A, D, HI_GUEST_KERNEL, P, RW, US } from '../../bits/pte.ts'
import { type StartOfDayLayout, tableCount } from './start-of-day.ts'
import { tablesAsNeeded, tablesByLevel } from './tables.ts'

/** Where things lie that do not move in the probe's two domains, in pfns: both map the first 8 MiB, a domU has no more. */
export const PROBE_PFNS = {
  mapped: 0x800,
  /** Where the script lies: behind the kernel, or where the probe's own toolstack puts it. */
  script: { dom0: 0x500, domU: 0x520 },
  /** A domU's first page table. */
  domUTables: 0x508,
} as const

/** Pages of the two. */
export const PROBE_PAGES = { dom0: 0x2000, domU: PROBE_PFNS.mapped } as const
const LIST_PAGES = { dom0: pagesOf(PROBE_PAGES.dom0 * 8), domU: pagesOf(PROBE_PAGES.domU * 8) } as const
/** What Xen's builder puts between script and page tables of a dom0: the p2m list and start_info. */
export const BEFORE_TABLES = LIST_PAGES.dom0 + 1
/** What the domain builder wrote through dom0's own mappings, so that it is dirty: the image, its pool and window. */
const LOADED = [
  { start: 0x100, end: 0x121 },
  { start: 0x200, end: 0x500 },
]
const TABLES = tableCount(tablesAsNeeded(REGION.kernelMap, PROBE_PFNS.mapped, 0))

/** dom0's page tables begin before this pfn, or they would not be mapped. */
export const LAST_DOM0_TABLES = PROBE_PFNS.mapped - TABLES
/** The longest script, in bytes. */
export const MOST_SCRIPT_BYTES = {
  dom0: (LAST_DOM0_TABLES - PROBE_PFNS.script.dom0 - BEFORE_TABLES) * PAGE,
  domU: (PROBE_PFNS.mapped - PROBE_PFNS.script.domU) * PAGE,
} as const

/** What differs from one probe's domain to another. */
export type ProbePlan = {
  readonly domain: 'dom0' | 'domU'
  /** The first page table of a dom0, which lies behind the script and its p2m list. */
  readonly tables: number
  /** Where rsp begins: an address. */
  readonly stack: number
  /** Bytes of a script that start_info is to tell of as a module; 0 where the driver has it. */
  readonly scriptBytes: number
}

/**
 * The domains of the recordings. Xen's builder of 2^n pages makes dom0's, with the script as its initrd:
 *
 *     kernel, pool, window | script | p2m list | start info | page tables
 *
 * The toolstack in the probe itself makes the domU's, and leaves it to Xen to find the types of its tables:
 *
 *     kernel, pool, window | p2m list | start info | page tables | script
 */
export function layoutProbe({ domain, tables, stack, scriptBytes }: ProbePlan): StartOfDayLayout {
  const isDom0 = domain === 'dom0'
  const virtBase = REGION.kernelMap
  const { mapped } = PROBE_PFNS
  const list = isDom0 ? tables - BEFORE_TABLES : tables - 8
  const startInfo = list + LIST_PAGES[domain]
  const order = isDom0 ? tablesAsNeeded : tablesByLevel
  const pageFlags = { lo: P | RW | US | A, hi: HI_GUEST_KERNEL }
  const initrd = { pfn: PROBE_PFNS.script[domain], bytes: scriptBytes, isMapped: true }
  return {
    virtBase,
    end: mapped,
    startInfo,
    flags: 0,
    stack,
    p2mList: { pfn: list, va: virtBase + list * PAGE, frames: LIST_PAGES[domain], isTold: false },
    initrd: scriptBytes === 0 ? null : initrd,
    xenstore: null,
    console: null,
    video: null,
    mappings: [{ va: virtBase, pfn: 0, pages: mapped, tables: order(virtBase, mapped, tables) }],
    // Xen's builder writes entries as Xen adjusts them; the probe's toolstack writes user pages.
    pageFlags: isDom0 ? pageFlags : { lo: pageFlags.lo | D, hi: 0 },
    dirty: isDom0 ? [...LOADED, { start: list, end: tables }] : [],
    types: 'validated',
  }
}
