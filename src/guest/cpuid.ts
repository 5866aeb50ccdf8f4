import { vaOf } from '../bits/address.ts'
import type { Cpu } from '../cpu/cpu.ts'
import type { Vcpu } from '../machine/vcpu.ts'

/** `ud2; .ascii "xen"; cpuid`: how a PV guest asks for what Xen answers, where the CPU would answer by itself. */
const SEQUENCE = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2]

const FIRST_LEAF = 0x4000_0000
const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3]

function text(value: string): number {
  return [...value].reduceRight((word, c) => (word << 8) | c.charCodeAt(0), 0) >>> 0
}

/** Xen's own leaves: its name, and that it has the hypercalls of its version. Others are the core's. */
function leaf(cpu: Cpu, eax: number, ecx: number): readonly number[] {
  switch (eax - FIRST_LEAF) {
    case 0:
      return [FIRST_LEAF + 2, text('XenV'), text('MMXe'), text('nVMM')]
    case 1:
      return [0x4_0011, 0, 0, 0]
    case 2:
      // One hypercall page, the MSR that asks for it, and MMU_PT_UPDATE_PRESERVE_AD.
      return [1, FIRST_LEAF, 1, 0]
    default:
      return cpu.cpuid(eax, ecx)
  }
}

/** Carry out a forced cpuid at rip; false when there is none. */
export function forcedCpuid(cpu: Cpu, vcpu: Vcpu): boolean {
  const va = vaOf(cpu.ripLow, cpu.ripHigh)
  for (const [i, byte] of SEQUENCE.entries()) {
    const page = vcpu.tryReadable(va + i)
    if (page === -1 || cpu.bytes[page * 4 + ((va + i) % 0x1000)] !== byte) return false
  }
  const values = leaf(cpu, cpu.register(RAX), cpu.register(RCX))
  for (const [i, register] of [RAX, RBX, RCX, RDX].entries()) cpu.setRegister(register, values[i], 0)
  const next = cpu.ripLow + SEQUENCE.length
  cpu.setRip(next >>> 0, cpu.ripHigh + (next > 0xffff_ffff ? 1 : 0))
  return true
}
