import { PAGE, vaOf } from '../../bits/address.ts'
import { EACCES, EBUSY } from '../../bits/errno.ts'
import { SHUTDOWN, VCPU_INFO, VCPU_TIME, VCPUOP } from '../abi.ts'
import type { Call } from '../call.ts'
import { putPageAndType } from '../mm/frame-type.ts'
import { isGuestRange } from '../mm/guest-copy.ts'
import { holdWritable } from '../mm/hold-writable.ts'
import { isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { copyTime, RUNSTATE_BYTES, runstate, updateRunstate } from '../sched/time.ts'
import { nanoseconds } from '../sched/timers.ts'
import { moveVcpuInfo } from '../sched/vcpu-info.ts'
import { arg32, argHigh, argVa, giveWords } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest, readOperation } from './flat.ts'

const SHORTEST_PERIOD = 1_000_000
/** Nanoseconds: a period that adds up to a time without running over. */
const STIME_DELTA_MAX = 2 ** 62
/** Flag of a single shot: a deadline that has passed is an error, unless the version takes it as due. */
const MUST_BE_FUTURE = 1

/** vcpu_op(command, vcpu, argument*): a vCPU's timers, where its records lie, whether it is up. Xen: do_vcpu_op(). */
export const vcpuOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  const { xen, port } = call
  const vcpu = arg32(port, 1)
  // There is one vCPU a domain.
  if (vcpu !== 0) return refused(xen, 'noVcpu', { vcpu })
  return readOperation(call, OPERATIONS, arg32(port, 0), argVa(port, 2))
}

const hasPhysicalAreas = ({ xen }: Call): boolean => xen.version.abi.hasPhysicalAreas

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [VCPUOP.initialise, { words: 0, apply: ({ xen }) => refuse(xen, 'isUp') }],
  [VCPUOP.up, { words: 0, apply: () => 0 }],
  [VCPUOP.down, { words: 0, apply: takeDown }],
  [VCPUOP.is_up, { words: 0, apply: ({ vcpu }) => (vcpu.down ? 0 : 1) }],
  [
    VCPUOP.get_runstate_info,
    { words: 0, apply: (call, { at }) => giveWords(call, at, runstate(call.xen, call.vcpu)) },
  ],
  // {u64 address}
  [VCPUOP.register_runstate_memory_area, { words: 2, apply: registerRunstate }],
  // {u64 period}
  [VCPUOP.set_periodic_timer, { words: 2, apply: setPeriodicTimer }],
  [VCPUOP.stop_periodic_timer, { words: 0, apply: stopPeriodicTimer }],
  // {u64 deadline, u32 flags}
  [VCPUOP.set_singleshot_timer, { words: 3, apply: setSingleshotTimer }],
  [VCPUOP.stop_singleshot_timer, { words: 0, apply: stopSingleshotTimer }],
  [VCPUOP.send_nmi, { words: 0, apply: sendNmi }],
  // {u64 address}
  [VCPUOP.register_vcpu_time_memory_area, { words: 2, apply: registerTime }],
  [VCPUOP.get_physid, { words: 0, apply: physicalId, isOffered: ({ xen }) => xen.version.abi.hasPhysicalId }],
  // {u64 address}
  [
    VCPUOP.register_runstate_phys_area,
    {
      words: 2,
      apply: (call, { words }) => registerArea(call, 'runstateArea', words),
      isOffered: hasPhysicalAreas,
    },
  ],
  [
    VCPUOP.register_vcpu_time_phys_area,
    {
      words: 2,
      apply: (call, { words }) => registerArea(call, 'timeArea', words),
      isOffered: hasPhysicalAreas,
    },
  ],
  // {u64 mfn, u32 offset, u32}
  [VCPUOP.register_vcpu_info, { words: 4, apply: registerVcpuInfo }],
])

/** The last vCPU to go takes the domain with it, or, in 2011, leaves a domain in which nothing runs. */
function takeDown({ xen, domain, vcpu }: Call): number {
  if (xen.version.rules.lastDownEndsDomain) domain.shutdown = domain.shutdownCode ?? SHUTDOWN.poweroff
  else {
    vcpu.down = true
    vcpu.blocked = true
  }
  return 0
}

/** The argument is none; an NMI that waits already is not counted. */
function sendNmi({ xen, port, vcpu }: Call): number {
  if (arg32(port, 2) !== 0 || argHigh(port, 2) !== 0) return refuse(xen, 'badArgument')
  vcpu.nmiPending = true
  return 0
}

