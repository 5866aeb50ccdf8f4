import { hex, PAGE, REGION, SLOTS, TWO_32, vaHigh } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { entryHi, entryLo, HI_GUEST_KERNEL } from '../../bits/pte.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import {
  OWNER_WORD,
  REF_ALLOCATED,
  REFS_WORD,
  TYPE_PINNED,
  TYPE_SHIFT,
  TYPE_VALIDATED,
} from '../../machine/frames.ts'
import { Memory } from '../../machine/memory.ts'
import { RSI, RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { PROBE } from '../../script/layout.ts'
import { SIF, START_INFO } from '../../xen/abi.ts'
import type { Domain } from '../../xen/domain.ts'
import { Hypervisor, type XenFrames } from '../../xen/hypervisor.ts'
import { getPageType } from '../../xen/mm/frame-type.ts'
import { fillM2pSlot } from '../../xen/mm/tables.ts'
import { initSharedInfo } from '../../xen/sched/vcpu-info.ts'
import { holesOf, withHoles } from '../../xen/versions/holes.ts'
import { xenVersion } from '../../xen/versions/index.ts'

/** A name's frame in a recording: hex digits, `-` for no pfn. */
export type RecordedSyms = Readonly<Record<string, { readonly mfn: string; readonly pfn: string }>>

/** Frames of pfns in a row: the first pfn and its mfn, how many, and by how much the mfn changes: 1 or -1. */
export type FrameRun = readonly [pfn: number, mfn: number, count: number, step: number]

/** The frames of a recording: of names, and of all pfns where it tells of them. */
export type RecordedFrames = { readonly syms: RecordedSyms; readonly p2m: readonly FrameRun[] }

export type ScriptMachine = { readonly xen: Hypervisor; readonly vcpu: Vcpu; readonly dom0: Vcpu | null }

/** The machine of the recordings: 256 MiB, 40 address bits. */
const RAM = [
  { start: 0, end: 0x9f },
  { start: 0x100, end: 0xffe0 },
]
/** Pages of dom0, 32 MiB, and of a domU, 8 MiB; both map the first 8 MiB. */
const DOM0_PAGES = 0x2000
const MAPPED_PAGES = 0x800
/** Where the script lies in dom0, as a pfn: behind the kernel. */
const SCRIPT_START = 0x500
const L1_TABLES = MAPPED_PAGES / SLOTS

/**
 * The rest of dom0's memory on that machine: runs of frames, in the order in which Xen's builder allocates them. Where
 * recordings name one of these frames they show its pfn; debug builds number this part from the end.
 */
const DOM0_REST = [
  { mfn: 0xd000, pages: 0x1000 },
  { mfn: 0xf000, pages: 0x400 },
  { mfn: 0xe600, pages: 0x200 },
  { mfn: 0xce00, pages: 0x200 },
]
/** The IO-APIC's two registers as Xen leaves them, repeated through their page: the selected register, and its value. */
const IO_APIC = { frame: 0xfec00, every: 64, select: 0x2e, data: 4, value: 0x9a0 }
/** Frames that Xen used for itself there, when nothing else is said. */
const XEN_FRAMES = {
  M2PF: 0xf400,
  XM2PL3: 0xfdc3,
  XPERD: 0xfc98,
  XTEXTL3: 0xfc88,
  XDIRL3: 0xfc87,
  SHINFO: 0xfc99,
}
/** What the domain builder wrote through dom0's own mappings, so that it is dirty: the image, its pool and window. */
const LOADED = [
  { start: 0x100, end: 0x121 },
  { start: 0x200, end: 0x500 },
]

/** Where a probe's domain has its own things, as pfns; from `tables` on are its seven page tables. */
type Layout = {
  readonly list: number
  readonly startInfo: number
  readonly tables: number
  readonly order: readonly ('l4' | 'l3' | 'l2' | 'l1')[]
}

/** dom0's tables in the order in which Xen's builder takes their pages. */
const DOM0_ORDER = ['l4', 'l1', 'l2', 'l3', 'l1', 'l1', 'l1'] as const
/** A domU's, in the order of the probe's own toolstack. */
const DOMU: Layout = {
  list: 0x500,
  startInfo: 0x504,
  tables: 0x508,
  order: ['l4', 'l3', 'l2', 'l1', 'l1', 'l1', 'l1'],
}

function dom0Layout(tables: number): Layout {
  return { list: tables - 17, startInfo: tables - 1, tables, order: DOM0_ORDER }
}

/** dom0 maps its script, with what lies behind it: 17 pages and its page tables. */
const MOST_SCRIPT_BYTES = (MAPPED_PAGES - SCRIPT_START - 17 - DOM0_ORDER.length) * PAGE

let memory: Memory | null = null

/**
 * A machine with a probe in dom0 or in a domU, about to start.
 *
 * @param scriptBytes length of the script, which lies behind dom0's kernel and moves what comes after it
 * @param recording frames of a recording, to use the same ones
 * @param reserved frames that the recording gives out later
 * @param holes which holes of the past are open; without it the profile's own
 */
export function scriptMachine(
  profile: string,
  isDomU: boolean,
  scriptBytes: number,
  recording: RecordedFrames | null,
  reserved: ReadonlySet<number>,
  holes?: string,
): ScriptMachine {
  const syms = recording?.syms ?? null
  memory ??= new Memory(96 * 2 ** 20)
  const frame = (name: keyof typeof XEN_FRAMES): number =>
    syms?.[name] === undefined ? XEN_FRAMES[name] : Number.parseInt(syms[name].mfn, 16)
  const frames: XenFrames = {
    m2p: frame('M2PF'),
    m2pL3: frame('XM2PL3'),
    perDomain: frame('XPERD'),
    text: frame('XTEXTL3'),
    directMap: frame('XDIRL3'),
  }
  checkFrames(syms, isDomU)
  if (!isDomU && scriptBytes > MOST_SCRIPT_BYTES) {
    throw new BadInput(
      `a script of ${scriptBytes} bytes does not fit dom0's first 8 MiB; at most ${MOST_SCRIPT_BYTES} do`,
    )
  }
  const host = { ram: RAM, map: [], addressBits: 40 }
  const version = xenVersion(profile)
  const xen = new Hypervisor(withHoles(version, holesOf(version, holes)), host, memory, frames)
  // Scripts find out what a forgotten flush does: their TLB is a CPU's.
  xen.coherentTlb = false
  xen.guestLogAll = true
  const recorded = new Map<number, number>()
  for (const { mfn, pfn } of Object.values(syms ?? {})) {
    if (pfn !== '-') recorded.set(Number.parseInt(pfn, 16), Number.parseInt(mfn, 16))
  }
  for (const [pfn, mfn, count, step] of recording?.p2m ?? []) {
    for (let i = 0; i < count; i++) recorded.set(pfn + i, mfn + i * step)
  }
  const kl4 = isDomU || syms?.KL4 === undefined ? undefined : Number.parseInt(syms.KL4.pfn, 16)
  const dom0Tables = kl4 ?? SCRIPT_START + Math.max(1, Math.ceil(scriptBytes / PAGE)) + 17
  const shared = frame('SHINFO')
  const registers = new Map<number, number>()
  for (let at = 0; at < 1024; at += IO_APIC.every) {
    registers.set(at, IO_APIC.select)
    registers.set(at + IO_APIC.data, IO_APIC.value)
  }
  memory.setDevice(IO_APIC.frame, registers)
  const kept = new Set([...reserved, ...recorded.values()])
  if (!isDomU) {
    const choose = dom0Frames(xen, recorded, kept, dom0Tables)
    const { vcpu } = buildProbe(xen, 0, true, DOM0_PAGES, dom0Layout(dom0Tables), choose, shared)
    return { xen, vcpu, dom0: null }
  }
  const ownTables = 0x512
  const dom0Choose = dom0Frames(xen, new Map(), kept, ownTables)
  const dom0 = buildProbe(xen, 0, true, DOM0_PAGES, dom0Layout(ownTables), dom0Choose)
  const choose = domUFrames(xen, recorded, kept)
  const { vcpu, domain } = buildProbe(xen, 1, false, MAPPED_PAGES, DOMU, choose, shared)
  domain.maxPages = (64 * 2 ** 20) / PAGE
  return { xen, vcpu, dom0: dom0.vcpu }
}

/** Whether the frames of a recording can be those of this machine. Throws BadInput. */
function checkFrames(syms: RecordedSyms | null, isDomU: boolean): void {
  for (const [name, { mfn, pfn }] of Object.entries(syms ?? {})) {
    const frame = Number.parseInt(mfn, 16)
    const isOfXen = /^(SHINFO|XM2PL3|XPERD|XTEXTL3|XDIRL3|M2PF)$/.test(name)
    if ((isOfXen || pfn !== '-') && (frame < 0x100 || frame >= RAM[1].end - (name === 'M2PF' ? 128 : 0)))
      throw new BadInput(`the recording gives ${name} frame 0x${mfn}, which is no RAM of its machine`)
  }
  const tables = syms?.KL4
  if (tables === undefined) return
  const pfn = Number.parseInt(tables.pfn, 16)
  if (isDomU ? pfn !== DOMU.tables : !(pfn > SCRIPT_START + 17 && pfn < MAPPED_PAGES - DOM0_ORDER.length))
    throw new BadInput(
      `the recording has KL4 at pfn 0x${tables.pfn}: it is not of ${isDomU ? 'a domU' : 'a dom0'}`,
    )
}

/**
 * Frames of a dom0: one run for what comes before the script, which lies in frames of its own, one for what comes after
 * it, then the rest.
 */
function dom0Frames(
  xen: Hypervisor,
  recorded: ReadonlyMap<number, number>,
  kept: ReadonlySet<number>,
  tables: number,
): (pfn: number) => number {
  const scriptEnd = tables - 17
  const first = (recorded.get(tables) ?? 0xe800 + tables - (scriptEnd - SCRIPT_START)) - tables
  const rest = DOM0_REST.flatMap(({ mfn, pages }) => Array.from({ length: pages }, (_, i) => mfn + i))
  return (pfn) => {
    let mfn = recorded.get(pfn)
    if (mfn === undefined) {
      if (pfn >= MAPPED_PAGES) {
        const backwards = xen.version.rules.dom0FramesBackwards
        mfn = rest[backwards ? DOM0_PAGES - 1 - pfn : pfn - MAPPED_PAGES]
      } else if (pfn >= scriptEnd) mfn = first + pfn
      else mfn = pfn >= SCRIPT_START ? 0 : first + pfn + scriptEnd - SCRIPT_START
      if (kept.has(mfn) || !xen.heap.has(mfn)) mfn = lowest(xen, kept)
    }
    return take(xen, mfn, pfn)
  }
}

/** Frames of a domU: its pages came one by one, each below the one before, so a recorded one tells its neighbours. */
function domUFrames(
  xen: Hypervisor,
  recorded: ReadonlyMap<number, number>,
  kept: ReadonlySet<number>,
): (pfn: number) => number {
  const known = recorded.size === 0 ? [[0, 0xe5ff] as const] : [...recorded]
  return (pfn) => {
    let mfn = recorded.get(pfn)
    if (mfn === undefined) {
      const near = (a: readonly [number, number]): number => Math.abs(a[0] - pfn)
      const [pfnNear, mfnNear] = known.reduce((best, next) => (near(next) < near(best) ? next : best))
      mfn = mfnNear + pfnNear - pfn
      if (kept.has(mfn) || !xen.heap.has(mfn)) mfn = lowest(xen, kept)
    }
    return take(xen, mfn, pfn)
  }
}

function take(xen: Hypervisor, mfn: number, pfn: number): number {
  if (!xen.heap.takeFrame(mfn))
    throw new BadInput(`the recording gives pfn ${hex(pfn)} frame ${hex(mfn)}, which is taken`)
  return mfn
}

function lowest(xen: Hypervisor, kept: ReadonlySet<number>): number {
  let mfn = 0x1000
  while (kept.has(mfn) || !xen.heap.has(mfn)) mfn++
  return mfn
}

function buildProbe(
  xen: Hypervisor,
  id: number,
  privileged: boolean,
  nrPages: number,
  layout: Layout,
  choose: (pfn: number) => number,
  sharedInfo?: number,
): { domain: Domain; vcpu: Vcpu } {
  const domain = xen.addDomain(id, privileged)
  domain.totPages = nrPages
  domain.maxPages = privileged ? 2 ** 31 : nrPages
  domain.sharedInfo = xen.allocateXenFrame(domain.owner, sharedInfo)
  const words = xen.memory.u32
  initSharedInfo(xen, domain.sharedInfo)
  const p2m: number[] = []
  // A domU's frames were filled through writable mappings of the toolstack, which leave the type behind.
  const type = privileged ? 0 : ((TYPE_CODE.writable << TYPE_SHIFT) | TYPE_VALIDATED) >>> 0
  for (let pfn = 0; pfn < nrPages; pfn++) {
    const mfn = choose(pfn)
    p2m.push(mfn)
    const record = xen.memory.record(mfn)
    words[record] = type
    words[record + REFS_WORD] = (REF_ALLOCATED | 1) >>> 0
    words[record + OWNER_WORD] = domain.owner
    xen.m2p.set(mfn, pfn, 0)
  }
  p2m.forEach((mfn, pfn) => {
    const at = xen.memory.frameWords(p2m[layout.list + Math.floor(pfn / SLOTS)]) + (pfn % SLOTS) * 2
    words[at] = mfn
  })
  writeTables(xen, p2m, layout, privileged)
  writeStartInfo(xen, domain, p2m[layout.startInfo], layout, nrPages)

  const pv = xen.addVcpu(domain)
  const vcpu = pv.port
  xen.current = pv
  const root = p2m[layout.tables]
  const record = xen.memory.record(root)
  // The tables are validated by the rules themselves; one reference is the pin's and one the vCPU's.
  for (let i = 0; i < 2; i++) {
    if (getPageType(xen, root, record, TYPE_CODE.l4) !== 0) throw new Error('the probe has bad tables')
    words[record + REFS_WORD]++
  }
  words[record] = (words[record] | TYPE_PINNED) >>> 0
  vcpu.root = root
  fillM2pSlot(xen, xen.memory.frameWords(root))
  vcpu.setVa(RSP, PROBE.stack)
  vcpu.setVa(RSI, PROBE.base + layout.startInfo * PAGE)
  return { domain, vcpu }
}

/** The tables that map the first 8 MiB, themselves read-only. */
function writeTables(xen: Hypervisor, p2m: readonly number[], layout: Layout, privileged: boolean): void {
  const words = xen.memory.u32
  const write = (table: number, slot: number, mfn: number, lo: number, hi: number): void => {
    const at = xen.memory.frameWords(table) + slot * 2
    words[at] = entryLo(mfn, lo)
    words[at + 1] = entryHi(mfn, hi)
  }
  const frames = (level: string): number[] =>
    layout.order.flatMap((of, i) => (of === level ? [p2m[layout.tables + i]] : []))
  const [[l4], [l3], [l2], l1s] = [frames('l4'), frames('l3'), frames('l2'), frames('l1')]
  const UPPER = 0x67
  write(l4, 511, l3, UPPER, 0)
  write(l3, 510, l2, UPPER, 0)
  for (let i = 0; i < L1_TABLES; i++) write(l2, i, l1s[i], UPPER, 0)
  for (let pfn = 0; pfn < MAPPED_PAGES; pfn++) {
    const isTable = pfn >= layout.tables && pfn < layout.tables + layout.order.length
    // Xen's builder writes entries as Xen adjusts them; the probe's toolstack writes user pages.
    const isWritten =
      LOADED.some(({ start, end }) => pfn >= start && pfn < end) ||
      (pfn >= layout.list && pfn < layout.tables)
    const flags = (privileged && !isWritten ? 0x27 : 0x67) & (isTable ? (privileged ? ~0x42 : ~2) : ~0)
    write(l1s[Math.floor(pfn / SLOTS)], pfn % SLOTS, p2m[pfn], flags, privileged ? HI_GUEST_KERNEL : 0)
  }
}

function writeStartInfo(xen: Hypervisor, domain: Domain, mfn: number, layout: Layout, nrPages: number): void {
  const at = xen.memory.frameWords(mfn)
  const words = xen.memory.u32
  const number = (offset: number, value: number): void => {
    words[at + offset / 4] = value >>> 0
    words[at + offset / 4 + 1] = Math.floor(value / TWO_32)
  }
  const address = (offset: number, pfn: number): void => {
    const va = REGION.kernelMap + pfn * PAGE
    words[at + offset / 4] = va >>> 0
    words[at + offset / 4 + 1] = vaHigh(va)
  }
  number(START_INFO.nr_pages, nrPages)
  number(START_INFO.shared_info, domain.sharedInfo * PAGE)
  words[at + START_INFO.flags / 4] = domain.privileged ? SIF.PRIVILEGED | SIF.INITDOMAIN : 0
  address(START_INFO.pt_base, layout.tables)
  number(START_INFO.nr_pt_frames, layout.order.length)
  address(START_INFO.mfn_list, layout.list)
}
