import { vaHigh } from '../../bits/address.ts'
import { SHARED_INFO, VCPU_INFO } from '../abi.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { PvVcpu } from '../pv-vcpu.ts'

/**
 * What a vCPU shares with its guest: whether events are pending or masked, the address of its last page fault, the time.
 * It lies in shared_info, by the number of the vCPU, until the guest names another place for it. Xen: struct vcpu_info.
 */

/** Word index of the vCPU's vcpu_info. */
export function vcpuInfoWords(xen: Hypervisor, vcpu: PvVcpu): number {
  const place = vcpu.vcpuInfo ?? { mfn: vcpu.domain.sharedInfo, offset: vcpu.id * VCPU_INFO.bytes }
  return xen.memory.frameWords(place.mfn) + place.offset / 4
}

/** Whether the guest takes no events: evtchn_upcall_mask, which it sets and clears by itself. */
export function eventsMasked(xen: Hypervisor, vcpu: PvVcpu): boolean {
  return xen.memory.u8[vcpuInfoWords(xen, vcpu) * 4 + VCPU_INFO.upcall_mask] !== 0
}

/** Mask events or let them through: evtchn_upcall_mask. */
export function setEventsMasked(xen: Hypervisor, vcpu: PvVcpu, masked: boolean): void {
  xen.memory.u8[vcpuInfoWords(xen, vcpu) * 4 + VCPU_INFO.upcall_mask] = masked ? 1 : 0
}

/** Whether events wait for the guest to take them: evtchn_upcall_pending. */
export function eventsPending(xen: Hypervisor, vcpu: PvVcpu): boolean {
  return xen.memory.u8[vcpuInfoWords(xen, vcpu) * 4 + VCPU_INFO.upcall_pending] !== 0
}

/** vcpu_info.arch.cr2, where a PV guest finds the address of its fault. */
export function writeFaultAddress(xen: Hypervisor, vcpu: PvVcpu, va: number): void {
  const at = vcpuInfoWords(xen, vcpu) + VCPU_INFO.cr2 / 4
  xen.memory.u32[at] = va >>> 0
  xen.memory.u32[at + 1] = vaHigh(va)
}

/** A fresh shared_info: every vCPU that there could be takes no events. */
export function initSharedInfo(xen: Hypervisor, mfn: number): void {
  const at = xen.memory.frameWords(mfn)
  for (let i = 0; i < SHARED_INFO.vcpus; i++) {
    xen.memory.u8[at * 4 + i * VCPU_INFO.bytes + VCPU_INFO.upcall_mask] = 1
  }
}

/**
 * Move the vcpu_info to a place of the guest's choice. Nothing that came in between is lost: the guest is told that
 * everything is pending.
 *
 * @param offset in bytes, a multiple of 8 that leaves room for it in the frame
 */
export function moveVcpuInfo(xen: Hypervisor, vcpu: PvVcpu, mfn: number, offset: number): void {
  const { u8, u32 } = xen.memory
  const from = vcpuInfoWords(xen, vcpu) * 4
  vcpu.vcpuInfo = { mfn, offset }
  const to = vcpuInfoWords(xen, vcpu)
  u8.copyWithin(to * 4, from, from + VCPU_INFO.bytes)
  u8[to * 4 + VCPU_INFO.upcall_pending] = 1
  u32[to + VCPU_INFO.pending_sel / 4] = 0xffff_ffff
  u32[to + VCPU_INFO.pending_sel / 4 + 1] = 0xffff_ffff
}
