import { PAGE, pagesOf } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { Memory } from '../../machine/memory.ts'
import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { PROBE } from '../../script/layout.ts'
import { buildDomain } from '../../toolstack/build-domain.ts'
import type { Image } from '../../toolstack/image/image.ts'
import {
  BEFORE_TABLES,
  LAST_DOM0_TABLES,
  layoutProbe,
  MOST_SCRIPT_BYTES,
  PROBE_PAGES,
  PROBE_PFNS,
} from '../../toolstack/layouts/probe.ts'
import { deniedMmio, hostMapForDom0 } from '../../toolstack/machine-map.ts'
import type { E820Entry } from '../../xen/abi.ts'
import type { Hypervisor, XenFrames } from '../../xen/hypervisor.ts'
import { holesOf, withHoles } from '../../xen/versions/holes.ts'
import { xenVersion } from '../../xen/versions/index.ts'
import { Xen } from '../../xen/xen.ts'
import { dom0Frames, domUFrames } from './recorded-frames.ts'

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
/** What its firmware says of it, bytes. */
const FIRMWARE_MAP: readonly E820Entry[] = [
  { start: 0, end: 0x9_fc00, type: 'usable' },
  { start: 0x9_fc00, end: 0xa_0000, type: 'reserved' },
  { start: 0xf_0000, end: 0x10_0000, type: 'reserved' },
  { start: 0x10_0000, end: 0xffe_0000, type: 'usable' },
  { start: 0xffe_0000, end: 0x1000_0000, type: 'reserved' },
  { start: 0xfffc_0000, end: 0x1_0000_0000, type: 'reserved' },
  { start: 0xfd_0000_0000, end: 0x100_0000_0000, type: 'reserved' },
]
/** The last 12 GiB below 1 TiB, frames. */
const CPU_LINKS = { start: 0xfd0_0000, end: 0x1000_0000 } as const
/** What else it has that dom0 may ask about; its clock is not looked at. */
const BOARD = { wallClock: 0, hasAcpi: true, hasIoApic: true } as const
/** What the domains may come to have, in pages: dom0 what it likes, a domU 64 MiB. */
const MOST_PAGES = { dom0: 2 ** 32 - 1, domU: (64 * 2 ** 20) / PAGE } as const

type ProbeDomain = 'dom0' | 'domU'

/** What a machine of the recordings is for. */
export type ScriptMachineOptions = {
  /** The version profile of Xen. */
  readonly xen: string
  readonly domain: ProbeDomain
  /** Length of the script, which lies behind dom0's kernel and moves what comes after it. */
  readonly scriptBytes?: number
  /** Frames of a recording, to use the same ones. */
  readonly frames?: RecordedFrames | null
  /** Frames that the recording gives out later. */
  readonly reserved?: ReadonlySet<number>
  /** Which holes of the past are open; without it the profile's own. */
  readonly holes?: string | undefined
  /** The probe itself, which finds the script as its module; without it a driver is the kernel. */
  readonly code?: { readonly image: Image; readonly imageName: string; readonly script: Uint8Array }
}

let memory: Memory | null = null

/** A machine with a probe in dom0 or in a domU, about to start. */
export function scriptMachine(options: ScriptMachineOptions): ScriptMachine {
  const { domain, scriptBytes = 0, frames: recording = null, code } = options
  const syms = recording?.syms ?? null
  checkFrames(syms, domain)
  const isDomU = domain === 'domU'
  if (!isDomU || code !== undefined) checkLength(domain, scriptBytes)
  const frame = (name: keyof typeof XEN_FRAMES): number =>
    syms?.[name] === undefined ? XEN_FRAMES[name] : Number.parseInt(syms[name].mfn, 16)
  const xen = machineOf(options, {
    m2p: frame('M2PF'),
    m2pL3: frame('XM2PL3'),
    perDomain: frame('XPERD'),
    text: frame('XTEXTL3'),
    directMap: frame('XDIRL3'),
  })
  const recorded = recordedFrames(recording)
  const kept = new Set([...(options.reserved ?? []), ...recorded.values()])
  const build = (
    of: ProbeDomain,
    tables: number,
    own: ReadonlyMap<number, number>,
    isProbe: boolean,
  ): Vcpu => {
    const nrPages = PROBE_PAGES[of]
    const wanted = { recorded: own, kept }
    const ofCode = isProbe ? code : undefined
    const plan = { domain: of, tables, stack: PROBE.stack, scriptBytes: ofCode?.script.length ?? 0 }
    return buildDomain(xen, layoutProbe(plan), {
      id: of === 'dom0' ? 0 : 1,
      privileged: of === 'dom0',
      nrPages,
      maxPages: MOST_PAGES[of],
      frames: () =>
        of === 'dom0' ? dom0Frames(xen, wanted, tables, nrPages) : domUFrames(xen, wanted, nrPages),
      sharedInfo: isProbe ? frame('SHINFO') : undefined,
      ...(ofCode === undefined ? {} : { ...ofCode, initrd: ofCode.script }),
    }).vcpu
  }
  if (!isDomU) {
    const kl4 = syms?.KL4 === undefined ? undefined : Number.parseInt(syms.KL4.pfn, 16)
    return { xen, vcpu: build('dom0', kl4 ?? dom0Tables(scriptBytes), recorded, true), dom0: null }
  }
  const dom0 = build('dom0', dom0Tables(0), new Map(), false)
  return { xen, vcpu: build('domU', PROBE_PFNS.domUTables, recorded, true), dom0 }
}

