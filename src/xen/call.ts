import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import type { Domain } from './domain.ts'
import type { Hypervisor } from './hypervisor.ts'
import type { PvVcpu } from './pv-vcpu.ts'

/** Who asks Xen for something: what every hypercall takes. One for each vCPU, made with it. */
export type Call = {
  readonly xen: Hypervisor
  readonly domain: Domain
  readonly vcpu: PvVcpu
  /** The vCPU's registers and its way to memory. */
  readonly port: Vcpu
}
