import { hex, hex64, hexVa, PAGE } from '../../bits/address.ts'
import { flagNames, RW } from '../../bits/pte.ts'
import type { MemoryModel } from '../../linux/generation.ts'
import type { Sink } from '../../trace/events.ts'
import { typeInTheWay } from '../../xen/refusal.ts'
import { entriesTo } from '../ask/frame-report.ts'
import type { MemoryMap } from '../maps/maps.ts'
import { type BootPlan, planBoot } from './boot-plan.ts'
import { type BootRun, runBoot } from './boot-run.ts'

/** What a boot is made of. All fields are optional; together the defaults are the seed's scenario. */
export type BootOptions = {
  /** A generation (`B`), a Linux version (`2.6.39-rc4`), default B. */
  linux?: string
  /** Commits to add to it or to leave out of it, by hash. */
  with?: readonly string[]
  without?: readonly string[]
  /** The version profile of Xen, default `seed`. */
  xen?: string
  /** Holes of the past that are open: `none`, or advisories as in `148,182`; default the profile's own. */
  holes?: string
  /** The host's map for a dom0, the guest's own for a domU: a shipped map's name, or a map. */
  map?: string | MemoryMap
  domain?: 'dom0' | 'domU'
  /**
   * The map is the firmware's: Xen adds what it keeps of the APICs' pages before dom0 sees it. Without this the map is what
   * dom0 gets.
   */
  firmwareMap?: boolean
  /** How the kernel keeps its `struct page`s; as distributions had it, `sparsemem-vmemmap`, when left out. */
  memoryModel?: MemoryModel
  /** Frames of 4 KiB. */
  memory?: number
  /** Frames that a domU without a map of its own may come to have: where xl's map for it ends. As `memory` when left out. */
  maxMemory?: number
  /** Whether the toolstack gives such a domU a map, as xl does; without one the kernel makes its own. Default true. */
  hasMap?: boolean
  /** End of the initial mapping, relative to the kernel's virtual base: bytes, a multiple of 4 MiB. */
  vEnd?: number
  /** Bytes; from these two the domain builder's rule gives v_end. */
  kernelSize?: number
  initrdSize?: number
  /** The kernel's command line. */
  append?: string
  /** Pairs pfn, mfn: each pair swaps two frames of the default p2m. */
  mfn?: readonly (readonly [pfn: number, mfn: number])[]
}

/** A buffer of early tables, in hexadecimal pfns, as it was at the end of its call. */
export type BufferText = { start: string; end: string; top: string }

/** The entry that stood in the way of a refused page. */
export type HolderText = {
  /** The L1 that has the entry: machine frame, pfn, slot. */
  table: string
  tablePfn: string
  slot: number
  /** The direct map's address that the entry maps, and whether the tables in use reach it. */
  address: string
  reachable: boolean
  entry: string
  flags: string
  /** When it was written: the region being filled, and the buffer at that moment. Null where the trace does not say. */
  written: { region: string; buffer: BufferText } | null
}

/** One call of mark_rw_past_pgt that did something, or was the last of a run of equal ones. */
export type MarkCallText = {
  site: string
  branch: string
  times: number
  before: { s: string; e: string; t: string; lastRw: string }
  after: { s: string; e: string; t: string; lastRw: string }
}

/** What a boot came to, as plain data: docs/boot-json.md. */
export type BootResult = {
  schema: 1
  linux: string
  xen: string
  /** The machine and the guest, as decided. */
  machine: {
    scenario: 'seed' | null
    map: string | null
    domain: 'dom0' | 'domU'
    nrPages: string
    vEnd: string
    append: string
    memoryModel: MemoryModel
    /** Frames at which the toolstack's map for a domU ends; null where there is no such map. */
    mapEnd: string | null
  }
  outcome: 'booted' | 'refused' | 'fault'
  /** How Xen said no, or what the fault was. */
  via: 'pin' | 'ptwr' | 'update_va_mapping' | 'mmu_update' | 'page-fault' | 'panic' | null
  /** The call of init_memory_mapping in which it ended; null after the last, or before the first. */
  call: 1 | 2 | null
  pfn: string | null
  mfn: string | null
  /** Xen's words for the frame's type, as printed. */
  saw: string | null
  exp: string | null
  buffers: BufferText[]
  /** One string a line, the guest's and Xen's in printed order; the kernel's log lines are among them. */
  console: string[]
  /** For each line of `console`, who said it: `log` lines stood in the kernel's buffer and on no console. */
  sources: ('guest' | 'log' | 'xen')[]
  holder: HolderText | null
  /** Of a boot with mark_rw_past_pgt: its calls, equal ones in a row counted as one. */
  marks: MarkCallText[]
  /** Where NODE_DATA was placed, bytes, when the boot came so far. */
  nodeData: { base: string; end: string } | null
}

