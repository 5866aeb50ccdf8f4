import { hex, hex64, hexVa } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { domainName } from '../../bits/domid.ts'
import { flagNames } from '../../bits/pte.ts'
import { TYPE_NAMES } from '../../bits/type-word.ts'
import { TYPE_SHIFT } from '../../machine/frames.ts'
import { Walk, walk } from '../../machine/vcpu/mmu.ts'
import { describeEvent } from '../../trace/describe.ts'
import type { TraceEvent } from '../../trace/events.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { recordFrames } from '../../xen/pv-vcpu.ts'
import { type FrameHolder, type FrameReport, reportFrame } from './frame-report.ts'
import { type RunSpec, rerun, StopRun } from './rerun.ts'

/** A moment of a run, and what happened then. 0 is the machine as it was built. */
export type Moment = { readonly event: number; readonly what: string }

/** A frame at a moment: what it is, who holds it, since when. Frames and words are `0x` strings. */
export type WhoResult = {
  readonly schema: 1
  /** The event after which the machine is looked at, and how many the run has. */
  readonly at: number
  readonly events: number
  readonly mfn: string
  readonly pfn: string | null
  readonly owner: string | null
  readonly type: string
  readonly typeCount: number
  readonly pinned: boolean
  readonly refCount: number
  readonly typeWord: string
  readonly refsWord: string
  readonly holders: readonly HolderResult[]
  /** Entries that hold it, too, and are not listed. */
  readonly more: number
  /** Changes of the frame's type up to then: the last of them, and how many there were before those. */
  readonly history: readonly (Moment & { readonly type: string })[]
  readonly earlier: number
}

export type HolderResult = {
  readonly kind: FrameHolder['kind']
  /** Of an entry: its table's frame, the table's level and pfn, its slot and what it says. */
  readonly table?: string
  readonly tablePfn?: string | null
  readonly level?: number
  readonly slot?: number
  readonly entry?: string
  readonly flags?: string
  readonly addresses?: readonly string[]
  /** Of everything that is somebody's: whose, and what it is to them. */
  readonly domain?: string
  readonly as?: string
  /** The event that made it. */
  readonly since: Moment
}

const BUILT: Moment = { event: 0, what: 'the domain builder' }

/**
 * Which frame, what type, held by whom, since when: for any frame of a run, at its end or after an event.
 *
 * @param frame `pfn:bacf7`, `mfn:b1d89` or `va:ffff8800bacf7000`, in hexadecimal
 * @param at number of an event; the end of the run when it is left out
 */
export function who(spec: RunSpec, frame: string, at?: number): WhoResult {
  const locate = parseFrame(frame)
  const first = rerun(spec, { event: stopAt(at) })
  if (at !== undefined && first.events < at) {
    throw new BadInput(`--at ${at}: the run has ${first.events} events; give a number up to that`)
  }
  const mfn = locate(first.xen)
  const report = reportFrame(first.xen, mfn)
  if (report === null) throw new BadInput(`${frame}: the machine has no frame ${hex(mfn)}`)
  const pfns = tablePfns(first.xen, report)
  const watched = watchFrame(spec, report, first.events)
  return resultOf(report, pfns, watched, first.events, at)
}

function stopAt(at: number | undefined): (n: number) => void {
  return (n) => {
    if (n === at) throw new StopRun()
  }
}

/** What was typed, as a way to find the frame on a machine. */
function parseFrame(text: string): (xen: Hypervisor) => number {
  const match = /^(pfn|mfn|va):(?:0x)?([0-9a-f]{1,16})$/i.exec(text)
  if (match === null) {
    throw new BadInput(
      `"${text}" is no frame: write pfn:bacf7, mfn:b1d89 or va:ffff8800bacf7000, in hexadecimal`,
    )
  }
  const [, kind, digits] = match
  const value = BigInt(`0x${digits}`)
  if (kind.toLowerCase() === 'va') return (xen) => frameAt(xen, text, value)
  const number = Number(value)
  if (kind.toLowerCase() === 'mfn') return () => number
  return (xen) => {
    const mfn = xen.m2p.find(number, xen.domainOf(xen.guestVcpu).owner)
    if (mfn === -1) throw new BadInput(`${text}: no frame of the machine has that pfn`)
    return mfn
  }
}

function frameAt(xen: Hypervisor, text: string, address: bigint): number {
  const va = Number(BigInt.asUintN(48, address))
  const vcpu = xen.guestVcpu
  const found = walk(xen.memory, vcpu.root, va, new Walk())
  if (found.missing !== 0)
    throw new BadInput(`${text}: not mapped; the entry of L${found.missing} is missing`)
  return found.mfn
}

function tablePfns(xen: Hypervisor, report: FrameReport): Map<number, number> {
  const pfns = new Map<number, number>()
  for (const holder of report.holders)
    if (holder.kind === 'entry') pfns.set(holder.table, xen.m2p.get(holder.table))
  return pfns
}

type Watched = {
  /** By `table:slot`, the last event that wrote the entry. */
  readonly written: Map<string, Moment>
  readonly history: (Moment & { type: string })[]
  earlier: number
  pinned: Moment
  root: Moment
  vcpuInfo: Moment
}

