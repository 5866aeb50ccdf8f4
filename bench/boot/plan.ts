import { writeFileSync } from 'node:fs'
import { PAGE, REGION, SLOTS, slotAt } from '../../src/bits/address.ts'
import { P } from '../../src/bits/pte.ts'
import { TYPE_CODE } from '../../src/bits/type-word.ts'
import { OWNER_WORD, REFS_WORD, TYPE_SHIFT, TYPE_VALIDATED } from '../../src/machine/frames.ts'
import type { Memory } from '../../src/machine/memory.ts'
import type { BootOptions } from '../../src/run/boot/boot.ts'
import { type BootPlan, planBoot } from '../../src/run/boot/boot-plan.ts'
import { runBoot } from '../../src/run/boot/boot-run.ts'
import { modelStartOfDay } from '../../src/toolstack/layouts/model.ts'
import { type TableLevel, tableBytes, tableFor } from '../../src/toolstack/layouts/start-of-day.ts'
import { P2m } from '../../src/toolstack/p2m.ts'
import type { TraceEvent } from '../../src/trace/events.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'

/** What native.c knows to do, by number. */
const OP = { store: 0, clear: 1, region: 2, update: 3, pin: 4, unpin: 5, root: 6, release: 7 } as const

/** What a boot did, and a sum of the machine that it leaves: each side counts for itself. */
export type Counts = {
  /** Entries of the direct map that were stored in tables, by regions of 2 MiB. */
  stored: number
  /** Present entries of L1 tables that were checked when the tables became such. */
  validated: number
  /** Frames that went back to Xen. */
  givenBack: number
  /** Single entries that Xen changed. */
  updates: number
  /** Present entries of all L1 tables at the end. */
  present: number
  /** Over records, M2P and L1 entries of all frames that the domain was given. */
  sum: number
}

/** Write the plan of a boot to a file, as native.c reads it; what the boot came to. */
export function writePlan({ options, path }: { options: BootOptions; path: string }): Counts {
  const { words, counts } = recordPlan(options)
  writeFileSync(path, words)
  return counts
}

/**
 * Boot with somebody watching who writes down what the kernel decides: which page becomes a table of what, which entry is
 * changed, which frames go back. To look up, to store and to check is left to who carries it out. What native.c does not
 * know has no plan: a kernel that asks for frames again, as E does, and a domU.
 */
export function recordPlan(options: BootOptions): { readonly words: Uint32Array; readonly counts: Counts } {
  const plan = planBoot(options)
  const recorder = new Recorder(plan)
  const { xen, domain } = runBoot(plan, {
    sink: (event) => recorder.event(event),
    ready: (xen) => recorder.start(xen),
  })
  const { counts, frames } = recorder
  counts.givenBack = plan.nrPages - domain.totPages
  return { words: Uint32Array.from(recorder.words), counts: { ...counts, ...sumUp(xen, frames) } }
}

class Recorder {
  readonly words: number[] = []
  readonly counts = { stored: 0, validated: 0, givenBack: 0, updates: 0 }
  /** By pfn, as the builder gave them. */
  frames: number[] = []
  private readonly plan: BootPlan
  private memory!: Memory
  /** Pfn by frame of the pages of the p2m list. */
  private readonly listPages = new Map<number, number>()
  /** The table that the kernel is about to fill. */
  private region: { table: number; first: number; readOnly: readonly [number, number] } | null = null

  constructor(plan: BootPlan) {
    this.plan = plan
  }

  /** The domain has been built: its frames and tables begin the plan. */
  start(xen: Hypervisor): void {
    const { port, domain } = xen.current!
    const { nrPages, layout, host, version } = this.plan
    const page = new Uint32Array(SLOTS * 2)
    const list = layout.mfnList / PAGE
    this.memory = xen.memory
    for (let pfn = 0; pfn < nrPages; pfn += SLOTS) {
      const count = Math.min(SLOTS, nrPages - pfn)
      port.loadEntries(REGION.kernelMap + layout.mfnList + pfn * 8, page, count)
      for (let i = 0; i < count; i++) this.frames.push(page[i * 2])
    }
    for (let pfn = 0; pfn < nrPages; pfn += SLOTS) this.listPages.set(this.frames[list + pfn / SLOTS], pfn)
    const { l1Devices, l2 } = version.rules.badFlags
    const head = [nrPages, domain.owner, xen.m2p.covered, xen.m2p.firstFrame, list, layout.vEnd / PAGE]
    const ram = host.ram.flatMap(({ start, end }) => [start, end])
    const runs: number[] = []
    P2m.of(this.frames).forEachRun(0, nrPages, (...run) => runs.push(...run))
    const tables = this.tables()
    this.words.push(...head, l1Devices, l2, ram.length / 2, ...ram, runs.length / 4, ...runs)
    this.words.push(tables.length / 4, ...tables)
    port.observer = (frame, slot, count) => this.store(frame, slot, count)
    const promote = xen.promoteTable.bind(xen)
    xen.promoteTable = (owner, mfn, record, code) => {
      if (code === TYPE_CODE.l1) this.counts.validated += presentIn(xen.memory, record)
      return promote(owner, mfn, record, code)
    }
  }

