import { vaOf } from '../../bits/address.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { type Core, type CpuidValues, stepOver } from './core.ts'

/** `ud2; .ascii "xen"; cpuid`: how a PV guest asks for what Xen answers, where the CPU would answer by itself. */
const SEQUENCE = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2]

const FIRST_LEAF = 0x4000_0000
const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3]

/** Leaf 1, edx and leaf 80000001, edx: what of the page tables and the boot of a machine a PV guest does not have. */
const VIRTUAL_8086 = 1 << 1
const LARGE_PAGES = 1 << 3
const GLOBAL_PAGES = 1 << 13
const NOT_FOR_GUESTS = VIRTUAL_8086 | LARGE_PAGES | GLOBAL_PAGES
/** And what it is told of although the core does not say so: the APIC, which is Xen's, and MMX. */
const APIC = 1 << 9
const TOLD = APIC | (1 << 23)
/** Leaf 1, ecx: this is a virtual machine. */
const HYPERVISOR = 2 ** 31

function text(value: string): number {
  return [...value].reduceRight((word, c) => (word << 8) | c.charCodeAt(0), 0) >>> 0
}

/** Xen's own leaves: its name, and that it has the hypercalls of its version. Others are the core's. */
function leaf(xen: Hypervisor, core: Core, eax: number, ecx: number): readonly number[] {
  if (eax > FIRST_LEAF + xen.version.abi.lastCpuidLeaf) return core.cpuid(eax, ecx)
  switch (eax - FIRST_LEAF) {
    case 0:
      return [FIRST_LEAF + xen.version.abi.lastCpuidLeaf, text('XenV'), text('MMXe'), text('nVMM')]
    case 1:
      return [xen.version.abi.version, 0, 0, 0]
    case 2:
      // One hypercall page, the MSR that asks for it, and MMU_PT_UPDATE_PRESERVE_AD.
      return [1, FIRST_LEAF, 1, 0]
    case 3:
    case 4:
      return [0, 0, 0, 0]
    case 5:
      // How many bits the machine's highest address has.
      return [0, Math.ceil(Math.log2(xen.maxPage)) + 12, 0, 0]
    default:
      return core.cpuid(eax, ecx)
  }
}

/**
 * Whether a dom0 must not be told of an APIC: on a board without ACPI nothing tells Linux to use Xen's, and it would wait for
 * ever for the registers of one that is not there.
 */
export function hidesApic({ board }: Hypervisor, domain: Domain): boolean {
  return domain.privileged && board !== null && !board.hasAcpi
}

/** What cpuid answers in a PV guest, made from what the core would say; with or without the bit of the APIC. */
export function guestCpuid(
  core: (leaf: number, subleaf: number) => CpuidValues,
  isApicHidden = false,
): (leaf: number, subleaf: number) => CpuidValues {
  return (eax, ecx) => {
    const [a, b, c, d] = core(eax, ecx)
    const features = (d & ~NOT_FOR_GUESTS) | TOLD
    if (eax === 1) return [a, b, (c | HYPERVISOR) >>> 0, isApicHidden ? features & ~APIC : features]
    return eax === 0x8000_0001 ? [a, b, c, features] : [a, b, c, d]
  }
}

/** Carry out a forced cpuid at rip; false when there is none. */
export function forcedCpuid({ xen, port }: Call, core: Core): boolean {
  const va = vaOf(core.ripLow, core.ripHigh)
  for (const [i, byte] of SEQUENCE.entries()) {
    const page = port.tryReadable(va + i)
    if (page === -1 || xen.memory.u8[page * 4 + ((va + i) % 0x1000)] !== byte) return false
  }
  const values = leaf(xen, core, core.register(RAX), core.register(RCX))
  for (const [i, register] of [RAX, RBX, RCX, RDX].entries()) core.setRegister(register, values[i], 0)
  return stepOver(core, SEQUENCE.length)
}
