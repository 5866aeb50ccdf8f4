import { ENTRY_BYTES, hex, PAGE, REGION, SLOTS, slotAt, vaHigh } from '../bits/address.ts'
import { BadInput } from '../bits/bad-input.ts'
import { A, D, entryHi, entryLo, HI_GUEST_KERNEL, P, RW, US } from '../bits/pte.ts'
import { TYPE_CODE } from '../bits/type-word.ts'
import { REF_ALLOCATED, REFS_WORD, TYPE_PINNED, TYPE_SHIFT, TYPE_VALIDATED } from '../machine/frames.ts'
import { RSI, RSP, type Vcpu } from '../machine/vcpu/vcpu.ts'
import { type E820Entry, SIF, START_INFO } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { addGuest, ownFrames, P2m, swap, takeFrames } from '../xen/mm/domain-frames.ts'
import { fillM2pSlot, initXenSlots } from '../xen/mm/tables.ts'
import type { DomainLayout } from './domain-layout.ts'

/** What a domain is to be made of. */
export type DomainPlan = {
  readonly id: number
  readonly privileged: boolean
  readonly nrPages: number
  readonly layout: DomainLayout
  readonly commandLine: string
  /** Of a domU: the map that the toolstack gives it; null for none. */
  readonly memoryMap: readonly E820Entry[] | null
  /** Pairs of pfn and mfn: that pfn gets that frame, and whoever had it gets the other. */
  readonly swaps: readonly (readonly [pfn: number, mfn: number])[]
}

/**
 * Build a domain as Xen builds dom0 (construct_dom0) and the toolstack builds a domU: frames, boot page tables, p2m list,
 * start info, one vCPU about to run. Frames: the first allocation, which the initial mapping covers, is contiguous; the
 * others are the host's free RAM from the bottom up.
 */
export function buildDomain(xen: Hypervisor, plan: DomainPlan): { domain: Domain; vcpu: Vcpu } {
  const { layout, nrPages } = plan
  if (layout.vEnd > nrPages * PAGE) {
    throw new BadInput(
      `v_end ${hex(layout.vEnd)} lies beyond the guest's memory of ${hex(nrPages)} pages; give it more memory or a smaller v_end`,
    )
  }
  if (nrPages > xen.heap.most) {
    throw new BadInput(
      `a guest of ${hex(nrPages)} pages is too large for the machine, which has ${hex(xen.heap.most)} pages of RAM`,
    )
  }
  const domain = addGuest(xen, plan.id, plan.privileged, nrPages)
  domain.memoryMap = plan.memoryMap

  const runs = takeFrames(xen, nrPages, layout.vEnd / PAGE)
  const p2m = new P2m(runs)
  for (const [pfn, mfn] of plan.swaps) swap(xen, p2m, nrPages, pfn, mfn)
  ownFrames(xen, domain, p2m, plan.privileged)
  const root = buildTables(xen, p2m, layout)
  writeP2mList(xen, p2m, layout, nrPages)
  writeStartInfo(xen, domain, p2m, plan)

  const { port: vcpu } = xen.addVcpu(domain)
  vcpu.root = root
  vcpu.setVa(RSP, REGION.kernelMap + layout.bootStack + PAGE)
  vcpu.setVa(RSI, REGION.kernelMap + layout.startInfo)
  return { domain, vcpu }
}

/**
 * The boot page tables, in the order in which Xen takes their pages: L4, then L1, L2 and L3 of the first address, then
 * one L1 for each 2 MiB and an L2 where a GiB begins. Returns the root. Only the L4 is pinned; everything else is held
 * by the entry above it.
 */
