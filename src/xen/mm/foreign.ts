import { DOMID } from '../../bits/domid.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { type Refusal, refused } from '../refusal.ts'

/**
 * The domain whose frames a request is about: get_pg_owner(). Refused, for the whole hypercall, when there is no such domain
 * or the caller may not name it.
 */
export function getPageOwner(xen: Hypervisor, caller: Domain, id: number): Domain | Refusal {
  if (id === DOMID.SELF) return caller
  if (id === caller.id) return refused(xen, 'itselfForeign')
  if (id === DOMID.IO) return xen.domIo
  const hidesOthers = !xen.version.rules.policyForForeign && !caller.privileged
  if (id === DOMID.XEN) {
    return hidesOthers ? refused(xen, 'setForeign') : xen.domXen
  }
  const domain = xen.domainById(id)
  if (domain === undefined) return refused(xen, 'unknownDomain', { domid: id })
  return hidesOthers ? refused(xen, 'setForeignDomain') : domain
}

/** The domain that an operation names by its id, or by DOMID_SELF; undefined when there is none. */
export function domainNamed(xen: Hypervisor, caller: Domain, id: number): Domain | undefined {
  return id === DOMID.SELF || id === caller.id ? caller : xen.domainById(id)
}

/** Whether a caller may act on another's memory: what the dummy policy of XSM says. */
export function mayActOn(caller: Domain, target: Domain): boolean {
  return caller === target || caller.privileged
}
