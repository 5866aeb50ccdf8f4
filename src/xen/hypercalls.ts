import { vaOf } from '../bits/address.ts'
import { EFAULT, EINVAL, ENOSYS, EPERM } from '../bits/errno.ts'
import { ARGUMENTS, RAX, type Vcpu } from '../machine/vcpu.ts'
import { HYPERCALL } from './abi.ts'
import { arg32, argVa } from './arguments.ts'
import { callbackOp, setCallbacks } from './callback-op.ts'
import type { Domain } from './domain.ts'
import { copyByteFromGuest, copyFromGuest, copyToGuest, isGuestRange } from './guest-copy.ts'
import type { Hypervisor } from './hypervisor.ts'
import { iret } from './iret.ts'
import { memoryOp } from './memory-op.ts'
import { mmuUpdate } from './mmu-update.ts'
import { mmuextOp } from './mmuext-op.ts'
import { physdevOp, schedOp } from './sched-op.ts'
import { setGdt } from './set-gdt.ts'
import { fpuTaskswitch, setSegmentBase, stackSwitch } from './stack-switch.ts'
import { ASSIST_M2P_STRICT } from './tables.ts'
import { updateDescriptor } from './update-descriptor.ts'
import { updateVaMapping, updateVaMappingOtherdomain } from './update-va-mapping.ts'

/** One hypercall: what it does, and how many argument registers it uses. */
export type Hypercall = {
  readonly arguments: number
  readonly call: (xen: Hypervisor, caller: Domain, vcpu: Vcpu) => number
  /** It sets rax itself; what `call` returns is not seen. */
  readonly leavesResult?: boolean
}

/** {u8 vector, u8 flags, u16 cs, u64 address} each, ended by an address of 0: do_set_trap_table(). */
function setTrapTable(_xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const array = argVa(vcpu, 0)
  if (array === 0) {
    caller.traps.clear()
    return 0
  }
  const entry = new Uint32Array(4)
  for (let i = 0; ; i++) {
    if (!copyFromGuest(vcpu, array + i * 16, entry, 4)) return EFAULT
    if (entry[2] === 0 && entry[3] === 0) return 0
    const address = vaOf(entry[2], entry[3])
    if (address === -1) return EINVAL
    // Ring 0 is Xen's: a guest's selectors get ring 3.
    const cs = (entry[0] >>> 16) | 3
    caller.traps.set(entry[0] & 0xff, { flags: (entry[0] >>> 8) & 0xff, cs, address })
  }
}

/** console_io(command, count, buffer): write to, or read from, Xen's own console. */
function consoleIo(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [command, count, buffer] = [arg32(vcpu, 0), arg32(vcpu, 1), argVa(vcpu, 2)]
  if (caller.id !== 0 && !xen.version.consoleForAll) return EPERM
  // There is never anything to read.
  if (command === 1) return 0
  if (command !== 0) return ENOSYS
  for (let i = 0; i < count; i++) {
    const byte = copyByteFromGuest(vcpu, buffer + i)
    if (byte === -1) return EFAULT
    if (byte === 10) {
      xen.console.guest(caller.consoleLine)
      caller.consoleLine = ''
    } else caller.consoleLine += String.fromCharCode(byte)
  }
  return count
}

/** vm_assist(command, type): switch a convenience of Xen on or off. */
function vmAssist(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [command, type] = [arg32(vcpu, 0), arg32(vcpu, 1)]
  const known = xen.version.messages === 'seed' ? [0, 1, 2, 3] : [0, 1, 2, 3, 4, 5, 32]
  if (!known.includes(type)) return EINVAL
  if (command > 1) return ENOSYS
  // m2p_strict has bit 32, which a number's bit operations do not reach; it has a bit of its own here.
  const bit = type === 32 ? ASSIST_M2P_STRICT : 1 << type
  caller.assist = command === 0 ? caller.assist | bit : caller.assist & ~bit
  return 0
}

