import { PAGE, vaOf } from '../../bits/address.ts'
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOSYS, ENXIO } from '../../bits/errno.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { SHUTDOWN, VCPU_INFO, VCPU_TIME, VCPUOP } from '../abi.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageType, putPageAndType } from '../mm/frame-type.ts'
import { copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import { getPage, putPage } from '../mm/references.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { copyTime, RUNSTATE_BYTES, runstate, updateRunstate } from '../sched/time.ts'
import { nanoseconds } from '../sched/timers.ts'
import { moveVcpuInfo } from '../sched/vcpu-info.ts'
import { arg32, argHigh, argVa } from './arguments.ts'

const SHORTEST_PERIOD = 1_000_000
/** Nanoseconds: a period that adds up to a time without running over. */
const STIME_DELTA_MAX = 2 ** 62
/** Flag of a single shot: a deadline that has passed is an error, unless the version takes it as due. */
const MUST_BE_FUTURE = 1

/** vcpu_op(command, vcpu, argument*): a vCPU's timers, where its records lie, whether it is up. Xen: do_vcpu_op(). */
export function vcpuOp({ xen, domain, vcpu, port }: Call): number {
  const argument = argVa(port, 2)
  const words = new Uint32Array(4)
  const read = (count: number): boolean => copyFromGuest(port, argument, words, count)
  // There is one vCPU a domain.
  if (arg32(port, 1) !== 0) return ENOENT
  switch (arg32(port, 0)) {
    case VCPUOP.initialise:
      return EEXIST
    case VCPUOP.up:
      return 0
    case VCPUOP.down:
      // The last vCPU to go takes the domain with it.
      domain.shutdown = SHUTDOWN.poweroff
      return 0
    case VCPUOP.is_up:
      return 1
    case VCPUOP.get_runstate_info: {
      const state = runstate(xen, vcpu)
      return copyToGuest(port, argument, state, state.length) ? 0 : EFAULT
    }
    case VCPUOP.register_runstate_memory_area:
      if (!read(2)) return EFAULT
      vcpu.runstateAt = vaOf(words[0], words[1])
      updateRunstate(xen, vcpu)
      return 0
    case VCPUOP.set_periodic_timer: {
      if (!read(2)) return EFAULT
      const period = nanoseconds(words[0], words[1])
      if (period < SHORTEST_PERIOD || (xen.version.rules.limitsPeriod && period >= STIME_DELTA_MAX)) {
        return EINVAL
      }
      vcpu.timers.period = period
      vcpu.timers.nextTick = xen.clock.now + period
      return 0
    }
    case VCPUOP.stop_periodic_timer:
      vcpu.timers.period = 0
      return 0
    case VCPUOP.set_singleshot_timer: {
      if (!read(3)) return EFAULT
      const deadline = nanoseconds(words[0], words[1])
      const { lateTimer } = xen.version.errnos
      const isLate = (words[2] & MUST_BE_FUTURE) !== 0 && deadline < xen.clock.now
      if (isLate && lateTimer !== 0) return lateTimer
      vcpu.timers.singleshot = deadline
      return 0
    }
    case VCPUOP.stop_singleshot_timer:
      vcpu.timers.singleshot = Infinity
      return 0
    case VCPUOP.get_physid:
      if (!xen.version.abi.hasPhysicalId) return ENOSYS
      // {u64 APIC id | ACPI id << 32}: the first of both, where the vCPU stays on one CPU.
      if (!domain.privileged) return EINVAL
      return copyToGuest(port, argument, [0, 0], 2) ? 0 : EFAULT
    case VCPUOP.register_runstate_phys_area:
    case VCPUOP.register_vcpu_time_phys_area:
      if (!xen.version.abi.hasPhysicalAreas) return ENOSYS
      if (!read(2)) return EFAULT
      return registerArea(xen, vcpu, arg32(port, 0) === VCPUOP.register_runstate_phys_area, words)
    case VCPUOP.register_vcpu_info:
      return read(4) ? registerVcpuInfo(xen, vcpu, words) : EFAULT
    default:
      return ENOSYS
  }
}

/** {u64 mfn, u32 offset, u32}: the page is held as writable for ever, and there is no second time. */
function registerVcpuInfo(xen: Hypervisor, vcpu: PvVcpu, words: Uint32Array): number {
  const [mfn, offset] = [words[1] * 2 ** 32 + words[0], words[2]]
  const { vcpuInfoPlace, vcpuInfoTwice, vcpuInfoType } = xen.version.errnos
  const isAgain = vcpu.vcpuInfo !== null
  if (isAgain && vcpuInfoTwice === EBUSY) return EBUSY
  const isPlace = offset <= PAGE - VCPU_INFO.bytes && offset % 8 === 0
  if (!isPlace) return vcpuInfoPlace
  if (isAgain) return vcpuInfoTwice
  const rc = getWritable(xen, vcpu.domain, mfn, vcpuInfoType)
  if (rc === 0) moveVcpuInfo(xen, vcpu, mfn, offset)
  return rc
}

/** {u64 address}: the frame is held as writable until another one comes, or none, which is all ones. Xen: map_guest_area(). */
function registerArea(xen: Hypervisor, vcpu: PvVcpu, isRunstate: boolean, words: Uint32Array): number {
  const [lo, hi] = words
  const isNone = lo === 0xffff_ffff && hi === 0xffff_ffff
  const [mfn, offset] = [hi * 2 ** 20 + (lo >>> 12), lo & (PAGE - 1)]
  if (!isNone) {
    const bytes = isRunstate ? RUNSTATE_BYTES : VCPU_TIME.bytes
    if (offset + bytes > PAGE || offset % 8 !== 0) return ENXIO
    const rc = getWritable(xen, vcpu.domain, mfn, EACCES)
    if (rc !== 0) return rc
  }
  const old = isRunstate ? vcpu.runstateArea : vcpu.timeArea
  const place = isNone ? null : { mfn, offset }
  if (isRunstate) vcpu.runstateArea = place
  else vcpu.timeArea = place
  if (isRunstate) updateRunstate(xen, vcpu)
  else copyTime(xen, vcpu)
  if (old !== null) putPageAndType(xen, old.mfn, xen.memory.record(old.mfn))
  return 0
}

/** Hold a frame of a domain as writable: 0, or EINVAL where it is not to be had, and `bad` where it is of another type. */
function getWritable(xen: Hypervisor, domain: Domain, mfn: number, bad: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return EINVAL
  if (getPageType(xen, mfn, record, TYPE_CODE.writable) === 0) return 0
  putPage(xen, mfn, record)
  return bad
}

/** A deadline this far away is a mistake that old kernels made when their clock wrapped: they are called soon. */
const TOO_FAR = 2 ** 50
const SOON = 100_000_000

/** set_timer_op(deadline): the single shot in nanoseconds; 0 stops it. Xen: do_set_timer_op(). */
export function setTimerOp({ xen, vcpu, port }: Call): number {
  const deadline = nanoseconds(arg32(port, 0), argHigh(port, 0))
  const { now } = xen.clock
  if (deadline === 0) vcpu.timers.singleshot = Infinity
  else vcpu.timers.singleshot = deadline < 0 || deadline - now >= TOO_FAR ? now + SOON : deadline
  return 0
}
