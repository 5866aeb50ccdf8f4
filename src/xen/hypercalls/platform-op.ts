import { vaOf } from '../../bits/address.ts'
import { ENOSYS } from '../../bits/errno.ts'
import type { CodeState } from '../../machine/vcpu/vcpu.ts'
import { XENPF, XENPF_INTERFACE_VERSION } from '../abi.ts'
import type { Call } from '../call.ts'
import { answered, isRefusal, type Refusal, refuse, refused } from '../refusal.ts'
import { setWallClock } from '../sched/time.ts'
import { argVa, giveWords, wordsAt } from './arguments.ts'
import { applyOperation, flat, type Operation, type OperationRequest } from './flat.ts'

/** Words of the structure, all of which is read whatever is asked for: {u32 command, u32 version, ...}. */
const WORDS = 34
/** Where what an operation is about begins in it, in words and bytes. */
const [BODY, BODY_AT] = [2, 8]

/** platform_op(structure*): the machine's clock, firmware and CPUs, which are dom0's business. Xen: do_platform_op(). */
export const platformOp = flat(read, applyOperation)

function read(call: Call): OperationRequest | Refusal {
  const { xen, domain, port } = call
  const { rules, abi } = xen.version
  const isForbidden = !domain.privileged
  if (rules.asksCallerFirst && isForbidden) return refused(xen, 'notAllowed', { domid: domain.id })
  const at = argVa(port, 0)
  const words = wordsAt(call, at, WORDS)
  if (isRefusal(words)) return words
  const [command, version] = words
  if (version !== XENPF_INTERFACE_VERSION) return refused(xen, 'otherInterface', { version })
  if (isForbidden) return refused(xen, 'notAllowed', { domid: domain.id })
  const operation = abi.platformOps.includes(command) ? OPERATIONS.get(command) : undefined
  if (operation === undefined) return refused(xen, 'notOffered', { cmd: command })
  return { operation, command, words: words.subarray(BODY), at: at + BODY_AT }
}

const operation = (apply: Operation['apply']): Operation => ({ words: WORDS, apply })

/** What is answered, and nothing done. */
const notOffered = operation(({ xen }, { command }) => refuse(xen, 'notOffered', { cmd: command }))
const badArgument = operation(({ xen }, { command }) => refuse(xen, 'badArgument', { cmd: command }))

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  // {u32 seconds, u32 nanoseconds, u64 system time}
  [XENPF.settime32, operation(({ xen }, { words }) => setTime(xen, words[0], 0, words.subarray(1)))],
  // {u64 seconds, u32 nanoseconds, u32 zero, u64 system time}
  [XENPF.settime64, operation(setTime64)],
  // {u32 register, out u64 frame, out u64 frames, out u32 type}
  [XENPF.read_memtype, operation(readMemoryType)],
  // {u32 cpu, out u32 last cpu, out 24 bytes}
  [XENPF.get_cpu_version, operation(getCpuVersion)],
  // {u32 type, u32 index, ...}
  [XENPF.firmware_info, operation(firmwareInfo)],
  // {u16 control a, u16 control b, u32 state, u32 flags}: there is no state of sleep that its tables name.
  [XENPF.enter_acpi_sleep, badArgument],
  // The frequency of CPUs is not dom0's to choose.
  [XENPF.change_freq, notOffered],
  [XENPF.getidletime, notOffered],
  // {u32 cpu, u32 type, u64 bits*, ...}
  [XENPF.set_processor_pminfo, operation(setProcessorPower)],
  // {u32 cpu, out u32 last cpu, out u32 flags, out u32 apic, out u32 acpi}
  [XENPF.get_cpuinfo, operation(getCpuInfo)],
  // {u32 cpu}
  [XENPF.cpu_online, operation((call, { words }) => (isCpu(call, words[0]) ? 0 : noCpu(call, words[0])))],
  [XENPF.cpu_offline, operation(takeCpuOffline)],
  [XENPF.cpu_hotadd, badArgument],
  [XENPF.mem_hotadd, badArgument],
  [XENPF.core_parking, badArgument],
])

// ---- the clock ----

function setTime64({ xen }: Call, { words }: OperationRequest): number {
  if (words[3] !== 0) return refuse(xen, 'badArgument', { mbz: words[3] })
  return setTime(xen, words[0], words[1], Uint32Array.of(words[2], words[4], words[5]))
}

/** Every domain's clock begins where it must have, so that it shows the time given at a system time. Xen: do_settime(). */
function setTime(
  xen: Call['xen'],
  seconds: number,
  secondsHigh: number,
  [nanoseconds, lo, hi]: Uint32Array,
): number {
  const systemTime = (BigInt(hi) << 32n) | BigInt(lo)
  const given = ((BigInt(secondsHigh) << 32n) | BigInt(seconds)) * NS_PER_SECOND + BigInt(nanoseconds)
  const start = BigInt.asUintN(64, given - systemTime)
  setWallClock(xen, Number(start / NS_PER_SECOND), Number(start % NS_PER_SECOND))
  return 0
}

