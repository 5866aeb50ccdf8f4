import type { Hypervisor } from '../xen/hypervisor.ts'
import type { Guest, GuestEnd } from './guest.ts'

/** Instructions that a guest executes before it is another's turn. */
const TURN = 100_000

/**
 * Several guests of one machine, on one clock. They take turns in a fixed order, so that every run is the same; a turn ends
 * where the next timer of a guest that waits is due, to the instruction, and when all wait, the clock goes there.
 */
export class Scheduler {
  private readonly xen: Hypervisor
  private readonly guests: readonly Guest[]
  private readonly ends = new Map<Guest, GuestEnd>()
  private next = 0

  constructor(xen: Hypervisor, guests: readonly Guest[]) {
    this.xen = xen
    this.guests = guests
    for (const guest of guests) guest.whenIdle = 'return'
  }

  /** How a guest ended, or undefined while it lives. */
  endOf(guest: Guest): GuestEnd | undefined {
    return this.ends.get(guest)
  }

  /** Execute at most `budget` instructions, of all guests together. `idle`: nobody lives, or all wait for nothing. */
  run(budget: number): 'budget' | 'idle' {
    for (let left = budget; left > 0; ) {
      const guest = this.choose()
      if (guest === null) return 'idle'
      const before = this.executed
      const end = guest.run(Math.min(left, TURN, this.untilDeadline(guest)))
      if (end === 'crash' || end === 'shutdown') this.ends.set(guest, end)
      // A turn that executes nothing costs something all the same, or it could be the last.
      left -= Math.max(1, this.executed - before)
    }
    return 'budget'
  }

  private get executed(): number {
    return this.guests.reduce((sum, { cpu }) => sum + cpu.instructions, 0)
  }

  private get living(): Guest[] {
    return this.guests.filter((guest) => !this.ends.has(guest))
  }

  /** The next guest in turn that can run. Where all wait, time passes until the first of their timers. */
  private choose(): Guest | null {
    const { clock } = this.xen
    if (!this.living.some((guest) => guest.isRunnable)) {
      const deadline = Math.min(Infinity, ...this.living.map((guest) => guest.deadline))
      if (deadline === Infinity) return null
      clock.now = Math.max(clock.now, deadline)
    }
    for (let n = 0; n < this.guests.length; n++) {
      const guest = this.guests[(this.next + n) % this.guests.length]
      if (this.ends.has(guest) || !guest.isRunnable) continue
      this.next = (this.next + n + 1) % this.guests.length
      return guest
    }
    return null
  }

  /** Instructions until a timer of another guest is due that waits for it, at least one. */
  private untilDeadline(running: Guest): number {
    const others = this.living.filter((guest) => guest !== running && !guest.isRunnable)
    const deadline = Math.min(Infinity, ...others.map((guest) => guest.deadline))
    return Math.max(1, deadline - this.xen.clock.now)
  }
}
