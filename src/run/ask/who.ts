import { hex, hex64, hexVa } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { domainName } from '../../bits/domid.ts'
import { flagNames } from '../../bits/pte.ts'
import { Walk, walk } from '../../machine/vcpu/mmu.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { findStores } from './find-stores.ts'
import { type FrameHolder, type FrameReport, reportFrame } from './frame-report.ts'
import type { Moment } from './moment.ts'
import { type RunSpec, rerun, StopRun } from './rerun.ts'
import { type FrameWatch, type Watched, watchFrame } from './watch-frame.ts'

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
  /** Of a guest with code: how often it was run for the answer, and how many of its instructions one by one. */
  readonly runs?: number
  readonly steps?: number
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
  /** What made it. */
  readonly since: Moment
  /**
   * Of an entry that was there before its table was one: what made it a table. Only then the entry was checked, and held the frame.
   */
  readonly counted?: Moment
}

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
  const watch = watchFrame(spec, report, first.events)
  const result = (): WhoResult => resultOf(report, pfns, watch, first.events, at)
  if (!('guest' in spec)) return result()
  const steps = findStores(spec, report, watch.holders)
  return { ...result(), runs: steps === 0 ? 2 : 3, steps }
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

function resultOf(
  report: FrameReport,
  pfns: Map<number, number>,
  watch: FrameWatch,
  events: number,
  at: number | undefined,
): WhoResult {
  const holders = watch.holders.map((watched) => holderResult(watched, pfns))
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
    history: watch.history,
    earlier: watch.earlier,
  }
}

/** One holder in words, with the moment that made it. */
function holderResult({ holder, since, tableSince }: Watched, pfns: Map<number, number>): HolderResult {
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
        since,
        ...(tableSince.event > since.event ? { counted: tableSince } : {}),
      }
    case 'pin':
      return { kind: 'pin', since }
    case 'root':
      return { kind: 'root', domain: domainName(holder.domain), as: holder.mode, since }
    case 'descriptors':
      return { kind: 'descriptors', domain: domainName(holder.domain), as: holder.table, since }
    case 'vcpu-info':
      return { kind: 'vcpu-info', domain: domainName(holder.domain), as: 'vcpu_info', since }
    case 'eoi-flags':
      return { kind: 'eoi-flags', domain: domainName(holder.domain), since }
    case 'backend':
      return { kind: 'backend', domain: domainName(0), as: holder.user, since }
    case 'allocation': {
      const { shared } = holder
      const use = shared === undefined ? {} : { domain: domainName(shared.domain), as: shared.as }
      return { kind: 'allocation', ...use, since }
    }
  }
}

function pfnText(pfn: number | undefined): string | null {
  return pfn === undefined || pfn < 0 ? null : hex(pfn)
}
