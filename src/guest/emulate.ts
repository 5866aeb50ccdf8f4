import { PAGE, vaHigh, vaOf } from '../bits/address.ts'
import type { Cpu } from '../cpu/cpu.ts'
import type { Instruction, Operand } from '../cpu/decode/instruction.ts'
import type { Vcpu } from '../machine/vcpu/vcpu.ts'
import { newBaseptr } from '../xen/hypercalls/mmuext-op.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { CR0, CR4, TASK_SWITCHED } from '../xen/pv/control-registers.ts'
import { storeDebugRegister } from '../xen/pv/debug-registers.ts'
import { hasOwnLevel } from '../xen/pv/exceptions.ts'
import type { PvVcpu } from '../xen/pv-vcpu.ts'
import { readMsr, writeMsr } from './msr.ts'

/**
 * Instructions that ring 0 would need, and that Xen carries out for a guest's kernel when they fault. What is not here,
 * and all of it in a process, is the guest's #GP. Xen: pv_emulate_privileged_op().
 */
type Emulation = (at: Place, i: Instruction) => boolean
type Place = {
  readonly cpu: Cpu
  readonly xen: Hypervisor
  readonly vcpu: Vcpu
  readonly pv: PvVcpu
}

const [RAX, RCX, RDX] = [0, 1, 2]

/** Carry out a privileged instruction at rip. False: it is the guest's general protection fault. */
export function emulatePrivileged(cpu: Cpu, xen: Hypervisor, vcpu: Vcpu, i: Instruction): boolean {
  const pv = xen.vcpuOf(vcpu)
  const emulation = EMULATIONS[i.name]
  xen.current = pv
  if (emulation === undefined || !emulation({ cpu, xen, vcpu, pv }, i)) return false
  const next = cpu.ripLow + i.length
  cpu.setRip(next >>> 0, cpu.ripHigh + (next > 0xffff_ffff ? 1 : 0))
  return true
}

/** Whether the guest's I/O privilege level lets it use ports and the interrupt flag: a kernel is level 1, or 0 where it says. */
function hasPorts({ pv, vcpu }: Place): boolean {
  if (!vcpu.kernelMode) return pv.iopl >= 3
  return hasOwnLevel(pv.domain) || pv.iopl >= 1
}

/** cli and sti: the flag is Xen's and stays; the guest masks events in its vcpu_info. */
const interruptFlag: Emulation = (at) => hasPorts(at)

/** A port that no device answers at reads as ones, and forgets what is written. */
const input: Emulation = (at, i) => {
  if (!hasPorts(at)) return false
  const { cpu } = at
  if (i.size === 1) cpu.setRegister(RAX, (cpu.register(RAX) | 0xff) >>> 0, cpu.registerHigh(RAX))
  else if (i.size === 2) cpu.setRegister(RAX, (cpu.register(RAX) | 0xffff) >>> 0, cpu.registerHigh(RAX))
  else cpu.setRegister(RAX, 0xffff_ffff, 0)
  return true
}
const output: Emulation = (at) => hasPorts(at)

/** What is emulated of a kernel only. */
function inKernel(emulation: Emulation): Emulation {
  return (at, i) => at.vcpu.kernelMode && emulation(at, i)
}

const clearTaskSwitched: Emulation = ({ cpu }) => {
  cpu.fpuTraps = false
  return true
}

/** Caches need no flush. */
const nothing: Emulation = () => true

const readModelSpecific: Emulation = ({ cpu, xen, pv }) => {
  const value = readMsr(xen, pv, cpu, cpu.register(RCX))
  if (value === null) return false
  cpu.setRegister(RAX, value[0], 0)
  cpu.setRegister(RDX, value[1], 0)
  return true
}

const writeModelSpecific: Emulation = ({ cpu, xen, pv }) =>
  writeMsr(xen, pv, cpu, cpu.register(RCX), cpu.register(RAX), cpu.register(RDX))

// ---- control and debug registers ----

const isSpecial = (o: Operand | undefined, kind: 'control' | 'debug'): boolean =>
  o?.kind === 'register' && o.class === kind

const moveSpecial: Emulation = (at, i) => {
  const [to, from] = i.operands
  if (to.kind !== 'register' || from.kind !== 'register') return false
  const { cpu } = at
  if (isSpecial(from, 'control')) {
    const value = readControl(at, from.number)
    if (value === null) return false
    cpu.setRegister(to.number, ...value)
    return true
  }
  const [lo, hi] = [cpu.register(from.number), cpu.registerHigh(from.number)]
  if (isSpecial(to, 'control')) return writeControl(at, to.number, lo, hi)
  if (isSpecial(from, 'debug')) {
    if (from.number > 7) return false
    cpu.setRegister(to.number, ...cpu.debugRegister(aliased(from.number)))
    return true
  }
  return isSpecial(to, 'debug') && storeDebugRegister(at.xen, at.vcpu, to.number, lo, hi) === 0
}

/** dr4 and dr5 are other names of dr6 and dr7. */
function aliased(n: number): number {
  return n === 4 || n === 5 ? n + 2 : n
}

function readControl({ cpu, vcpu }: Place, n: number): readonly [number, number] | null {
  switch (n) {
    case 0:
      return [(CR0 | (cpu.fpuTraps ? TASK_SWITCHED : 0)) >>> 0, 0]
    case 2:
      return [vcpu.faultAddress >>> 0, vaHigh(vcpu.faultAddress)]
    case 3: {
      const root = vcpu.root * PAGE
      return [root >>> 0, Math.floor(root / 2 ** 32)]
    }
    case 4:
      return [CR4, 0]
    default:
      return null
  }
}

function writeControl(at: Place, n: number, lo: number, hi: number): boolean {
  const { cpu, xen, vcpu } = at
  switch (n) {
    case 0:
      // Of cr0 only TS may change.
      if (((lo ^ CR0) & ~TASK_SWITCHED) !== 0) return false
      cpu.fpuTraps = (lo & TASK_SWITCHED) !== 0
      return true
    case 2: {
      const va = vaOf(lo, hi)
      vcpu.faultAddress = va === -1 ? 0 : va
      return true
    }
    case 3:
      return newBaseptr(xen.callOf(vcpu), Math.floor((hi * 2 ** 32 + lo) / PAGE)) === 0
    case 4:
      return true
    default:
      return false
  }
}

const EMULATIONS: Readonly<Record<string, Emulation>> = {
  cli: interruptFlag,
  sti: interruptFlag,
  in: input,
  out: output,
  clts: inKernel(clearTaskSwitched),
  wbinvd: inKernel(nothing),
  rdmsr: inKernel(readModelSpecific),
  wrmsr: inKernel(writeModelSpecific),
  mov: inKernel(moveSpecial),
}
