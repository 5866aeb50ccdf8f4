import { recount } from '../../audit/recount.ts'
import type { Holders, Miscount } from '../../audit/tally.ts'
import { eoiFrames } from '../../xen/domain.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { kernelRootOf, recordFrames } from '../../xen/pv-vcpu.ts'

/** Count every frame's references again from the tables, and give the frames whose records differ. */
export function recountMachine(xen: Hypervisor): Miscount[] {
  return recount(xen.memory, holdersOf(xen))
}

/**
 * What holds frames outside of tables: roots, descriptor tables, the records that a vCPU shares with its guest, and the pages
 * that dom0 has mapped; and what Xen has given out of its own for good.
 */
export function holdersOf(xen: Hypervisor): Holders {
  const roots: number[] = []
  const descriptors: number[] = []
  const writable: number[] = []
  const shared: number[] = []
  for (const domain of xen.owners) {
    if (domain === undefined) continue
    for (const vcpu of domain.vcpus) {
      roots.push(kernelRootOf(vcpu))
      if (vcpu.userRoot !== 0) roots.push(vcpu.userRoot)
      descriptors.push(...vcpu.gdtFrames, ...vcpu.ldtFrames.values())
      writable.push(...recordFrames(vcpu))
    }
    writable.push(...domain.backendPages.map(({ mfn }) => mfn), ...eoiFrames(domain))
    // Domains that are only names own no shared_info.
    if (domain.sharedInfo !== 0) shared.push(domain.sharedInfo, ...domain.grantFrames)
  }
  return { roots, descriptors, writable, shared, countsLinear: xen.version.rules.countsLinear }
}