/** Run again up to an event, and note who writes the holding entries, and when the frame's type changes. */
function watchFrame(spec: RunSpec, report: FrameReport, until: number): Watched {
  const slots = new Map<number, number[]>()
  for (const holder of report.holders) {
    if (holder.kind === 'entry') slots.set(holder.table, [...(slots.get(holder.table) ?? []), holder.slot])
  }
  const watched: Watched = {
    written: new Map(),
    history: [],
    earlier: 0,
    pinned: BUILT,
    root: BUILT,
    vcpuInfo: BUILT,
  }
  let last = -1
  const look = (xen: Hypervisor, moment: () => Moment): void => {
    const record = xen.memory.record(report.mfn)
    const type = xen.memory.u32[record] >>> TYPE_SHIFT
    if (type === last) return
    last = type
    watched.history.push({ ...moment(), type: TYPE_NAMES[type] })
    if (watched.history.length >= 2 * MOST_HISTORY) forget(watched)
  }
  rerun(spec, {
    ready: (xen) => look(xen, () => BUILT),
    event: (n, event, xen) => {
      const moment = (): Moment => ({ event: n, what: describeEvent(event) })
      // Plain stores change no type.
      if (event.kind !== 'fill') look(xen, moment)
      for (const slot of slotsWritten(event, slots)) watched.written.set(slot, moment())
      if (event.kind === 'hypercall' && event.rc === 0 && event.args.mfn === report.mfn) {
        const command = String(event.args.command)
        if (command.startsWith('PIN')) watched.pinned = moment()
        if (command.endsWith('BASEPTR')) watched.root = moment()
      }
      if (watched.vcpuInfo === BUILT && hasVcpuInfo(xen, report.mfn)) watched.vcpuInfo = moment()
      if (n === until) throw new StopRun()
    },
  })
  forget(watched)
  return watched
}

/** Changes of a type that are told at most: a guest can make any number of them. */
const MOST_HISTORY = 1000

function forget(watched: Watched): void {
  const over = Math.max(0, watched.history.length - MOST_HISTORY)
  watched.history.splice(0, over)
  watched.earlier += over
}

/** Whether a vCPU's record lies in a frame. */
function hasVcpuInfo(xen: Hypervisor, mfn: number): boolean {
  return xen.owners.some((domain) => domain?.vcpus.some((vcpu) => recordFrames(vcpu).includes(mfn)))
}

/** Which of the watched entries an event wrote, as `table:slot`. */
function slotsWritten(event: TraceEvent, watched: Map<number, number[]>): string[] {
  let table: number
  let from: number
  let count = 1
  if (event.kind === 'fill') {
    table = event.table
    from = event.slot
    count = event.count
  } else if (event.kind === 'ptwr' && !event.refused) {
    table = event.table
    from = event.slot
  } else if (event.kind === 'hypercall' && event.rc === 0 && typeof event.args.slot === 'number') {
    table = event.args.table as number
    from = event.args.slot
  } else return []
  const slots = watched.get(table) ?? []
  return slots.filter((slot) => slot >= from && slot < from + count).map((slot) => `${table}:${slot}`)
}

function resultOf(
  report: FrameReport,
  pfns: Map<number, number>,
  watched: Watched,
  events: number,
  at: number | undefined,
): WhoResult {
  const holders = report.holders.map((holder) => holderResult(holder, pfns, watched))
  return {
    schema: 1,
    at: at ?? events,
    events,
    mfn: hex(report.mfn),
    pfn: pfnText(report.pfn),
    owner: report.owner === null ? null : domainName(report.owner),
    type: report.type,
    typeCount: report.typeCount,
    pinned: report.pinned,
    refCount: report.refCount,
    typeWord: report.typeWord,
    refsWord: report.refsWord,
    holders,
    more: report.more,
    history: watched.history,
    earlier: watched.earlier,
  }
}

/** One holder in words, with the moment that made it. */
function holderResult(holder: FrameHolder, pfns: Map<number, number>, watched: Watched): HolderResult {
  switch (holder.kind) {
    case 'entry':
      return {
        kind: 'entry',
        table: hex(holder.table),
        tablePfn: pfnText(pfns.get(holder.table)),
        level: holder.level,
        slot: holder.slot,
        entry: `0x${hex64(holder.lo, holder.hi)}`,
        flags: flagNames(holder.lo, holder.hi),
        addresses: holder.addresses.map((va) => `0x${hexVa(va)}`),
        since: watched.written.get(`${holder.table}:${holder.slot}`) ?? BUILT,
      }
    case 'pin':
      return { kind: 'pin', since: watched.pinned }
    case 'root':
      return { kind: 'root', domain: domainName(holder.domain), as: holder.mode, since: watched.root }
    case 'descriptors':
      return { kind: 'descriptors', domain: domainName(holder.domain), as: holder.table, since: BUILT }
    case 'vcpu-info':
      return {
        kind: 'vcpu-info',
        domain: domainName(holder.domain),
        as: 'vcpu_info',
        since: watched.vcpuInfo,
      }
    case 'eoi-flags':
      return { kind: 'eoi-flags', domain: domainName(holder.domain), since: BUILT }
    case 'backend':
      return { kind: 'backend', domain: domainName(0), as: holder.user, since: BUILT }
    case 'allocation': {
      const { shared } = holder
      const use = shared === undefined ? {} : { domain: domainName(shared.domain), as: shared.as }
      return { kind: 'allocation', ...use, since: BUILT }
    }
  }
}

function pfnText(pfn: number | undefined): string | null {
  return pfn === undefined || pfn < 0 ? null : hex(pfn)
}
