import { DOMID } from '../../bits/domid.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * The domain whose frames a request is about: get_pg_owner(). Null when there is no such domain or the caller may not
 * name it, which is -ESRCH for the whole hypercall.
 */
export function getPageOwner(xen: Hypervisor, caller: Domain, id: number): Domain | null {
  if (id === DOMID.SELF) return caller
  if (id === caller.id) {
    xen.log('itselfForeign')
    return null
  }
  if (id === DOMID.IO) return xen.domIo
  const hidesOthers = !xen.version.rules.policyForForeign && !caller.privileged
  if (id === DOMID.XEN) {
    if (!hidesOthers) return xen.domXen
    xen.log('setForeign')
    return null
  }
  const domain = xen.domainById(id)
  if (domain === undefined) {
    xen.log('unknownDomain', { domid: id })
    return null
  }
  if (hidesOthers) {
    xen.log('setForeignDomain')
    return null
  }
  return domain
}

/** Whether a caller may act on another's memory: what the dummy policy of XSM says. */
export function mayActOn(caller: Domain, target: Domain): boolean {
  return caller === target || caller.privileged
}
