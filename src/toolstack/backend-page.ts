import { TYPE_CODE } from '../bits/type-word.ts'
import type { BackendPage, Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { getPageType } from '../xen/mm/frame-type.ts'
import { getPage, putPage } from '../xen/mm/references.ts'

/**
 * Map a page of a guest writable into dom0, for the daemon that serves its ring, until the guest is no more. As any writable
 * mapping it holds a reference on the frame and one on its type: while it stands, the frame is the guest's, whatever the
 * guest gives back, and no table or page of descriptors. Xen: map_grant_ref(), by which xenstored and xenconsoled map the
 * pages of a domU's start_info.
 *
 * A machine that a snapshot held has its mappings already, with their references: those are used again.
 *
 * @throws Error when the frame is not the guest's, or is in use as something that nobody may store to
 */
export function mapBackendPage(
  xen: Hypervisor,
  domain: Domain,
  mfn: number,
  user: BackendPage['user'],
): void {
  if (domain.backendPages.some((page) => page.mfn === mfn && page.user === user)) return
  const record = xen.memory.record(mfn)
  const isFree = record === -1 || !getPage(xen, mfn, record, domain)
  if (isFree || getPageType(xen, mfn, record, TYPE_CODE.writable) !== 0) {
    if (!isFree) putPage(xen, mfn, record)
    throw new Error(`dom0 cannot map frame ${mfn.toString(16)} for the ${user}`)
  }
  domain.backendPages.push({ mfn, user })
}