/** An address by which Xen is to write: anywhere but in its own range. 0 is none, which is -1 here. */
function readArea({ xen }: Call, [lo, hi]: Uint32Array, bytes: number): { readonly va: number } | Refusal {
  const va = vaOf(lo, hi)
  return isGuestRange(va, bytes) ? { va: va === 0 ? -1 : va } : refused(xen, 'unwritable', { va })
}

function registerRunstate(call: Call, { words }: OperationRequest): number {
  const area = readArea(call, words, RUNSTATE_BYTES)
  if (isRefusal(area)) return area.errno
  call.vcpu.runstateAt = area.va
  updateRunstate(call.xen, call.vcpu)
  return 0
}

/** The time, which is in the vcpu_info, by an address of the guest's as well. */
function registerTime(call: Call, { words }: OperationRequest): number {
  const area = readArea(call, words, VCPU_TIME.bytes)
  if (isRefusal(area)) return area.errno
  call.vcpu.timeAt = area.va
  copyTime(call.xen, call.vcpu)
  return 0
}

function setPeriodicTimer({ xen, vcpu }: Call, { words }: OperationRequest): number {
  const period = nanoseconds(words[0], words[1])
  if (period < SHORTEST_PERIOD) return refuse(xen, 'badArgument', { period })
  if (xen.version.rules.limitsPeriod && period >= STIME_DELTA_MAX)
    return refuse(xen, 'badArgument', { period })
  vcpu.timers.period = period
  vcpu.timers.nextTick = xen.clock.now + period
  return 0
}

function stopPeriodicTimer({ vcpu }: Call): number {
  vcpu.timers.period = 0
  return 0
}

function setSingleshotTimer({ xen, vcpu }: Call, { words }: OperationRequest): number {
  const deadline = nanoseconds(words[0], words[1])
  const isLate = (words[2] & MUST_BE_FUTURE) !== 0 && deadline < xen.clock.now
  if (isLate && xen.version.errnos.lateTimer !== 0) return refuse(xen, 'lateTimer', { deadline })
  vcpu.timers.singleshot = deadline
  return 0
}

function stopSingleshotTimer({ vcpu }: Call): number {
  vcpu.timers.singleshot = Infinity
  return 0
}

/** {u64 APIC id | ACPI id << 32}: the first of both, where the vCPU stays on one CPU. */
function physicalId(call: Call, { at }: OperationRequest): number {
  return call.domain.privileged ? giveWords(call, at, [0, 0]) : refuse(call.xen, 'badArgument')
}

/** The page is held as writable for ever, and there is no second time. */
function registerVcpuInfo(call: Call, { words }: OperationRequest): number {
  const { xen, vcpu } = call
  const [mfn, offset] = [words[1] * 2 ** 32 + words[0], words[2]]
  const isAgain = vcpu.vcpuInfo !== null
  if (isAgain && xen.version.errnos.vcpuInfoTwice === EBUSY) return refuse(xen, 'vcpuInfoTwice')
  const isPlace = offset <= PAGE - VCPU_INFO.bytes && offset % 8 === 0
  if (!isPlace) return refuse(xen, 'vcpuInfoPlace', { offset })
  if (isAgain) return refuse(xen, 'vcpuInfoTwice')
  const rc = holdWritable(call, mfn, xen.version.errnos.vcpuInfoType)
  if (rc === 0) moveVcpuInfo(xen, vcpu, mfn, offset)
  return rc
}

/** The frame is held as writable until another one comes, or none, which is all ones. Xen: map_guest_area(). */
function registerArea(call: Call, which: 'runstateArea' | 'timeArea', [lo, hi]: Uint32Array): number {
  const { xen, vcpu } = call
  const isNone = lo === 0xffff_ffff && hi === 0xffff_ffff
  const [mfn, offset] = [hi * 2 ** 20 + (lo >>> 12), lo & (PAGE - 1)]
  if (!isNone) {
    const bytes = which === 'runstateArea' ? RUNSTATE_BYTES : VCPU_TIME.bytes
    if (offset + bytes > PAGE || offset % 8 !== 0) return refuse(xen, 'areaPlace', { mfn, offset })
    const rc = holdWritable(call, mfn, EACCES)
    if (rc !== 0) return rc
  }
  const old = vcpu[which]
  vcpu[which] = isNone ? null : { mfn, offset }
  if (which === 'runstateArea') updateRunstate(xen, vcpu)
  else copyTime(xen, vcpu)
  if (old !== null) putPageAndType(xen, old.mfn, xen.memory.record(old.mfn))
  return 0
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
