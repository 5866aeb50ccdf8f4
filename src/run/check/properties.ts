import { type Broken, brokenProperties, type Changed } from '../../audit/properties.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { kernelRootOf } from '../../xen/pv-vcpu.ts'

export type { Broken, Changed, PropertyName } from '../../audit/properties.ts'

/**
 * The safety properties that a machine breaks as it is now.
 *
 * @param changed where something may have changed since all properties held; without it everything is looked at
 */
export function brokenPropertiesOf(xen: Hypervisor, changed?: Changed): Broken[] {
  const guests = xen.owners.flatMap((domain) => {
    if (domain === undefined || domain.vcpus.length === 0) return []
    const { owner, privileged: mayMapOthers } = domain
    return domain.vcpus.map((vcpu) => {
      const kernel = kernelRootOf(vcpu)
      const roots = vcpu.userRoot === 0 ? [kernel] : [kernel, vcpu.userRoot]
      return { owner, mayMapOthers, roots, ldtEntries: vcpu.ldtEntries, ldtFrames: vcpu.ldtFrames }
    })
  })
  const tlbs = xen.owners.flatMap((domain) => domain?.vcpus.map(({ port }) => port.tlb) ?? [])
  return brokenProperties({
    memory: xen.memory,
    guests,
    tlbs,
    userModeCalls: xen.userModeCalls,
    ...(changed === undefined ? {} : { changed }),
  })
}
