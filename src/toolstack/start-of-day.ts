import { PAGE, SLOTS, slotAt, vaHigh } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import { A, D, entryHi, entryLo, HI_GUEST_KERNEL, P, RW, US } from '../bits/pte.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { REF_ALLOCATED, REFS_WORD, TYPE_PINNED, TYPE_SHIFT, TYPE_VALIDATED } from '../machine/frames.ts'
import { RSI, RSP, type Vcpu } from '../machine/vcpu/vcpu.ts'
import { SIF, START_INFO } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { addGuest, ownFrames, P2m, takeFrames } from '../xen/mm/domain-frames.ts'
import { fillM2pSlot, initXenSlots } from '../xen/mm/tables.ts'
import { FLAT_SS } from '../xen/pv/exceptions.ts'
import { HYPERCALL_PAGE } from '../xen/pv/hypercall-page.ts'
import { type Image, loadImage } from './image/image.ts'
import {
  layoutStartOfDay,
  type Mapping,
  type StartOfDayLayout,
  type TableRun,
  tableFor,
} from './start-of-day-layout.ts'

/** What a domU is to be made of. */
export type StartOfDayPlan = {
  readonly id: number
  readonly image: Image
  /** What the image is called in errors. */
  readonly source: string
  /** The initrd as the guest is to find it, or null. */
  readonly initrd: Uint8Array | null
  readonly commandLine: string
  readonly nrPages: number
  /** Event channels of the xenstore and console pages: the toolstack allocates them first, in this order. */
  readonly storePort: number
  readonly consolePort: number
}

/** A domU that is about to run its first instruction. */
export type StartOfDay = {
  readonly domain: Domain
  readonly vcpu: Vcpu
  readonly layout: StartOfDayLayout
  /** Frames of the pages by which the guest talks to xenstore and console. */
  readonly storeMfn: number
  readonly consoleMfn: number
}

/**
 * Build a domU from a kernel's image, as the toolstack does: memory, page tables, start info, and the types that frames have
 * when the L4 has been pinned and is the vCPU's root. Xen: xc_dom_boot_image(), bootlate_pv(), vcpu_x86_64().
 *
 * @throws BadInput when it does not fit into its memory or the machine's
 */
export function buildStartOfDay(xen: Hypervisor, plan: StartOfDayPlan): StartOfDay {
  const { image, initrd, nrPages } = plan
  const layout = layoutStartOfDay(image, initrd?.length ?? 0, nrPages)
  if (nrPages > xen.heap.most) {
    throw new BadInput(`a guest of ${nrPages} pages is larger than the machine, which has ${xen.heap.most}`)
  }
  if (plan.commandLine.length >= START_INFO.cmd_line_bytes) {
    throw new BadInput(
      `the command line has ${plan.commandLine.length} characters; a guest takes at most ${START_INFO.cmd_line_bytes - 1}`,
    )
  }
  const domain = addGuest(xen, plan.id, false, nrPages)
  domain.maxPages = nrPages + SPARE_PAGES
  const p2m = new P2m(takeFrames(xen, nrPages, layout.end))
  ownFrames(xen, domain, p2m, false)

  const wordsOf = (pfn: number): number => xen.memory.frameWords(p2m.get(pfn))
  const pfnOf = (va: number): number => (va - image.virtBase) / PAGE
  loadImage(image, xen.memory.u8, (va) => wordsOf(pfnOf(va)) * 4, plan.source)
  if (image.hypercallPage !== null) {
    xen.memory.u8.set(HYPERCALL_PAGE, wordsOf(pfnOf(image.hypercallPage)) * 4)
  }
  for (let done = 0; initrd !== null && done < initrd.length; done += PAGE) {
    xen.memory.u8.set(initrd.subarray(done, done + PAGE), wordsOf(layout.initrd + done / PAGE) * 4)
  }
  writeP2mList(xen, p2m, layout, nrPages)
  writeStartInfo(xen, p2m, layout, plan, domain.sharedInfo)
  const root = buildTables(xen, p2m, layout)

  const pv = xen.addVcpu(domain)
  const vcpu = pv.port
  vcpu.root = root
  // The boot stack serves, too, when the kernel is entered from a process.
  const stack = image.virtBase + (layout.bootStack + 1) * PAGE
  pv.kernelSs = FLAT_SS
  pv.kernelSp = stack
  vcpu.setVa(RSP, stack)
  vcpu.setVa(RSI, image.virtBase + layout.startInfo * PAGE)
  return {
    domain,
    vcpu,
    layout,
    storeMfn: p2m.get(layout.xenstore),
    consoleMfn: p2m.get(layout.console),
  }
}

/** What the toolstack lets a guest have beyond its memory: LIBXL_MAXMEM_CONSTANT. */
const SPARE_PAGES = (1 << 20) / PAGE
/**
 * Page tables and what they make of the frames in them: a page that is mapped writable is writable, a table has the type of
 * its level and is mapped read-only if at all. Xen has added its own flags to the kernel's L1 entries. Returns the root.
 */
