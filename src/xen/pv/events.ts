import { CALLBACK } from '../abi.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { eventsMasked, eventsPending, setEventsMasked } from '../sched/vcpu-info.ts'
import { enterGuest } from './exceptions.ts'

/**
 * On the way back to a guest: an NMI that waits enters it at its callback for NMIs, one at a time, and is lost on a guest
 * without. Then, when events are pending and it takes them, it is entered at its callback for events, with
 * further ones masked. Xen: test_guest_events in entry.S. A guest without a callback dies of it.
 */
export function deliverEvents(xen: Hypervisor, vcpu: PvVcpu): void {
  if (vcpu.nmiPending && !vcpu.nmiMasked) deliverNmi(xen, vcpu)
  if (!eventsPending(xen, vcpu) || eventsMasked(xen, vcpu)) return
  enterGuest(xen, vcpu, vcpu.callbacks.get(CALLBACK.event)?.address ?? null, null)
  setEventsMasked(xen, vcpu, true)
}

/** Events are masked as well: register_guest_nmi_callback() asks for that. */
function deliverNmi(xen: Hypervisor, vcpu: PvVcpu): void {
  vcpu.nmiPending = false
  const callback = vcpu.callbacks.get(CALLBACK.nmi)
  if (callback === undefined) return
  enterGuest(xen, vcpu, callback.address, null)
  setEventsMasked(xen, vcpu, true)
  vcpu.nmiMasked = true
}
