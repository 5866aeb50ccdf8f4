import { ENOSYS } from '../../bits/errno.ts'
import { HYPERCALL } from '../abi.ts'
import type { Call } from '../call.ts'
import { answered } from '../refusal.ts'
import { callbackOp, setCallbacks } from './callback-op.ts'
import { consoleIo } from './console-io.ts'
import { getDebugRegister, setDebugRegister } from './debug-registers.ts'
import { eventChannelOp, eventChannelOpCompat } from './event-channel-op.ts'
import { grantTableOp } from './grant-table-op.ts'
import { iret } from './iret.ts'
import { kexecOp } from './kexec-op.ts'
import { machineChecks } from './machine-checks.ts'
import { memoryOp } from './memory-op.ts'
import { mmuUpdate } from './mmu-update.ts'
import { mmuextOp } from './mmuext-op.ts'
import { multicall } from './multicall.ts'
import { physdevOp } from './physdev-op.ts'
import { platformOp } from './platform-op.ts'
import { schedOp, schedOpCompat } from './sched-op.ts'
import { setGdt } from './set-gdt.ts'
import { setTrapTable } from './set-trap-table.ts'
import { fpuTaskswitch, setSegmentBase, stackSwitch } from './stack-switch.ts'
import { updateDescriptor } from './update-descriptor.ts'
import { updateVaMapping, updateVaMappingOtherdomain } from './update-va-mapping.ts'
import { setTimerOp, vcpuOp } from './vcpu-op.ts'
import { vmAssist } from './vm-assist.ts'
import { xenVersionCall } from './xen-version.ts'

/** One hypercall: what it does, and how many argument registers it uses. */
export type Hypercall = {
  readonly arguments: number
  readonly call: (call: Call) => number
  /** It sets rax itself; what `call` returns is not seen. */
  readonly leavesResult?: boolean
}

/** Hypercalls of the toolstack and of device models: nothing is carried out, but answered. */
const ANSWERED: readonly (readonly [number, arguments: number])[] = [
  [HYPERCALL.sysctl, 1],
  [HYPERCALL.domctl, 1],
  [HYPERCALL.xenpmu_op, 2],
  [HYPERCALL.dm_op, 3],
  [HYPERCALL.hypfs_op, 5],
  [HYPERCALL.paging_domctl_cont, 1],
]

function answer(nr: number, { xen, domain }: Call): number {
  const [dom0, domU] = xen.version.abi.calls[nr] ?? [ENOSYS, ENOSYS]
  return answered(xen, nr, domain.privileged ? dom0 : domU)
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
  [HYPERCALL.multicall, { arguments: 2, call: (call) => multicall(call, hypercallOf), leavesResult: true }],
  [HYPERCALL.update_va_mapping, { arguments: 3, call: updateVaMapping }],
  [HYPERCALL.xen_version, { arguments: 2, call: xenVersionCall }],
  [HYPERCALL.console_io, { arguments: 3, call: consoleIo }],
  [HYPERCALL.vm_assist, { arguments: 2, call: vmAssist }],
  [HYPERCALL.update_va_mapping_otherdomain, { arguments: 4, call: updateVaMappingOtherdomain }],
  [HYPERCALL.iret, { arguments: 0, call: iret, leavesResult: true }],
  [HYPERCALL.set_segment_base, { arguments: 2, call: setSegmentBase }],
  [HYPERCALL.sched_op, { arguments: 2, call: schedOp }],
  [HYPERCALL.callback_op, { arguments: 2, call: callbackOp }],
  [HYPERCALL.event_channel_op, { arguments: 2, call: eventChannelOp }],
  [HYPERCALL.event_channel_op_compat, { arguments: 1, call: eventChannelOpCompat }],
  [HYPERCALL.sched_op_compat, { arguments: 2, call: schedOpCompat }],
  [HYPERCALL.set_timer_op, { arguments: 1, call: setTimerOp }],
  [HYPERCALL.set_debugreg, { arguments: 2, call: setDebugRegister }],
  [HYPERCALL.get_debugreg, { arguments: 1, call: getDebugRegister, leavesResult: true }],
  [HYPERCALL.grant_table_op, { arguments: 3, call: grantTableOp }],
  [HYPERCALL.vcpu_op, { arguments: 3, call: vcpuOp }],
  [HYPERCALL.physdev_op, { arguments: 2, call: physdevOp }],
  [HYPERCALL.platform_op, { arguments: 1, call: platformOp }],
  [HYPERCALL.kexec_op, { arguments: 2, call: kexecOp }],
  [HYPERCALL.mca, { arguments: 1, call: machineChecks }],
  [HYPERCALL.mmuext_op, { arguments: 4, call: mmuextOp }],
  ...ANSWERED.map(([nr, count]): readonly [number, Hypercall] => [
    nr,
    { arguments: count, call: (call) => answer(nr, call) },
  ]),
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
