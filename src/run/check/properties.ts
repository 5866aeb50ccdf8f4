import { type Broken, brokenProperties, type Changed } from '../../audit/properties.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'

export type { Broken, Changed, PropertyName } from '../../audit/properties.ts'

/**
 * The safety properties that a machine breaks as it is now.
 *
 * @param changed where something may have changed since all properties held; without it everything is looked at
 */
export function brokenPropertiesOf(xen: Hypervisor, changed?: Changed): Broken[] {
  const guests = xen.owners.flatMap((domain) => {
    if (domain === undefined || domain.vcpus.length === 0) return []
    const kernel = domain.vcpus.map((vcpu) => (vcpu.kernelMode ? vcpu.root : domain.kernelRoot))
    const roots = domain.userRoot === 0 ? kernel : [...kernel, domain.userRoot]
    const { owner, privileged: mayMapOthers, ldtEntries, ldtFrames } = domain
    return [{ owner, mayMapOthers, roots, ldtEntries, ldtFrames }]
  })
  const tlbs = xen.owners.flatMap((domain) => domain?.vcpus.map(({ tlb }) => tlb) ?? [])
  return brokenProperties({
    memory: xen.memory,
    guests,
    tlbs,
    userModeCalls: xen.userModeCalls,
    ...(changed === undefined ? {} : { changed }),
  })
}
