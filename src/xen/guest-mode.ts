import type { Vcpu } from '../machine/vcpu.ts'
import type { Domain } from './domain.ts'

/**
 * A 64-bit PV kernel and its processes both run in ring 3; what tells them apart is the root in use. Xen:
 * toggle_guest_mode(). No reference moves: each root holds its own.
 */
export function enterUserMode(domain: Domain, vcpu: Vcpu): void {
  if (!vcpu.kernelMode) return
  domain.kernelRoot = vcpu.root
  vcpu.root = domain.userRoot
  vcpu.kernelMode = false
  vcpu.tlb.flush()
}

export function enterKernelMode(domain: Domain, vcpu: Vcpu): void {
  if (vcpu.kernelMode) return
  vcpu.root = domain.kernelRoot
  vcpu.kernelMode = true
  vcpu.tlb.flush()
}
