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
  const seed = xen.version.messages === 'seed'
  if (id === DOMID.XEN) {
    if (!seed || caller.privileged) return xen.domXen
    xen.log('setForeign')
    return null
  }
  const domain = xen.domainById(id)
  if (domain === undefined) {
    xen.log('unknownDomain', id)
    return null
  }
  if (seed && !caller.privileged) {
    xen.log('setForeign')
    return null
  }
  return domain
}

/** Whether a caller may act on another's memory: the dummy XSM policy of 4.17. */
export function mayActOn(caller: Domain, target: Domain): boolean {
  return caller === target || caller.privileged
}
