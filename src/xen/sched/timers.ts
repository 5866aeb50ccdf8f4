import { VIRQ } from '../abi.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { sendVirq } from './event-channels.ts'

/** What a vCPU waits for in time: nanoseconds of the machine's clock, Infinity for nothing. */
export type Timers = {
  /** Nanoseconds between two ticks, or 0 for none. */
  period: number
  nextTick: number
  /** The deadline that the guest has set. */
  singleshot: number
  /** Until when the vCPU polls its ports. */
  poll: number
}

/** The tick that every PV vCPU starts with. */
const FIRST_PERIOD = 10_000_000

/** The timers of a new vCPU: the tick, in nanoseconds, and nothing else. */
export function noTimers(): Timers {
  return { period: FIRST_PERIOD, nextTick: FIRST_PERIOD, singleshot: Infinity, poll: Infinity }
}

/**
 * When the next of a vCPU's timers is due. A tick that no port is bound to is none, and ticks are for a vCPU that runs:
 * they do not wake one that waits.
 */
export function nextDeadline(vcpu: PvVcpu): number {
  const { period, nextTick, singleshot, poll } = vcpu.timers
  const ticks = period !== 0 && !vcpu.blocked && hasTimerPort(vcpu)
  return Math.min(ticks ? nextTick : Infinity, singleshot, poll)
}

function hasTimerPort({ domain, id }: PvVcpu): boolean {
  return domain.ports.some((p) => p?.kind === 'virq' && p.virq === VIRQ.TIMER && p.vcpu === id)
}

/** Let the timers go off that are due. Ticks that were missed are not made up for: vcpu_periodic_timer_work(). */
export function fireTimers(xen: Hypervisor, vcpu: PvVcpu): void {
  const { timers } = vcpu
  const { now } = xen.clock
  let isTimer = false
  if (timers.period !== 0 && !vcpu.blocked && timers.nextTick <= now) {
    timers.nextTick = now + timers.period
    isTimer = true
  }
  if (timers.singleshot <= now) {
    timers.singleshot = Infinity
    isTimer = true
  }
  if (timers.poll <= now) {
    timers.poll = Infinity
    vcpu.polled = null
    vcpu.blocked = false
  }
  if (isTimer) sendVirq(xen, vcpu, VIRQ.TIMER)
}

/** A deadline in two halves, signed, as nanoseconds: exact up to 2^53, which is more than a hundred days. */
export function nanoseconds(lo: number, hi: number): number {
  return (hi | 0) * 2 ** 32 + (lo >>> 0)
}
