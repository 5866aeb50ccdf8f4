import type { Sink, TraceEvent } from '../../trace/events.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import type { BootOptions } from '../boot/boot.ts'
import { planBoot } from '../boot/boot-plan.ts'
import { runBoot } from '../boot/boot-run.ts'
import { type Recording, runScript } from '../script/script.ts'

/** A script as it is run: its text, and what runs it. */
export type ScriptRun = {
  readonly text: string
  /** The version profile of Xen, default 4.17. */
  readonly xen?: string
  readonly domain?: 'dom0' | 'domU'
  /** Holes of the past that are open; default the profile's own. */
  readonly holes?: string
  /** The recording whose frames are used. */
  readonly frames?: Recording
}

/**
 * Another run, as a real kernel's: it is made each time that it is called, and tells the machine before it begins and every
 * event. It is a function, as not everybody who asks questions has what it needs.
 */
export type GuestRun = (ready: (xen: Hypervisor) => void, sink: Sink) => void

/** What can be run, and run again: the same every time, byte for byte. */
export type RunSpec =
  | { readonly boot: BootOptions }
  | { readonly script: ScriptRun }
  | { readonly guest: GuestRun }

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
    if ('boot' in spec) runBoot(planBoot(spec.boot), { sink, ready })
    else if ('guest' in spec) spec.guest(ready, sink)
    else runScript(spec.script.text, { ...spec.script, sink, ready })
  } catch (error) {
    if (!(error instanceof StopRun)) throw error
  }
  if (machine === null) throw new Error('the run had no machine')
  return { xen: machine, events: n }
}