const NS_PER_SECOND = 1_000_000_000n

// ---- firmware ----

const FIRMWARE = { disk: 1, disk_signature: 2, display: 3, efi: 4, keyboard: 5 } as const

/** A BIOS that has found no disk and no display, and on whose keyboard nobody holds a key. */
function firmwareInfo(call: Call, { words: [type, index], at }: OperationRequest): number {
  const { xen } = call
  if (type < FIRMWARE.disk || type > xen.version.abi.lastFirmwareInfo) {
    return refuse(xen, 'badArgument', { type })
  }
  if (type === FIRMWARE.efi) return refuse(xen, 'notOffered', { type })
  if (type !== FIRMWARE.keyboard || index !== 0) return refuse(xen, 'noFirmware', { type, index })
  return giveWords(call, at + 8, [0])
}

/** Variable ranges of memory types that the CPU has. */
const MEMORY_TYPES = 8
/** Where devices are below 4 GiB, in frames; and the type of what is not cached. */
const HOLE = { first: 0x8_0000, count: 0x8_0000, end: 0x10_0000 } as const
const UNCACHED = 0

/** The first range is the devices', where no RAM is in their place; the others are of no frames. */
function readMemoryType(call: Call, { words: [register], at }: OperationRequest): number {
  const { xen } = call
  if (register >= MEMORY_TYPES) return refuse(xen, 'badArgument', { register })
  const isHole =
    register === 0 && !xen.host.ram.some(({ start, end }) => end > HOLE.first && start < HOLE.end)
  const range = isHole ? HOLE : { first: 0, count: 0 }
  return giveWords(call, at + 8, [range.first, 0, range.count, 0, UNCACHED])
}

// ---- CPUs: as many as dom0 has vCPUs ----

function isCpu({ domain }: Call, cpu: number): boolean {
  return cpu < domain.vcpus.length
}

function noCpu({ xen }: Call, cpu: number): number {
  return refuse(xen, 'badArgument', { cpu })
}

const CPU = { online: 1, invalid: 2 } as const

function getCpuInfo(call: Call, { words: [cpu], at }: OperationRequest): number {
  const last = call.domain.vcpus.length - 1
  // Of one that is not there the numbers stay as they were.
  return isCpu(call, cpu)
    ? giveWords(call, at + 4, [last, CPU.online, cpu, cpu])
    : giveWords(call, at + 4, [last, CPU.invalid])
}

/** Vendor, family, model and stepping, as the CPU says them itself; of one that is not there, zeros. */
function getCpuVersion(call: Call, { words: [cpu], at }: OperationRequest): number {
  const { domain, port } = call
  const version = isCpu(call, cpu) && port.code !== null ? cpuVersion(port.code) : [0, 0, 0, 0, 0, 0]
  return giveWords(call, at + 4, [domain.vcpus.length - 1, ...version])
}

/** Leaf 0 has the vendor's name, leaf 1 the rest: four bits each of stepping, model and family, with more of both above. */
function cpuVersion(code: CodeState): number[] {
  const [, first, third, second] = code.cpuid(0, 0)
  const [eax] = code.cpuid(1, 0)
  const family = (eax >>> 8) & 0xf
  const extended = family === 0xf ? (eax >>> 20) & 0xff : 0
  const model = ((eax >>> 4) & 0xf) | (((eax >>> 16) & 0xf) << 4)
  return [first, second, third, family + extended, model, eax & 0xf]
}

/** The first CPU stays; another could go, and its vCPU with it. */
function takeCpuOffline(call: Call, { words: [cpu] }: OperationRequest): number {
  return isCpu(call, cpu) ? refuse(call.xen, 'lastCpu', { cpu }) : noCpu(call, cpu)
}

/** Types of set_processor_pminfo: what dom0 has read of its tables about sleep and frequencies, which Xen uses, and what it can do. */
const POWER = { cx: 0, px: 1, tx: 2, pdc: 3 } as const
const PDC_REVISION = 1

function setProcessorPower(call: Call, { words: [, type, lo, hi] }: OperationRequest): number {
  const { xen } = call
  switch (type) {
    case POWER.cx:
    case POWER.px:
      return 0
    case POWER.tx:
      return answered(xen, type, ENOSYS)
    case POWER.pdc: {
      // {u32 revision, u32 count, u32 capabilities}: of those nothing is taken away.
      const bits = wordsAt(call, vaOf(lo, hi), 3)
      if (isRefusal(bits)) return bits.errno
      return bits[0] === PDC_REVISION && bits[1] !== 0 ? 0 : refuse(xen, 'badArgument', { type })
    }
    default:
      return refuse(xen, 'badArgument', { type })
  }
}
