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
  port: namesOf(EVTCHNOP),
  virq: namesOf(VIRQ),
  physdev: namesOf(PHYSDEV_OP),
  platform: namesOf(XENPF),
  grant: namesOf(GNTTABOP),
  machineCheck: namesOf(MCA),
  kexec: namesOf(KEXEC),
} as const