  /** The tables of the initial mapping: level, pfn, and place in the table above. */
  private tables(): number[] {
    const layout = modelStartOfDay(this.plan.layout)
    return layout.mappings[0].tables.flatMap(({ level, va, pfn, count }) =>
      Array.from({ length: count }, (_, i) => {
        const from = va + i * tableBytes(level)
        if (level === 4) return [4, pfn, 0, 0]
        const above = (level + 1) as TableLevel
        return [level, pfn + i, tableFor(layout, above, from), slotAt(from, above)]
      }).flat(),
    )
  }

  private store(frame: number, slot: number, count: number): void {
    const at = this.memory.frameWords(frame) + slot * 2
    const data = this.memory.u32.subarray(at, at + count * 2)
    const first = this.listPages.get(frame)
    if (first !== undefined && data.every((word) => word === 0xffffffff)) {
      this.words.push(OP.release, first + slot, count)
    } else if (this.region?.table === frame && count > 1) {
      this.words.push(OP.region, frame, slot, count, this.region.first, ...this.region.readOnly)
      this.counts.stored += count
    } else if (count === SLOTS && data.every((word) => word === 0)) this.words.push(OP.clear, frame)
    else this.words.push(OP.store, frame, slot, count, ...data)
    this.region = null
  }

  event(event: TraceEvent): void {
    if (event.kind === 'ptwr' && !event.refused) this.update(event)
    if (event.kind === 'hypercall' && event.rc === 0) {
      if (event.name === 'mmuext_op') this.tableOperation(String(event.args.command), Number(event.args.mfn))
      else if ('slot' in event.args) this.update(event.args as Entry)
    }
    if (event.kind !== 'linux' || event.what !== 'fill_region') return
    const { address, table, buffer } = event.args as { address: number; table: number; buffer: Buffer }
    const { readOnlyUpTo } = this.plan.generation
    const end = readOnlyUpTo === 'top' ? buffer.top : readOnlyUpTo === 'end' ? buffer.end : 0
    const first = (address - REGION.directMap) / PAGE
    this.region = { table: this.frames[table], first, readOnly: [buffer.start, end] }
  }

  private update({ table, slot, lo, hi }: Entry): void {
    this.words.push(OP.update, table, slot, lo, hi)
    this.counts.updates++
  }

  private tableOperation(command: string, mfn: number): void {
    const pinned = /^PIN_L(\d)_TABLE$/.exec(command)
    if (pinned !== null) this.words.push(OP.pin, mfn, Number(pinned[1]))
    else if (command === 'UNPIN_TABLE') this.words.push(OP.unpin, mfn)
    else if (command === 'NEW_BASEPTR') this.words.push(OP.root, mfn)
  }
}

type Entry = { readonly table: number; readonly slot: number; readonly lo: number; readonly hi: number }
type Buffer = { readonly start: number; readonly end: number; readonly top: number }

function presentIn(memory: Memory, record: number): number {
  const at = memory.backing(record)
  let present = 0
  for (let slot = 0; slot < SLOTS; slot++) present += memory.u32[at + slot * 2] & P
  return present
}

/** native.c's sum_up(). */
function sumUp({ memory, m2p }: Hypervisor, frames: readonly number[]): { present: number; sum: number } {
  const words = memory.u32
  let sum = 2166136261
  let present = 0
  const mix = (word: number): void => {
    sum = Math.imul(sum ^ word, 16777619)
  }
  for (const mfn of frames) {
    const record = memory.record(mfn)
    mix(words[record])
    mix(words[record + REFS_WORD])
    mix(words[record + OWNER_WORD])
    mix(words[m2p.wordOf(mfn)])
    if (words[record] >>> TYPE_SHIFT !== TYPE_CODE.l1 || (words[record] & TYPE_VALIDATED) === 0) continue
    const at = memory.backing(record)
    for (let slot = 0; slot < SLOTS; slot++) {
      const lo = words[at + slot * 2]
      if ((lo & P) === 0) continue
      present++
      mix(lo & 0xfffff003)
      mix(words[at + slot * 2 + 1])
    }
  }
  return { present, sum: sum >>> 0 }
}
