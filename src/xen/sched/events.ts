import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { CALLBACK } from '../abi.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { enterGuest } from '../pv/exceptions.ts'
import { eventsMasked, eventsPending, setEventsMasked } from './vcpu-info.ts'

/**
 * On the way back to a guest: when events are pending and it takes them, it is entered at its callback for events, with
 * further ones masked. Xen: test_guest_events in entry.S. A guest without a callback dies of it.
 */
export function deliverEvents(xen: Hypervisor, domain: Domain, vcpu: Vcpu): void {
  if (!eventsPending(xen, domain) || eventsMasked(xen, domain)) return
  enterGuest(xen, domain, vcpu, domain.callbacks.get(CALLBACK.event)?.address ?? null, null)
  setEventsMasked(xen, domain, true)
}