/**
 * Boot the machine that the options describe. Nothing in it is scripted: the kernel has its vCPU, Xen has its rules. A
 * refused boot is run once more with someone watching, as a run is the same every time.
 *
 * @param sink receives every event of the run
 * @throws BadInput for options that cannot be
 */
export function boot(options: BootOptions = {}, sink?: Sink): BootResult {
  const plan = planBoot(options)
  const run = runBoot(plan, sink === undefined ? {} : { sink })
  const result = resultOf(plan, run)
  if (run.ending.outcome === 'refused' && run.ending.via === 'pin') result.holder = findHolder(plan, run)
  if (plan.generation.release === 'mark') result.marks = markCalls(plan)
  return result
}

function resultOf(plan: BootPlan, run: BootRun): BootResult {
  const { xen, kernel, ending } = run
  const number = (n: number): string | null => (n < 0 ? null : hex(n))
  const refusal = ending.outcome === 'refused' ? typeInTheWay(xen.refusal) : null
  const calls = kernel?.calls ?? []
  const inCall =
    ending.outcome !== 'booted' && kernel !== null && !kernel.mappingDone && kernel.mappingCall > 0
  return {
    schema: 1,
    linux: plan.generation.name,
    xen: plan.version.name,
    machine: {
      scenario: plan.scenario,
      map: plan.mapName,
      domain: plan.dom0 ? 'dom0' : 'domU',
      nrPages: hex(plan.nrPages),
      vEnd: hex(plan.layout.vEnd),
      append: plan.commandLine,
      memoryModel: plan.generation.memoryModel,
      mapEnd:
        plan.dom0 || plan.mapName !== null || plan.memoryMap === null
          ? null
          : hex(plan.memoryMap[0].end / PAGE),
    },
    outcome: ending.outcome,
    via: ending.via,
    call: inCall ? (kernel.mappingCall as 1 | 2) : null,
    pfn: number(ending.pfn),
    mfn: number(ending.mfn),
    saw: refusal?.saw ?? null,
    exp: refusal?.exp ?? null,
    buffers: calls.map(({ buffer }) => bufferText(buffer)),
    console: xen.console.lines.map((line) => line.text),
    sources: xen.console.lines.map((line) => line.source),
    holder: null,
    marks: [],
    nodeData:
      kernel === null || kernel.nodeData === null
        ? null
        : { base: hex(kernel.nodeData.base), end: hex(kernel.nodeData.end) },
  }
}

function bufferText({ start, end, top }: { start: number; end: number; top: number }): BufferText {
  return { start: hex(start), end: hex(end), top: hex(top) }
}

/** Who maps the refused frame writable; and, from a second run with a watch on that table, when it was written. */
function findHolder(plan: BootPlan, run: BootRun): HolderText | null {
  const { xen, vcpu, ending } = run
  const holder = entriesTo(xen, ending.mfn).find((entry) => entry.level === 1 && (entry.lo & RW) !== 0)
  if (holder === undefined) return null
  const tablePfn = xen.m2p.get(holder.table)
  const writing = whenWritten(plan, tablePfn)
  const address = writing === null ? -1 : writing.address + holder.slot * 4096
  return {
    table: hex(holder.table),
    tablePfn: hex(tablePfn),
    slot: holder.slot,
    address: address === -1 ? 'unknown' : `0x${hexVa(address)}`,
    reachable: address !== -1 && vcpu.tryReadable(address) !== -1,
    entry: `0x${hex64(holder.lo, holder.hi)}`,
    flags: flagNames(holder.lo, holder.hi),
    written:
      writing === null ? null : { region: `0x${hexVa(writing.address)}`, buffer: bufferText(writing.buffer) },
  }
}

type Filling = { address: number; table: number; buffer: { start: number; end: number; top: number } }

/** Run the boot again and keep the filling of one table, named by its pfn. */
function whenWritten(plan: BootPlan, tablePfn: number): Filling | null {
  let found: Filling | null = null
  runBoot(plan, {
    kernel: (what, args) => {
      if (what === 'fill_region' && args.table === tablePfn) found = args as unknown as Filling
    },
  })
  return found
}

/** The calls of mark_rw_past_pgt, from a run that is watched. */
function markCalls(plan: BootPlan): MarkCallText[] {
  const calls: MarkCallText[] = []
  type State = { s: number; e: number; t: number; lastRw: number }
  const text = (state: State): MarkCallText['before'] => ({
    s: hex(state.s),
    e: hex(state.e),
    t: hex(state.t),
    lastRw: hex(state.lastRw),
  })
  runBoot(plan, {
    kernel: (what, args) => {
      if (what === 'mark_rw_past_pgt') {
        const { site, branch, before, after } = args as {
          site: string
          branch: string
          before: State
          after: State
        }
        calls.push({ site, branch, times: 1, before: text(before), after: text(after) })
      } else if (what === 'mark_rw_past_pgt_repeated') {
        const last = calls.at(-1)
        if (last !== undefined) last.times += args.times as number
      }
    },
  })
  return calls
}

export { releaseMemory } from './boot-run.ts'
