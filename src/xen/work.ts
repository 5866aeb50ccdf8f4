import type { Clock } from '../machine/clock.ts'
import { Abandoned, type StopFlag } from '../machine/stop-flag.ts'

/** What Xen's work takes on a machine of today, in nanoseconds: the order of magnitude. */
export const COST_NS = {
  /** A request of a list: of mmu_update, mmuext_op or a multicall, an operation on a grant, a handler of a trap table. */
  request: 100,
  /** A frame that is given or taken back. */
  frame: 50,
  /** The 512 entries of a table, checked or given back. */
  table: 4000,
  /** A page that is copied or cleared. */
  page: 500,
  /** All translations forgotten. */
  flush: 1000,
  /** Bytes for Xen's console that are copied at once. */
  consolePiece: 1000,
  /** A message to dom0, and what it does. */
  notification: 5000,
  /** An exception or a privileged instruction of the guest. */
  trap: 1000,
} as const

/** How long Xen works for a vCPU before it looks for what else there is to do. A real one has a timer of that order. */
const SLICE_NS = 1_000_000

/** Work that the clock may lag behind: more than any kernel has asked for at once, which the price of a call covers. */
const CREDIT_NS = 500_000_000

/**
 * What Xen has done for a guest, so that none gets it done for ever in no time. A hypercall has one price, whatever it does:
 * all recordings and all guests have that. The work behind it is kept in a leaky bucket, which the guest's time empties; what
 * does not fit into it any more moves the clock.
 */
export class Work {
  /** Nanoseconds of work since the guest was left. */
  done = 0
  private owed = 0
  private since = 0
  /** Who may end the run from another thread. */
  stop: StopFlag | null = null

  /** Whether a hypercall is to be put off, to go on later: hypercall_preempt_check(). It must have done something before. */
  get isTooLong(): boolean {
    return this.done >= SLICE_NS || this.stop?.isSet === true
  }

  /** A table of entries. Those below a root are checked in one go, which may take long: whoever cannot wait is heard here. */
  table(): void {
    this.done += COST_NS.table
    if (this.stop?.isAbandoned === true) throw new Abandoned('the run was ended inside a hypercall')
  }

  /** Before the guest goes on: let the clock have what it lags behind too far. */
  charge(clock: Clock): void {
    if (this.done === 0) return
    this.owed = Math.max(0, this.owed - (clock.now - this.since)) + this.done
    this.done = 0
    if (this.owed > CREDIT_NS) {
      clock.advance(this.owed - CREDIT_NS)
      this.owed = CREDIT_NS
    }
    this.since = clock.now
  }

  save(): readonly [owed: number, since: number] {
    return [this.owed, this.since]
  }

  restore([owed, since]: readonly [number, number]): void {
    this.owed = owed
    this.since = since
  }
}
