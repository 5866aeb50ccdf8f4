import { SHARED_INFO, VCPU_INFO, VCPU_TIME } from '../abi.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyToGuest } from '../mm/guest-copy.ts'
import type { Place, PvVcpu } from '../pv-vcpu.ts'
import { vcpuInfoWords } from './vcpu-info.ts'

/**
 * The time as a guest computes it: system time is what the time stamp counter has counted, scaled. A tick of this
 * machine is a nanosecond, and its counter starts with it, so that one record is right for ever.
 *
 *     system_time + ((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul / 2^32
 */
const SHIFT = 1
const MULTIPLIER = 0x8000_0000
const TSC_STABLE = 1

/** Fill in the time of a domain's vCPU, and the wall clock: seconds since 1970 at which the machine was switched on. */
export function initTime(xen: Hypervisor, vcpu: PvVcpu, wallClock: number): void {
  const { u8, u32 } = xen.memory
  const time = vcpuInfoWords(xen, vcpu) + VCPU_INFO.time / 4
  // The version is even: no update is under way.
  u32[time + VCPU_TIME.version / 4] = 2
  u32[time + VCPU_TIME.tsc_to_system_mul / 4] = MULTIPLIER
  u8[time * 4 + VCPU_TIME.tsc_shift] = SHIFT
  u8[time * 4 + VCPU_TIME.flags] = TSC_STABLE
  const shared = xen.memory.frameWords(vcpu.domain.sharedInfo)
  u32[shared + SHARED_INFO.wc_version / 4] = 2
  u32[shared + SHARED_INFO.wc_sec / 4] = wallClock >>> 0
  u32[shared + SHARED_INFO.wc_nsec / 4] = 0
  u32[shared + SHARED_INFO.wc_sec_hi / 4] = Math.floor(wallClock / 2 ** 32)
}

/** Every domain's wall clock is set: the time at which the machine was switched on, seconds since 1970 and what is beyond. */
export function setWallClock(xen: Hypervisor, seconds: number, nanoseconds: number): void {
  const { u32 } = xen.memory
  for (const domain of xen.owners) {
    if (domain === undefined || domain.sharedInfo === 0) continue
    const shared = xen.memory.frameWords(domain.sharedInfo)
    u32[shared + SHARED_INFO.wc_version / 4] += 2
    u32[shared + SHARED_INFO.wc_sec / 4] = seconds >>> 0
    u32[shared + SHARED_INFO.wc_nsec / 4] = nanoseconds
    u32[shared + SHARED_INFO.wc_sec_hi / 4] = Math.floor(seconds / 2 ** 32)
  }
}

/** States of a vCPU in struct vcpu_runstate_info. */
const RUNNING = 0

/** struct vcpu_runstate_info: state, since when, and for how long in each of the four. Words. */
export function runstate(xen: Hypervisor, { blockedNs }: PvVcpu): number[] {
  const halves = (ns: number): number[] => [ns >>> 0, Math.floor(ns / 2 ** 32)]
  const { now } = xen.clock
  const times = [now - blockedNs, 0, blockedNs, 0]
  return [RUNNING, 0, ...halves(now), ...times.flatMap(halves)]
}

/** Bytes of struct vcpu_runstate_info. */
export const RUNSTATE_BYTES = 48

/** Write the run state where the guest wants it. */
export function updateRunstate(xen: Hypervisor, vcpu: PvVcpu): void {
  const { runstateAt, runstateArea, port } = vcpu
  if (runstateAt === -1 && runstateArea === null) return
  const words = runstate(xen, vcpu)
  if (runstateAt !== -1) copyToGuest(port, runstateAt, words, words.length)
  if (runstateArea !== null) xen.memory.u32.set(words, wordOf(xen, runstateArea))
}

/** Write the time, which never changes, where the guest wants to have it as well. */
export function copyTime(xen: Hypervisor, vcpu: PvVcpu): void {
  const { timeArea, timeAt, port } = vcpu
  if (timeArea === null && timeAt === -1) return
  const time = vcpuInfoWords(xen, vcpu) + VCPU_INFO.time / 4
  const words = xen.memory.u32.slice(time, time + VCPU_TIME.bytes / 4)
  if (timeArea !== null) xen.memory.u32.set(words, wordOf(xen, timeArea))
  if (timeAt !== -1) copyToGuest(port, timeAt, words, words.length)
}

function wordOf(xen: Hypervisor, { mfn, offset }: Place): number {
  return xen.memory.frameWords(mfn) + offset / 4
}
