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

/** A guest that executes code: how far it is, and where. */
export type GuestCode = {
  /** Instructions executed so far. */
  readonly instructions: () => number
  /** Where it is, a 48-bit address. */
  readonly rip: () => number
  /** What the guest calls an address, as `name+0x1f/0x40`; undefined where it has no name for it. */
  readonly nameOf: (va: number) => string | undefined
  /** Whether the machine comes from a snapshot: what its guest has done before is not known. */
  readonly isRestored: boolean
}

/** Who is told while a guest runs. */
export type GuestWatch = {
  /** The machine, before its guest begins. */
  readonly ready: (xen: Hypervisor, code: GuestCode) => void
  readonly sink: Sink
  /** The guest has come to Xen, which is done with what it came for: at the latest after 200 000 instructions. */
  readonly returned: () => void
  /** Asked before the guest goes on: how many instructions it may execute at most until it is asked again. */
  readonly stride: () => number
}

/**
 * Another run, as a real kernel's: it is made each time that it is called. It is a function, as not everybody who asks
 * questions has what it needs.
 */
export type GuestRun = (watch: GuestWatch) => void

/** What can be run, and run again: the same every time, byte for byte. */
export type RunSpec =
  | { readonly boot: BootOptions }
  | { readonly script: ScriptRun }
  | { readonly guest: GuestRun }

/** Somebody who watches a run. Events are numbered from 1; 0 is the machine as its builder left it. */
export type Watch = {
  /** With the guest's code, where there is any; then stores of the guest's are no events. */
  ready?(xen: Hypervisor, code: GuestCode | null): void
  event(n: number, event: TraceEvent, xen: Hypervisor): void
  /** As a `GuestWatch` has them, for guests with code. `n` is the last event's number. */
  returned?(n: number, xen: Hypervisor): void
  stride?(n: number, xen: Hypervisor): number
}

/** How far a guest goes that nobody looks at in between. */
const USUAL_STRIDE = 10_000_000

/** Thrown by a watch to end a run early. */
export class StopRun extends Error {
  override name = 'StopRun'
}

/** Run it once, watched, to its end or until the watch throws StopRun. Returns the machine as it then is. */
export function rerun(spec: RunSpec, watch: Watch): { xen: Hypervisor; events: number } {
  let machine: Hypervisor | null = null
  let n = 0
  const ready = (xen: Hypervisor, code: GuestCode | null = null): void => {
    machine = xen
    watch.ready?.(xen, code)
  }
  const sink = (event: TraceEvent): void => {
    n++
    if (machine !== null) watch.event(n, event, machine)
  }
  try {
    if ('boot' in spec) runBoot(planBoot(spec.boot), { sink, ready })
    else if ('guest' in spec) {
      spec.guest({
        ready,
        sink,
        returned: () => machine !== null && watch.returned?.(n, machine),
        stride: () => (machine === null ? USUAL_STRIDE : (watch.stride?.(n, machine) ?? USUAL_STRIDE)),
      })
    } else runScript(spec.script.text, { ...spec.script, sink, ready })
  } catch (error) {
    if (!(error instanceof StopRun)) throw error
  }
  if (machine === null) throw new Error('the run had no machine')
  return { xen: machine, events: n }
}
