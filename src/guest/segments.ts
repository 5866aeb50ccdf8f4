import { PAGE, vaOf } from '../bits/address.ts'
import type { Cpu } from '../cpu/cpu.ts'
import { type Instruction, type MemoryOperand, NONE, RIP } from '../cpu/instruction.ts'
import { type Vcpu, VECTOR_PF } from '../machine/vcpu.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'

const TWO_48 = 2 ** 48
const RSP = 4
const [ES, SS, DS, FS, GS] = [0, 2, 3, 4, 5]
const LOADED = new Set([ES, SS, DS, FS, GS])

/** The 48-bit address of a memory operand without fs or gs. */
function addressOf(cpu: Cpu, i: Instruction, operand: MemoryOperand): number {
  const low48 = (lo: number, hi: number): number => (hi & 0xffff) * 2 ** 32 + lo
  const of = (register: number): number =>
    register === NONE
      ? 0
      : register === RIP
        ? low48(cpu.ripLow, cpu.ripHigh) + i.length
        : low48(cpu.register(register), cpu.registerHigh(register))
  const sum = of(operand.base) + of(operand.index) * operand.scale + operand.displacement
  return ((sum % TWO_48) + TWO_48) % TWO_48
}

/**
 * A load of a data segment register by mov or pop: Xen looks at the descriptor. False for what is no such thing. What is
 * wrong with the selector is the guest's trap.
 */
export function loadsSegment(cpu: Cpu, xen: Hypervisor, vcpu: Vcpu, i: Instruction): boolean {
  const [to, from] = i.operands
  const isLoad = (i.name === 'mov' || i.name === 'pop') && to?.kind === 'register' && to.class === 'segment'
  if (!isLoad || !LOADED.has(to.number)) return false
  const selector = selectorOf(cpu, xen, vcpu, i, from)
  if (selector === null) return true
  const trap = xen.loadSegment(vcpu, selector)
  if (trap !== null) {
    if (trap.vector === VECTOR_PF) vcpu.faultAddress = trap.va
    xen.deliver(vcpu, trap.vector, trap.error)
    return true
  }
  cpu.setSelector(to.number, selector)
  if (i.name === 'pop') vcpu.setVa(RSP, (vaOf(cpu.register(RSP), cpu.registerHigh(RSP)) + i.size) % TWO_48)
  const next = cpu.ripLow + i.length
  cpu.setRip(next >>> 0, cpu.ripHigh + (next > 0xffff_ffff ? 1 : 0))
  return true
}

/** The selector that is loaded, or null when reading it has faulted. */
function selectorOf(
  cpu: Cpu,
  xen: Hypervisor,
  vcpu: Vcpu,
  i: Instruction,
  from: Instruction['operands'][number],
): number | null {
  if (from?.kind === 'register') return cpu.register(from.number) & 0xffff
  const va =
    from?.kind === 'memory'
      ? addressOf(cpu, i, from)
      : (cpu.registerHigh(RSP) & 0xffff) * 2 ** 32 + cpu.register(RSP)
  let selector = 0
  for (let n = 0; n < 2; n++) {
    const page = vcpu.tryReadable((va + n) % TWO_48)
    if (page === -1) {
      vcpu.faultAddress = (va + n) % TWO_48
      xen.deliver(vcpu, VECTOR_PF, 0)
      return null
    }
    selector |= cpu.bytes[page * 4 + ((va + n) % PAGE)] << (8 * n)
  }
  return selector
}
