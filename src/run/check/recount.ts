import { recount } from '../../audit/recount.ts'
import type { Holders, Miscount } from '../../audit/tally.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'

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
    // While a process runs, its root is in the register and the kernel's is kept.
    roots.push(...domain.vcpus.map((vcpu) => (vcpu.kernelMode ? vcpu.root : domain.kernelRoot)))
    if (domain.userRoot !== 0) roots.push(domain.userRoot)
    descriptors.push(...domain.gdtFrames, ...domain.ldtFrames.values())
    if (domain.vcpuInfo !== null) writable.push(domain.vcpuInfo.mfn)
    writable.push(...domain.backendPages.map(({ mfn }) => mfn))
    // Domains that are only names own no shared_info.
    if (domain.sharedInfo !== 0) shared.push(domain.sharedInfo, ...domain.grantFrames)
  }
  return { roots, descriptors, writable, shared, countsLinear: xen.version.rules.countsLinear }
}
