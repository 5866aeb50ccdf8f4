import type { CoreOptions } from '../../cpu/cpu.ts'
import type { GuestEnd } from '../../guest/guest.ts'
import { MACHINE_BYTES, MachineFull, Memory } from '../../machine/memory.ts'
import { Abandoned, type StopFlag } from '../../machine/stop-flag.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { type Refusal, type TypeInTheWay, typeInTheWay } from '../../xen/refusal.ts'
import { tableLevel } from '../ask/holding.ts'
import type { GuestRun } from '../ask/rerun.ts'
import { CONSOLE_LIMIT, ConsoleRecord } from './console-record.ts'
import { buildDom0Machine } from './dom0-machine.ts'
import { explainMachine, type FrameInQuestion, type KernelExplanation, symbolsOf } from './kernel-explain.ts'
import { type FatalFault, fatalFault } from './kernel-fault.ts'
import {
  buildKernelMachine,
  type KernelMachine,
  type KernelOptions,
  type Progress,
} from './kernel-machine.ts'
import { restoreSnapshot, type SnapshotFile, snapshotParts } from './kernel-snapshot.ts'
import { STOP_OUTCOMES } from './stop.ts'
import { UntilText } from './until.ts'

/** How a run of a real kernel ended: by itself, by Xen, because nothing more was to come of it, or for lack of something. */
export type KernelOutcome =
  | 'poweroff'
  | 'reboot'
  | 'suspend'
  | 'crash'
  | 'watchdog'
  | 'soft-reset'
  | 'idle'
  | 'time-limit'
  | 'wall-limit'
  | 'console-limit'
  | 'host-memory'
  | 'reached'
  | 'interrupted'

/** What a run came to, as plain data: docs/kernels.md. */
export type KernelResult = {
  readonly schema: 1
  readonly name: string
  readonly xen: string
  /** Frames of memory. */
  readonly memory: string
  readonly append: string
  readonly domain: 'dom0' | 'domU'
  /** The name of a dom0's map; null of a domU. */
  readonly map: string | null
  readonly outcome: KernelOutcome
  /** Instructions that the guest has executed. */
  readonly instructions: number
  /** The guest's time at the end, in nanoseconds since the machine was switched on. */
  readonly nanoseconds: number
  /** The page fault that the kernel died of: one that it did not come back from. Null where it died otherwise, or not at all. */
  readonly fault: FatalFault | null
  /** What stood on the console, the guest's lines and Xen's as they came. */
  readonly console: readonly string[]
  readonly explanations: readonly KernelExplanation[]
}

/** What a run takes beside its machine. */
export type KernelRunOptions = {
  /** How the guest's code is executed. It comes to the same in any way, so that this is no part of what a run is. */
  readonly core?: CoreOptions
  /** What somebody types, a line each time that the guest has nothing else to do. */
  readonly input?: Uint8Array
  /** The most of the guest's time that it may take, in seconds. */
  readonly timeLimit?: number
  /** The most memory of the host that its machine may have, in bytes; 4 GiB is what a machine can have at all. */
  readonly hostMemory?: number
  /** The most that may come to stand on its console, in bytes; 16 MiB when it is left out. */
  readonly consoleLimit?: number
  /** End the run when this has appeared on its console, within a line. */
  readonly until?: string
  /** Say what stood in the way of every refused request, and where the kernel was. */
  readonly explain?: boolean
  /** A System.map, where the kernel carries no symbols. */
  readonly systemMap?: string
}

/** A run of a real kernel, from its files or from a snapshot. */
export type KernelSpec = (KernelOptions | RestoreOptions) & KernelRunOptions

/** Instead of a kernel: the machine that a snapshot holds. */
export type RestoreOptions = { readonly restore: SnapshotFile }

