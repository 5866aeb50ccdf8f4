import {
  CALLBACK,
  EVTCHNOP,
  GNTTABOP,
  HYPERCALL,
  KEXEC,
  MCA,
  MEMORY_OP,
  MMU,
  MMUEXT,
  PHYSDEV_OP,
  SCHED_OP,
  VCPUOP,
  VIRQ,
  VM_ASSIST,
  XENPF,
  XENVER,
} from '../../src/xen/abi.ts'

type Names = (n: number) => string

function namesOf(table: Readonly<Record<string, number>>): Names {
  const names = new Map(Object.entries(table).map(([name, n]) => [n, name]))
  return (n) => names.get(n) ?? String(n)
}

/** Commands of the other ABI of event channels, FIFO, which the machine does not have: Xen's public/event_channel.h. */
const FIFO = { init_control: 11, expand_array: 12, set_priority: 13 } as const

/** Words for the numbers of the interface, by their tables in abi.ts; a number that is in none is its own word. */
export const WORDS = {
  hypercall: namesOf(HYPERCALL),
  mmu: namesOf(MMU),
  mmuext: namesOf(MMUEXT),
  memory: namesOf(MEMORY_OP),
  version: namesOf(XENVER),
  assist: namesOf(VM_ASSIST),
  vcpu: namesOf(VCPUOP),
  sched: namesOf(SCHED_OP),
  callback: namesOf(CALLBACK),
  port: namesOf({ ...EVTCHNOP, ...FIFO }),
  virq: namesOf({ ...VIRQ, ARCH_0: 16 }),
  physdev: namesOf(PHYSDEV_OP),
  platform: namesOf(XENPF),
  grant: namesOf(GNTTABOP),
  machineCheck: namesOf(MCA),
  kexec: namesOf(KEXEC),
} as const
