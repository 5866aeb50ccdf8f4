import { PAGE, vaHigh } from '../bits/address.ts'
import { SIF, START_INFO } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { type StartOfDayLayout, tableCount } from './layouts/start-of-day.ts'
import type { P2m } from './p2m.ts'

/** What start_info says that is no matter of places. */
export type StartInfoFacts = {
  readonly nrPages: number
  /** Cut at what start_info has room for. */
  readonly commandLine: string
  /** Event channels of the pages of xenstore and console, where the layout has such pages. */
  readonly storePort: number
  readonly consolePort: number
}

/** Write the page at which a domain's life begins: Xen's struct start_info. */
export function writeStartInfo(
  xen: Hypervisor,
  domain: Domain,
  p2m: P2m,
  layout: StartOfDayLayout,
  facts: StartInfoFacts,
): void {
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
  const { initrd, p2mList, virtBase } = layout
  const [{ tables }] = layout.mappings
  // The kernel's notes speak of PAE, which says nothing to a 64-bit one.
  text(0, domain.privileged && xen.version.abi.paeByNote ? 'xen-3.0-x86_64p' : 'xen-3.0-x86_64')
  number(START_INFO.nr_pages, facts.nrPages)
  number(START_INFO.shared_info, domain.sharedInfo * PAGE)
  const ofDom0 = domain.privileged ? SIF.PRIVILEGED | SIF.INITDOMAIN : 0
  const ofInitrd = initrd !== null && !initrd.isMapped ? SIF.MOD_START_PFN : 0
  word(START_INFO.flags, layout.flags | ofDom0 | ofInitrd)
  if (layout.xenstore !== null) {
    number(START_INFO.store_mfn, p2m.get(layout.xenstore))
    word(START_INFO.store_evtchn, facts.storePort)
  }
  if (layout.console !== null) {
    number(START_INFO.console_mfn, p2m.get(layout.console))
    word(START_INFO.console_evtchn, facts.consolePort)
  }
  if (layout.video !== null) {
    // dom0 has no ring: in the ring's place it is told where behind start_info the record lies.
    word(START_INFO.video_offset, START_INFO.bytes)
    word(START_INFO.video_bytes, layout.video.length)
    u8.set(layout.video, at * 4 + START_INFO.bytes)
  }
  address(START_INFO.pt_base, virtBase + tables[0].pfn * PAGE)
  number(START_INFO.nr_pt_frames, tableCount(tables))
  address(START_INFO.mfn_list, p2mList.va)
  if (p2mList.isTold) {
    number(START_INFO.first_p2m_pfn, p2mList.pfn)
    number(START_INFO.nr_p2m_frames, p2mList.frames)
  }
  if (initrd !== null) {
    if (initrd.isMapped) address(START_INFO.mod_start, virtBase + initrd.pfn * PAGE)
    else number(START_INFO.mod_start, initrd.pfn)
    number(START_INFO.mod_len, initrd.bytes)
  }
  text(START_INFO.cmd_line, facts.commandLine.slice(0, START_INFO.cmd_line_bytes - 1))
}
