import type { PvVcpu } from '../pv-vcpu.ts'

/**
 * A 64-bit PV kernel and its processes both run in ring 3; what tells them apart is the root in use, and the base of gs
 * goes with it. Xen: toggle_guest_mode(). No reference moves: each root holds its own.
 */
export function enterUserMode(vcpu: PvVcpu): void {
  if (!vcpu.port.kernelMode) return
  vcpu.kernelRoot = vcpu.port.root
  switchTo(vcpu, vcpu.userRoot, false)
}

/** Go on with the kernel's tables and mode; nothing where it runs already. Xen: toggle_guest_mode(). */
export function enterKernelMode(vcpu: PvVcpu): void {
  if (vcpu.port.kernelMode) return
  switchTo(vcpu, vcpu.kernelRoot, true)
}

function switchTo(vcpu: PvVcpu, root: number, kernelMode: boolean): void {
  const { port } = vcpu
  port.root = root
  port.kernelMode = kernelMode
  port.tlb.flush()
  const { code } = port
  if (code === null) return
  const base = code.segmentBase('gs')
  code.setSegmentBase('gs', ...vcpu.otherGsBase)
  vcpu.otherGsBase = base
}
