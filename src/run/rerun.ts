import type { TraceEvent } from '../trace/events.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import type { BootOptions } from './boot.ts'
import { planBoot } from './boot-plan.ts'
import { runBoot } from './boot-run.ts'

/** What can be run, and run again: the same every time, byte for byte. */
export type RunSpec = { readonly boot: BootOptions }

/** Somebody who watches a run. Events are numbered from 1; 0 is the machine as its builder left it. */
export type Watch = {
  ready?(xen: Hypervisor): void
  event(n: number, event: TraceEvent, xen: Hypervisor): void
}

/** Thrown by a watch to end a run early. */
export class StopRun extends Error {
  override name = 'StopRun'
}

/** Run it once, watched, to its end or until the watch throws StopRun. Returns the machine as it then is. */
export function rerun(spec: RunSpec, watch: Watch): { xen: Hypervisor; events: number } {
  let machine: Hypervisor | null = null
  let n = 0
  const ready = (xen: Hypervisor): void => {
    machine = xen
    watch.ready?.(xen)
  }
  const sink = (event: TraceEvent): void => {
    n++
    if (machine !== null) watch.event(n, event, machine)
  }
  try {
    runBoot(planBoot(spec.boot), { sink, ready })
  } catch (error) {
    if (!(error instanceof StopRun)) throw error
  }
  if (machine === null) throw new Error('the run had no machine')
  return { xen: machine, events: n }
}