/** Who is told while a kernel runs. */
export type KernelWatch = {
  /** Of what appears on the console: bytes as the guest writes them, Xen's lines whole. */
  readonly output?: (bytes: Uint8Array, source: 'guest' | 'xen') => void
  /** Whether the result is to have the lines of the console; they are kept if nothing is said. */
  readonly keepsConsole?: boolean
  readonly progress?: Progress
  /** Of the machine, before its guest runs. */
  readonly ready?: (xen: Hypervisor) => void
  /** Of how far it has come, very often: instructions, and nanoseconds of its time. */
  readonly pulse?: (instructions: number, nanoseconds: number) => void
  /** Asked before the guest goes on: how many instructions it executes at most until it is asked again. */
  readonly stride?: () => number
  /** By what somebody on another thread ends the run; the reason is the place of an outcome in `STOP_OUTCOMES`. */
  readonly stop?: StopFlag
}

/** By Xen's number of a shutdown's reason: public/sched.h. */
const SHUTDOWN_OUTCOMES: readonly KernelOutcome[] = [
  'poweroff',
  'reboot',
  'suspend',
  'crash',
  'watchdog',
  'soft-reset',
]

/** Nanoseconds of waiting after which a guest has nothing else to do but to wait for input. */
const QUIET_NS = 500_000_000
/** And after which no input will come that it could wait for. */
const IDLE_NS = 60_000_000_000
/** A guest that executes more than this between two waits had something to do: more than its timer's interrupts take. */
const BUSY_INSTRUCTIONS = 400_000
/** Refusals that are explained: a guest can make any number of them. */
const MOST_EXPLANATIONS = 16
/** Instructions that a guest executes in one go, where nobody wants to see more of it. */
const USUAL_STRIDE = 10_000_000
const NEWLINE = 10

/** A real kernel while it runs. */
export class KernelRun {
  readonly machine: KernelMachine
  private readonly options: KernelSpec
  private readonly watch: KernelWatch
  private readonly explanations: KernelExplanation[] = []
  private readonly record: ConsoleRecord
  private readonly until: UntilText
  /** What Xen refused when it was looked at last, and the last frame whose type stood in the way. */
  private seen: Refusal | null = null
  private refused: TypeInTheWay | null = null
  private fault: FatalFault | null = null
  private inputAt = 0
  private quietNs = 0
  private quietSince = 0
  /** How it ended, or null while it runs. */
  outcome: KernelOutcome | null = null
  /** Whether the machine is at a moment from which it could go on. */
  private isWhole = true

  /** @throws BadInput for what cannot be booted */
  constructor(options: KernelSpec, watch: KernelWatch = {}) {
    this.options = options
    this.watch = watch
    this.record = new ConsoleRecord(options.consoleLimit ?? CONSOLE_LIMIT, watch.keepsConsole ?? true)
    this.until = new UntilText(options.until ?? null)
    const onOutput = (bytes: Uint8Array): void => this.guestOutput(bytes)
    const memory = new Memory(MACHINE_BYTES, options.hostMemory)
    this.machine =
      'restore' in options
        ? restoreSnapshot(options.restore, onOutput, memory, options.core)
        : buildMachine(options, onOutput, watch.progress, memory)
    const { guest, xen } = this.machine
    const { pulse } = watch
    guest.whenIdle = 'return'
    guest.stopAt = (options.timeLimit ?? Infinity) * 1e9
    guest.obey(watch.stop ?? null)
    if (pulse !== undefined) guest.onReturn = () => pulse(guest.cpu.instructions, xen.clock.now)
    xen.console.taker = ({ text }) => this.xenLine(text)
    watch.ready?.(this.machine.xen)
    if (options.explain) this.machine.guest.afterHypercall = () => this.explainNew()
  }

  /** Execute at most so many instructions. The outcome when it is over; `waiting` when the guest waits; else `running`. */
  step(instructions: number): KernelOutcome | 'running' | 'waiting' {
    const { guest, start, xen } = this.machine
    const end = this.runGuest(instructions)
    if (this.outcome === null && (end === 'crash' || end === 'shutdown')) {
      // Xen stops a guest that has shut itself down for a crash, too, but prints nothing of it.
      const reason = start.domain.shutdown
      this.outcome = reason === null ? 'crash' : (SHUTDOWN_OUTCOMES[reason] ?? 'crash')
      if (this.outcome === 'crash') this.died()
    }
    if (end === 'stopped') this.stopped()
    if (this.outcome === null && xen.clock.now >= guest.stopAt) this.outcome = 'time-limit'
    if (this.outcome !== null) return this.outcome
    return end === 'idle' ? 'waiting' : 'running'
  }