/** multicall(entries, count): hypercalls of {u64 number, u64 result, u64 arguments[6]}, each result written back. */
function multicall(xen: Hypervisor, caller: Domain, vcpu: Vcpu): number {
  const [array, count] = [argVa(vcpu, 0), arg32(vcpu, 1)]
  if (xen.inMulticall) {
    xen.log('multicallReentry')
    return EINVAL
  }
  if (!isGuestRange(array, count * 64)) return EFAULT
  const saved = vcpu.regs.slice()
  xen.inMulticall = true
  try {
    const entry = new Uint32Array(16)
    for (let i = 0; i < count; i++) {
      if (!copyFromGuest(vcpu, array + i * 64, entry, 16)) return EFAULT
      for (let a = 0; a < ARGUMENTS.length; a++) vcpu.set(ARGUMENTS[a], entry[4 + a * 2], entry[5 + a * 2])
      const handler = hypercallOf(entry[0], entry[1])
      const rc = handler === undefined ? ENOSYS : handler.call(xen, caller, vcpu)
      vcpu.setNumber(RAX, rc)
      if (!copyToGuest(vcpu, array + i * 64 + 8, [vcpu.regs[RAX * 2], vcpu.regs[RAX * 2 + 1]], 2))
        return EFAULT
    }
    return 0
  } finally {
    xen.inMulticall = false
    vcpu.regs.set(saved)
  }
}

/** xen_version(command, argument*): only the number itself, as guests of the time need it. */
function xenVersionCall(xen: Hypervisor, _caller: Domain, vcpu: Vcpu): number {
  if (arg32(vcpu, 0) !== 0) return ENOSYS
  return xen.version.messages === 'seed' ? 0x40002 : 0x40011
}

/** The hypercalls by number. */
const TABLE: readonly (readonly [number, Hypercall])[] = [
  [HYPERCALL.set_trap_table, { arguments: 1, call: setTrapTable }],
  [HYPERCALL.mmu_update, { arguments: 4, call: mmuUpdate }],
  [HYPERCALL.set_gdt, { arguments: 2, call: setGdt }],
  [HYPERCALL.stack_switch, { arguments: 2, call: stackSwitch }],
  [HYPERCALL.set_callbacks, { arguments: 3, call: setCallbacks }],
  [HYPERCALL.fpu_taskswitch, { arguments: 1, call: fpuTaskswitch }],
  [HYPERCALL.update_descriptor, { arguments: 2, call: updateDescriptor }],
  [HYPERCALL.memory_op, { arguments: 2, call: memoryOp }],
  [HYPERCALL.multicall, { arguments: 2, call: multicall }],
  [HYPERCALL.update_va_mapping, { arguments: 3, call: updateVaMapping }],
  [HYPERCALL.xen_version, { arguments: 2, call: xenVersionCall }],
  [HYPERCALL.console_io, { arguments: 3, call: consoleIo }],
  [HYPERCALL.vm_assist, { arguments: 2, call: vmAssist }],
  [HYPERCALL.update_va_mapping_otherdomain, { arguments: 4, call: updateVaMappingOtherdomain }],
  [HYPERCALL.iret, { arguments: 0, call: iret, leavesResult: true }],
  [HYPERCALL.set_segment_base, { arguments: 2, call: setSegmentBase }],
  [HYPERCALL.sched_op, { arguments: 2, call: schedOp }],
  [HYPERCALL.callback_op, { arguments: 2, call: callbackOp }],
  // There are no event channels yet.
  [HYPERCALL.event_channel_op, { arguments: 2, call: () => ENOSYS }],
  [HYPERCALL.physdev_op, { arguments: 2, call: physdevOp }],
  [HYPERCALL.mmuext_op, { arguments: 4, call: mmuextOp }],
]

/** The hypercalls by number; there are none beyond its end, and holes in it. */
const BY_NUMBER: (Hypercall | undefined)[] = Array.from(
  { length: 64 },
  (_, nr) => TABLE.find(([n]) => n === nr)?.[1],
)

/** The hypercall of a number in two halves, or undefined. */
export function hypercallOf(lo: number, hi: number): Hypercall | undefined {
  return hi === 0 && lo < BY_NUMBER.length ? BY_NUMBER[lo] : undefined
}