function buildTables(xen: Hypervisor, p2m: P2m, layout: DomainLayout): number {
  const words = xen.memory.u32
  const base = REGION.kernelMap
  let next = layout.pageTables / PAGE
  const takeTable = (): number => p2m.get(next++)
  const write = (table: number, slot: number, mfn: number, lo: number, hi: number): void => {
    const at = xen.memory.frameWords(table) + slot * 2
    words[at] = entryLo(mfn, lo)
    words[at + 1] = entryHi(mfn, hi)
  }
  const UPPER = P | RW | A | US | D
  const l4 = takeTable()
  const l1s: number[] = [takeTable()]
  const l2s: number[] = [takeTable()]
  const l3 = takeTable()
  for (let va = ENTRY_BYTES[2]; va < layout.vEnd; va += ENTRY_BYTES[2]) {
    l1s.push(takeTable())
    if (va % ENTRY_BYTES[3] === 0) l2s.push(takeTable())
  }
  write(l4, slotAt(base, 4), l3, UPPER, 0)
  l2s.forEach((l2, i) => {
    write(l3, slotAt(base + i * ENTRY_BYTES[3], 3), l2, UPPER, 0)
  })
  l1s.forEach((l1, i) => {
    write(l2s[Math.floor((i * ENTRY_BYTES[2]) / ENTRY_BYTES[3])], i % SLOTS, l1, UPPER, 0)
  })
  const firstTable = layout.pageTables / PAGE
  const endTable = firstTable + layout.nrPageTables
  const writable = ((TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED | 1) >>> 0
  for (let pfn = 0; pfn < layout.vEnd / PAGE; pfn++) {
    const mfn = p2m.get(pfn)
    const isTable = pfn >= firstTable && pfn < endTable
    const flags = isTable ? P | A | US : P | RW | A | US
    write(l1s[Math.floor(pfn / SLOTS)], pfn % SLOTS, mfn, flags, HI_GUEST_KERNEL)
    const record = xen.memory.record(mfn)
    words[record + REFS_WORD] = (REF_ALLOCATED | 2) >>> 0
    if (!isTable) words[record] = writable
  }
  const becomeTable = (mfn: number, code: number, refs: number, type: number): void => {
    const record = xen.memory.record(mfn)
    words[record] = ((code << TYPE_SHIFT) | TYPE_VALIDATED | type) >>> 0
    words[record + REFS_WORD] = (REF_ALLOCATED | refs) >>> 0
  }
  for (const l1 of l1s) becomeTable(l1, 1, 3, 1)
  for (const l2 of l2s) becomeTable(l2, 2, 3, 1)
  becomeTable(l3, 3, 3, 1)
  // One reference is the pin's and one the vCPU's, which has it as its root.
  becomeTable(l4, 4, 4, TYPE_PINNED | 2)
  initXenSlots(xen, l4, xen.memory.frameWords(l4))
  fillM2pSlot(xen, xen.memory.frameWords(l4))
  return l4
}

/** The p2m list in the guest's memory: eight bytes a pfn. */
function writeP2mList(xen: Hypervisor, p2m: P2m, layout: DomainLayout, nrPages: number): void {
  const words = xen.memory.u32
  const first = layout.mfnList / PAGE
  const wordOf = (pfn: number): number =>
    xen.memory.frameWords(p2m.get(first + Math.floor(pfn / SLOTS))) + (pfn % SLOTS) * 2
  for (const run of p2m.runs) {
    for (let done = 0; done < run.count && run.pfn + done < nrPages; ) {
      const pfn = run.pfn + done
      const count = Math.min(run.count - done, SLOTS - (pfn % SLOTS))
      let at = wordOf(pfn)
      for (let i = 0; i < count; i++) {
        // The frame is fresh: its high halves are zero.
        words[at] = run.mfn + done + i
        at += 2
      }
      done += count
    }
  }
  for (const [pfn, mfn] of p2m.exceptions) words[wordOf(pfn)] = mfn
}

function writeStartInfo(xen: Hypervisor, domain: Domain, p2m: P2m, plan: DomainPlan): void {
  const { layout } = plan
  const at = xen.memory.frameWords(p2m.get(layout.startInfo / PAGE))
  const bytes = xen.memory.u8
  const text = (offset: number, value: string): void => {
    for (let i = 0; i < value.length; i++) bytes[at * 4 + offset + i] = value.charCodeAt(i)
  }
  const number = (offset: number, value: number): void => {
    xen.memory.u32[at + offset / 4] = value >>> 0
    xen.memory.u32[at + offset / 4 + 1] = Math.floor(value / 2 ** 32)
  }
  const address = (offset: number, va: number): void => {
    xen.memory.u32[at + offset / 4] = va >>> 0
    xen.memory.u32[at + offset / 4 + 1] = vaHigh(va)
  }
  // The kernel's notes speak of PAE, which says nothing to a 64-bit one.
  const pae = plan.privileged && xen.version.abi.paeByNote
  text(0, pae ? 'xen-3.0-x86_64p' : 'xen-3.0-x86_64')
  number(START_INFO.nr_pages, plan.nrPages)
  number(START_INFO.shared_info, domain.sharedInfo * PAGE)
  xen.memory.u32[at + START_INFO.flags / 4] = plan.privileged ? SIF.PRIVILEGED | SIF.INITDOMAIN : 0
  address(START_INFO.pt_base, REGION.kernelMap + layout.pageTables)
  number(START_INFO.nr_pt_frames, layout.nrPageTables)
  address(START_INFO.mfn_list, REGION.kernelMap + layout.mfnList)
  address(START_INFO.mod_start, layout.initrdBytes > 0 ? REGION.kernelMap + layout.initrd : 0)
  number(START_INFO.mod_len, layout.initrdBytes)
  text(START_INFO.cmd_line, plan.commandLine.slice(0, START_INFO.cmd_line_bytes - 1))
}