  /** Of what did it die? The fault tells, as the machine delivered it; kernels may have their own idea of the address. */
  private died(): void {
    const { guest, start, xen } = this.machine
    const open = guest.faults.open(start.vcpu, xen.memory.u8)
    if (open !== null) this.fault = fatalFault(xen, open, (va) => this.nameOf(va))
    if (!this.options.explain) return
    // Where Xen has refused a store to a table in use, the frame that the table was not to map is the one to explain.
    const isTable = open?.mfn != null && tableLevel(xen, open.mfn) !== 0
    const page: FrameInQuestion | null =
      open?.mfn == null || isTable ? null : { mfn: open.mfn, saw: null, exp: null }
    this.explain('crash', page)
  }

  /** What ends the run in the middle of something leaves a machine that cannot go on. */
  private runGuest(instructions: number): GuestEnd {
    try {
      return this.machine.guest.run(instructions)
    } catch (error) {
      if (error instanceof MachineFull) this.outcome = 'host-memory'
      else if (!(error instanceof Abandoned)) throw error
      this.isWhole = false
      return 'stopped'
    }
  }

  private stopped(): void {
    this.outcome ??= STOP_OUTCOMES[this.watch.stop?.reason ?? 0] ?? 'interrupted'
  }

  /**
   * Run to the end, in the guest's own time: it never waits for anybody. Input is typed a line at a time, when the guest has
   * had nothing to do for half a second.
   */
  runToEnd(): KernelOutcome {
    const { guest } = this.machine
    while (this.outcome === null) {
      const state = this.step(this.watch.stride?.() ?? USUAL_STRIDE)
      if (state === 'waiting') this.outcome = this.waitForDeadline()
      else if (guest.cpu.instructions - this.quietSince > BUSY_INSTRUCTIONS) this.quietNs = 0
    }
    return this.outcome
  }

  /** Let a guest that waits have its next timer, or the next line of input. An outcome when there is neither. */
  private waitForDeadline(): KernelOutcome | null {
    const { guest, xen } = this.machine
    if (guest.cpu.instructions - this.quietSince > BUSY_INSTRUCTIONS) this.quietNs = 0
    this.quietSince = guest.cpu.instructions
    const before = xen.clock.now
    const hasInput = this.inputAt < (this.options.input?.length ?? 0)
    const until = hasInput ? QUIET_NS - this.quietNs : IDLE_NS - this.quietNs
    guest.passTime(Math.max(0, until))
    this.quietNs += xen.clock.now - before
    if (hasInput && this.quietNs >= QUIET_NS) {
      this.typeLine()
      this.quietNs = 0
      return null
    }
    return this.quietNs >= IDLE_NS ? 'idle' : null
  }

  private typeLine(): void {
    const { input } = this.options
    if (input === undefined) return
    const newline = input.indexOf(NEWLINE, this.inputAt)
    const end = newline === -1 ? input.length : newline + 1
    this.machine.console.type(input.subarray(this.inputAt, end))
    this.inputAt = end
  }

  /** Whether there is something to go on with: the guest has neither died nor shut itself down. */
  get isAlive(): boolean {
    const { crashed, shutdown } = this.machine.start.domain
    return !crashed && shutdown === null && this.isWhole
  }

  /** The machine as it is, for `restore`, as the parts of a file: it must not run before the last one is taken. */
  snapshotParts(): Iterable<Uint8Array> {
    return snapshotParts(this.machine, this.symbols().toSystemMap())
  }

  /** The same in one piece. */
  snapshot(): Uint8Array {
    return Buffer.concat([...this.snapshotParts()].map((part) => Uint8Array.from(part)))
  }

