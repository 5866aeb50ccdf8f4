import { type Broken, brokenProperties } from '../audit/properties.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'

export type { Broken, PropertyName } from '../audit/properties.ts'

/** The safety properties that a machine breaks as it is now. */
export function brokenPropertiesOf(xen: Hypervisor): Broken[] {
  const guests = xen.owners.flatMap((domain) => {
    if (domain === undefined || domain.vcpus.length === 0) return []
    const kernel = domain.vcpus.map((vcpu) => (vcpu.kernelMode ? vcpu.root : domain.kernelRoot))
    const roots = domain.userRoot === 0 ? kernel : [...kernel, domain.userRoot]
    const { owner, privileged: mayMapOthers, ldtEntries, ldtFrames } = domain
    return [{ owner, mayMapOthers, roots, ldtEntries, ldtFrames }]
  })
  return brokenProperties({ memory: xen.memory, guests, userModeCalls: xen.userModeCalls })
}
