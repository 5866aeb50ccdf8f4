import { type Kernel, KernelPanic, type KernelTrace } from '../../linux/kernel.ts'
import { readStartInfo, startKernel } from '../../linux/start-kernel.ts'
import { Memory } from '../../machine/memory.ts'
import { DomainCrash, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { buildDomain } from '../../toolstack/build-domain.ts'
import { swap, takeFrames } from '../../toolstack/domain-frames.ts'
import { modelStartOfDay } from '../../toolstack/layouts/model.ts'
import type { P2m } from '../../toolstack/p2m.ts'
import type { Sink } from '../../trace/events.ts'
import { FillEvents } from '../../trace/fill-events.ts'
import type { Domain } from '../../xen/domain.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { STORE } from '../../xen/mm/ptwr.ts'
import { typeInTheWay } from '../../xen/refusal.ts'
import { Xen } from '../../xen/xen.ts'
import type { BootResult } from './boot.ts'
import type { BootPlan } from './boot-plan.ts'
import { machineBytes } from './reserve.ts'

/** How a boot ended: numbers are -1 where there is none. */
export type Ending = {
  outcome: BootResult['outcome']
  via: BootResult['via']
  pfn: number
  mfn: number
  message: string
}

/** One machine's memory, kept from boot to boot: it is reset, not made again. */
let spare: Memory | null = null

/** What a machine reserves when nobody says otherwise: all that it can, as it costs only what is touched. */
const MOST_BYTES = 2 ** 32

let bytesFor: (plan: BootPlan) => number = () => MOST_BYTES

/** From here on reserve for a boot what it needs, and no more: for a page, where address space is scarcer. */
export function reserveAsNeeded(): void {
  bytesFor = machineBytes
}

function memoryFor(plan: BootPlan): Memory {
  const bytes = bytesFor(plan)
  if (spare === null || spare.u8.length < bytes) {
    // The old one goes first, so that never both are reserved.
    spare = null
    spare = new Memory(bytes)
  }
  return spare
}

/** Forget the memory that is kept between boots: 4 GiB of address space, of which what was touched is in use. */
export function releaseMemory(): void {
  spare = null
}

/** A boot that is over, with the machine as it was left. */
export type BootRun = { xen: Hypervisor; domain: Domain; vcpu: Vcpu; kernel: Kernel | null; ending: Ending }

/** Who is told of what happens in a boot; with nobody, nothing is built. */
export type BootWatch = {
  /** Of every event. */
  readonly sink?: Sink
  /** Only of what the kernel does, in its own words. */
  readonly kernel?: KernelTrace
  /** Of the machine, before its kernel runs. */
  readonly ready?: (xen: Hypervisor) => void
}

/** Run a planned boot once. */
export function runBoot(plan: BootPlan, { sink, kernel: told, ready }: BootWatch = {}): BootRun {
  const { xen, domain, vcpu } = buildMachine(plan, memoryFor(plan))
  const events = sink === undefined ? null : new FillEvents(sink)
  xen.sink = events && ((event) => events.add(event))
  if (events !== null)
    vcpu.observer = (table, slot, count, lo, hi) => events.store(table, slot, count, lo, hi)
  ready?.(xen)
  const kernel = readStartInfo(vcpu, {
    generation: plan.generation,
    kernelEnd: plan.layout.kernelEnd,
    trace: events ? (what, args) => events.add({ kind: 'linux', what, args }) : (told ?? null),
    log: (line) => xen.console.log(line),
  })
  const ending = end(xen, vcpu, () => startKernel(kernel))
  events?.flush()
  return { xen, domain, vcpu, kernel, ending }
}

/** The machine of a plan, with its domain about to run. */
export function buildMachine(
  plan: BootPlan,
  memory: Memory,
): { xen: Hypervisor; domain: Domain; vcpu: Vcpu } {
  const xen = new Xen(plan.version, plan.host, memory)
  const { dom0, nrPages, commandLine, memoryMap } = plan
  const layout = modelStartOfDay(plan.layout)
  const frames = (xen: Hypervisor): P2m => {
    const p2m = takeFrames(xen, nrPages, layout.end)
    for (const [pfn, mfn] of plan.swaps) swap(xen, p2m, nrPages, pfn, mfn)
    return p2m
  }
  const source = { id: dom0 ? 0 : 1, privileged: dom0, nrPages, frames, commandLine, memoryMap }
  const { domain, vcpu } = buildDomain(xen, layout, source)
  return { xen, domain, vcpu }
}

const NO_FRAME = { pfn: -1, mfn: -1 }

/** Run the kernel to its end and say which one it was. */
function end(xen: Hypervisor, vcpu: Vcpu, run: () => void): Ending {
  try {
    run()
    return { outcome: 'booted', via: null, pfn: -1, mfn: -1, message: '' }
  } catch (error) {
    const { pfn, mfn } = typeInTheWay(xen.refusal) ?? NO_FRAME
    if (error instanceof DomainCrash) {
      // The kernel's BUG() on a hypercall that failed, or a fault that nobody takes.
      const byCall: Record<string, BootResult['via']> = {
        pin_pagetable_pfn: 'pin',
        xen_set_pmd_hyper: 'mmu_update',
        xen_set_domain_pte: 'mmu_update',
      }
      const via = byCall[vcpu.rip] ?? (vcpu.rip === '' ? 'page-fault' : 'update_va_mapping')
      const outcome = vcpu.rip === '' ? 'fault' : 'refused'
      return { outcome, via, pfn, mfn, message: error.message }
    }
    if (error instanceof KernelPanic) {
      if (xen.refusal?.facts.by === STORE) {
        return { outcome: 'refused', via: 'ptwr', pfn, mfn, message: error.message }
      }
      const faulted = vcpu.faultAddress !== 0
      const at = faulted ? xen.pfnAt(vcpu, vcpu.faultAddress) : -1
      const via = faulted ? 'page-fault' : 'panic'
      return { outcome: 'fault', via, pfn: at, mfn: -1, message: error.message }
    }
    throw error
  }
}