  /** What the run has come to. */
  result(): KernelResult {
    const { xen, guest, name, dom0 } = this.machine
    const append = 'append' in this.options ? (this.options.append ?? '') : ''
    return {
      schema: 1,
      name,
      xen: xen.version.name,
      memory: `0x${this.machine.start.domain.totPages.toString(16)}`,
      append,
      domain: dom0 === null ? 'domU' : 'dom0',
      map: dom0?.mapName ?? null,
      outcome: this.outcome ?? 'interrupted',
      instructions: guest.cpu.instructions,
      nanoseconds: xen.clock.now,
      fault: this.fault,
      console: this.record.result(),
      explanations: this.explanations,
    }
  }

  private guestOutput(bytes: Uint8Array): void {
    const part = this.record.guest(bytes)
    if (part.length > 0) this.watch.output?.(part, 'guest')
    this.until.guest(part)
    this.checkConsole()
  }

  /** A line of Xen's, or of a guest that writes to Xen's console. */
  private xenLine(text: string): void {
    if (this.record.xen(text)) {
      this.watch.output?.(Buffer.from(`${text}\n`), 'xen')
      this.until.line(text)
    }
    this.checkConsole()
  }

  /** A run that was to go on until now is over at once, and a guest that writes more than it may. */
  private checkConsole(): void {
    if (this.outcome !== null || !(this.until.isSeen || this.record.isFull)) return
    this.outcome = this.until.isSeen ? 'reached' : 'console-limit'
    this.machine.guest.stop()
  }

  /** After a hypercall: was something refused that has not been explained yet? */
  private explainNew(): boolean {
    const { refusal } = this.machine.xen
    if (refusal === this.seen) return true
    this.seen = refusal
    const frame = typeInTheWay(refusal)
    if (frame === null) return true
    this.refused = frame
    this.explain('refused')
    return true
  }

  private explain(kind: KernelExplanation['kind'], page: FrameInQuestion | null = null): void {
    // However many requests were refused before, a death is told of.
    if (kind === 'refused' && this.explanations.length >= MOST_EXPLANATIONS) return
    // A store to a table in use may have been the last thing that was refused.
    const frame = page ?? typeInTheWay(this.machine.xen.refusal) ?? this.refused
    this.explanations.push(explainMachine(this.machine, kind, this.symbols(), frame))
  }

  /** What the guest calls an address, as `name+0x1f/0x40`; undefined where nothing is known. */
  nameOf(va: number): string | undefined {
    return this.symbols().text(va)
  }

  private known: ReturnType<typeof symbolsOf> | null = null

  private symbols(): ReturnType<typeof symbolsOf> {
    this.known ??= symbolsOf(this.machine, this.options.systemMap)
    return this.known
  }
}

function buildMachine(
  { dom0, core, ...options }: KernelOptions & KernelRunOptions,
  onOutput: (bytes: Uint8Array) => void,
  progress: Progress | undefined,
  memory: Memory,
): KernelMachine {
  return dom0 === undefined
    ? buildKernelMachine(options, onOutput, progress, memory, core)
    : buildDom0Machine({ ...options, dom0 }, onOutput, progress, memory, core)
}

/** Boot a real kernel and let it run to its end. */
export function bootKernel(options: KernelSpec, watch: KernelWatch = {}): KernelResult {
  const run = new KernelRun(options, watch)
  run.runToEnd()
  return run.result()
}

/** A kernel's run as one that `who`, `why` and replays can have again. */
export function guestRun(spec: KernelSpec): GuestRun {
  return ({ ready, sink, returned, stride }) => {
    const run = new KernelRun(spec, { keepsConsole: false, pulse: returned, stride })
    const { xen, guest } = run.machine
    xen.sink = sink
    ready(xen, {
      instructions: () => guest.cpu.instructions,
      rip: () => guest.rip,
      nameOf: (va) => run.nameOf(va),
      isRestored: 'restore' in spec,
    })
    run.runToEnd()
  }
}

export { MACHINE_BYTES } from '../../machine/memory.ts'
export type { KernelOptions, NamedFile, Progress } from './kernel-machine.ts'
export type { SnapshotFile } from './kernel-snapshot.ts'
