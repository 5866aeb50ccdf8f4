import type { Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Domain } from '../domain.ts'

/**
 * A 64-bit PV kernel and its processes both run in ring 3; what tells them apart is the root in use, and the base of gs
 * goes with it. Xen: toggle_guest_mode(). No reference moves: each root holds its own.
 */
export function enterUserMode(domain: Domain, vcpu: Vcpu): void {
  if (!vcpu.kernelMode) return
  domain.kernelRoot = vcpu.root
  switchTo(domain, vcpu, domain.userRoot, false)
}

export function enterKernelMode(domain: Domain, vcpu: Vcpu): void {
  if (vcpu.kernelMode) return
  switchTo(domain, vcpu, domain.kernelRoot, true)
}

function switchTo(domain: Domain, vcpu: Vcpu, root: number, kernelMode: boolean): void {
  vcpu.root = root
  vcpu.kernelMode = kernelMode
  vcpu.tlb.flush()
  const { code } = vcpu
  if (code === null) return
  const base = code.segmentBase('gs')
  code.setSegmentBase('gs', ...domain.otherGsBase)
  domain.otherGsBase = base
}