function buildTables(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout): number {
  const { memory } = xen
  const write = (level: TableRun['level'], va: number, pfn: number, lo: number, hi: number): void => {
    const at = memory.frameWords(p2m.get(tableFor(layout, level, va))) + slotAt(va, level) * 2
    const mfn = p2m.get(pfn)
    memory.u32[at] = entryLo(mfn, lo)
    memory.u32[at + 1] = entryHi(mfn, hi)
  }
  const setRecord = (pfn: number, type: number, refs: number): void => {
    const record = memory.record(p2m.get(pfn))
    memory.u32[record] = type >>> 0
    memory.u32[record + REFS_WORD] = (REF_ALLOCATED | refs) >>> 0
  }
  const writable = (TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED | 1
  for (const mapping of layout.mappings) {
    for (let i = 0; i < mapping.pages; i++) {
      const pfn = mapping.pfn + i
      const isTable = layout.mappings.some((other) => hasTable(other, pfn))
      write(1, mapping.va + i * PAGE, pfn, isTable ? P | A | US : P | RW | A | US, HI_GUEST_KERNEL)
      if (!isTable) setRecord(pfn, writable, 2)
    }
    for (const run of mapping.tables) {
      for (let i = 0; i < run.count; i++) {
        const pfn = run.pfn + i
        const mapped = layout.mappings.some((m) => pfn >= m.pfn && pfn < m.pfn + m.pages) ? 1 : 0
        const type = (run.level << TYPE_SHIFT) | TYPE_VALIDATED
        if (run.level === 4) {
          // One reference is the pin's and one the vCPU's, which has it as its root.
          setRecord(pfn, type | TYPE_PINNED | 2, 3 + mapped)
        } else {
          setRecord(pfn, type | 1, 2 + mapped)
          const above = (run.level + 1) as TableRun['level']
          write(above, run.va + i * 2 ** (12 + 9 * run.level), pfn, P | RW | A | US | D, 0)
        }
      }
    }
  }
  const root = p2m.get(layout.mappings[0].firstTable)
  initXenSlots(xen, root, memory.frameWords(root))
  fillM2pSlot(xen, memory.frameWords(root))
  return root
}

function hasTable(mapping: Mapping, pfn: number): boolean {
  const { firstTable, tables } = mapping
  const last = tables[tables.length - 1]
  return pfn >= firstTable && last !== undefined && pfn < last.pfn + last.count
}

/** The p2m list in the guest's memory: eight bytes a pfn. What lies behind the last one in its frame is no frame. */
function writeP2mList(xen: Hypervisor, p2m: P2m, layout: StartOfDayLayout, nrPages: number): void {
  const words = xen.memory.u32
  for (let first = 0; first < nrPages; first += SLOTS) {
    const at = xen.memory.frameWords(p2m.get(layout.mfnList + first / SLOTS))
    const count = Math.min(SLOTS, nrPages - first)
    for (let i = 0; i < count; i++) words[at + i * 2] = p2m.get(first + i)
  }
}

function writeStartInfo(
  xen: Hypervisor,
  p2m: P2m,
  layout: StartOfDayLayout,
  plan: StartOfDayPlan,
  sharedInfo: number,
): void {
  const { image, initrd } = plan
  const at = xen.memory.frameWords(p2m.get(layout.startInfo))
  const { u8, u32 } = xen.memory
  const text = (offset: number, value: string): void => {
    for (let i = 0; i < value.length; i++) u8[at * 4 + offset + i] = value.charCodeAt(i)
  }
  const word = (offset: number, value: number): void => {
    u32[at + offset / 4] = value
  }
  const number = (offset: number, value: number): void => {
    word(offset, value >>> 0)
    word(offset + 4, Math.floor(value / 2 ** 32))
  }
  const address = (offset: number, va: number): void => {
    word(offset, va >>> 0)
    word(offset + 4, vaHigh(va))
  }
  const [initial] = layout.mappings
  const isUnmapped = initrd !== null && image.unmappedInitrd
  text(0, 'xen-3.0-x86_64')
  number(START_INFO.nr_pages, plan.nrPages)
  number(START_INFO.shared_info, sharedInfo * PAGE)
  word(START_INFO.flags, SIF.VIRT_P2M_4TOOLS | (isUnmapped ? SIF.MOD_START_PFN : 0))
  number(START_INFO.store_mfn, p2m.get(layout.xenstore))
  word(START_INFO.store_evtchn, plan.storePort)
  number(START_INFO.console_mfn, p2m.get(layout.console))
  word(START_INFO.console_evtchn, plan.consolePort)
  address(START_INFO.pt_base, image.virtBase + initial.firstTable * PAGE)
  number(
    START_INFO.nr_pt_frames,
    initial.tables.reduce((sum, run) => sum + run.count, 0),
  )
  address(START_INFO.mfn_list, layout.mfnListVa)
  if (image.initP2m !== null) {
    number(START_INFO.first_p2m_pfn, layout.mfnList)
    number(START_INFO.nr_p2m_frames, layout.mfnListFrames)
  }
  if (isUnmapped) number(START_INFO.mod_start, layout.initrd)
  else if (initrd !== null) address(START_INFO.mod_start, image.virtBase + layout.initrd * PAGE)
  number(START_INFO.mod_len, initrd?.length ?? 0)
  text(START_INFO.cmd_line, plan.commandLine)
}
