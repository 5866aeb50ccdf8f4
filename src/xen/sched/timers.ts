import { DomainCrash } from '../../machine/vcpu/vcpu.ts'
import { SHUTDOWN, VIRQ } from '../abi.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { sendVirq, wake } from './event-channels.ts'

/**
 * When the next of a vCPU's timers is due. A tick that no port is bound to is none, and ticks are for a vCPU that runs:
 * they do not wake one that waits.
 */
export function nextDeadline(vcpu: PvVcpu): number {
  const { period, nextTick, singleshot, poll } = vcpu.timers
  const watchdog = nextWatchdog(vcpu.domain)
  if (vcpu.down) return watchdog
  const ticks = period !== 0 && !vcpu.blocked && hasTimerPort(vcpu)
  return Math.min(ticks ? nextTick : Infinity, singleshot, poll, watchdog)
}

function nextWatchdog({ watchdogs }: Domain): number {
  let first = Infinity
  for (let n = 0; n < watchdogs.length; n++) first = Math.min(first, watchdogs[n] ?? Infinity)
  return first
}

function hasTimerPort({ domain, id }: PvVcpu): boolean {
  return domain.ports.some((p) => p?.kind === 'virq' && p.virq === VIRQ.TIMER && p.vcpu === id)
}

/** Let the timers go off that are due. Ticks that were missed are not made up for: vcpu_periodic_timer_work(). */
export function fireTimers(xen: Hypervisor, vcpu: PvVcpu): void {
  const { timers, domain } = vcpu
  const { now } = xen.clock
  if (nextWatchdog(domain) <= now) watchdogFired(xen, domain)
  if (vcpu.down) return
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
    // One that has been left over from an earlier poll wakes nobody who does not poll.
    if (vcpu.polled !== null) wake(vcpu)
  }
  if (isTimer) sendVirq(xen, vcpu, VIRQ.TIMER)
}

/** The guest has not fed its watchdog: that is its end. Xen: domain_watchdog_timeout(). */
function watchdogFired(xen: Hypervisor, domain: Domain): never {
  xen.endConsoleLine(domain)
  xen.console.xen(`Watchdog timer fired for domain ${domain.id}`)
  domain.shutdown = domain.shutdownCode ?? SHUTDOWN.watchdog
  throw new DomainCrash(`domain ${domain.id} shut down by its watchdog`)
}

/** A deadline in two halves, signed, as nanoseconds: exact up to 2^53, which is more than a hundred days. */
export function nanoseconds(lo: number, hi: number): number {
  return (hi | 0) * 2 ** 32 + (lo >>> 0)
}