/** The first page table of a dom0 with a script of so many bytes, a pfn. */
function dom0Tables(scriptBytes: number): number {
  return PROBE_PFNS.script.dom0 + Math.max(1, pagesOf(scriptBytes)) + BEFORE_TABLES
}

/** Xen on the machine of the recordings, without domains. */
function machineOf({ xen: profile, holes }: ScriptMachineOptions, frames: XenFrames): Hypervisor {
  memory ??= new Memory(96 * 2 ** 20)
  const version = xenVersion(profile)
  const map = hostMapForDom0(FIRMWARE_MAP, deniedMmio(version.rules.deniedLapicPages))
  const host = { ram: RAM, map, addressBits: 40, cpuLinks: CPU_LINKS, board: BOARD }
  const xen = new Xen(withHoles(version, holesOf(version, holes)), host, memory, frames)
  // Scripts find out what a forgotten flush does: their TLB is a CPU's.
  xen.coherentTlb = false
  xen.guestLogAll = true
  const registers = new Map<number, number>()
  for (let at = 0; at < 1024; at += IO_APIC.every) {
    registers.set(at, IO_APIC.select)
    registers.set(at + IO_APIC.data, IO_APIC.value)
  }
  memory.setDevice(IO_APIC.frame, registers)
  return xen
}

/** The frames of a recording by pfn. */
function recordedFrames(recording: RecordedFrames | null): Map<number, number> {
  const recorded = new Map<number, number>()
  for (const { mfn, pfn } of Object.values(recording?.syms ?? {})) {
    if (pfn !== '-') recorded.set(Number.parseInt(pfn, 16), Number.parseInt(mfn, 16))
  }
  for (const [pfn, mfn, count, step] of recording?.p2m ?? []) {
    for (let i = 0; i < count; i++) recorded.set(pfn + i, mfn + i * step)
  }
  return recorded
}

function checkLength(domain: ProbeDomain, scriptBytes: number): void {
  const most = MOST_SCRIPT_BYTES[domain]
  if (scriptBytes > most)
    throw new BadInput(
      `a script of ${scriptBytes} bytes does not fit ${domain}'s first 8 MiB; at most ${most} do`,
    )
}

/** Whether the frames of a recording can be those of this machine. Throws BadInput. */
function checkFrames(syms: RecordedSyms | null, domain: ProbeDomain): void {
  for (const [name, { mfn, pfn }] of Object.entries(syms ?? {})) {
    const frame = Number.parseInt(mfn, 16)
    const isOfXen = /^(SHINFO|XM2PL3|XPERD|XTEXTL3|XDIRL3|M2PF)$/.test(name)
    if ((isOfXen || pfn !== '-') && (frame < 0x100 || frame >= RAM[1].end - (name === 'M2PF' ? 128 : 0)))
      throw new BadInput(`the recording gives ${name} frame 0x${mfn}, which is no RAM of its machine`)
  }
  const tables = syms?.KL4
  if (tables === undefined) return
  const pfn = Number.parseInt(tables.pfn, 16)
  const isDomU = domain === 'domU'
  const { script, domUTables } = PROBE_PFNS
  if (isDomU ? pfn !== domUTables : !(pfn > script.dom0 + BEFORE_TABLES && pfn < LAST_DOM0_TABLES))
    throw new BadInput(
      `the recording has KL4 at pfn 0x${tables.pfn}: it is not of ${isDomU ? 'a domU' : 'a dom0'}`,
    )
}
