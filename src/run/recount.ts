import { recount } from '../audit/recount.ts'
import type { Holders, Miscount } from '../audit/tally.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'

/** Count every frame's references again from the tables, and give the frames whose records differ. */
export function recountMachine(xen: Hypervisor): Miscount[] {
  return recount(xen.memory, holdersOf(xen))
}

/** What holds frames outside of tables: roots and descriptor tables. */
export function holdersOf(xen: Hypervisor): Holders {
  const roots: number[] = []
  const descriptors: number[] = []
  for (const domain of xen.owners) {
    if (domain === undefined) continue
    // While a process runs, its root is in the register and the kernel's is kept.
    roots.push(...domain.vcpus.map((vcpu) => (vcpu.kernelMode ? vcpu.root : domain.kernelRoot)))
    if (domain.userRoot !== 0) roots.push(domain.userRoot)
    descriptors.push(...domain.gdtFrames, ...domain.ldtFrames.values())
  }
  return { roots, descriptors, countsLinear: xen.version.linearCounted }
}
