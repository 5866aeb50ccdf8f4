import { PAGE, vaHigh, vaOf } from '../../bits/address.ts'
import type { Instruction, Operand } from '../../machine/vcpu/instruction.ts'
import type { Call } from '../call.ts'
import { newBaseptr } from '../mm/roots.ts'
import { CR0, CR4, TASK_SWITCHED } from './control-registers.ts'
import { type Core, stepOver } from './core.ts'
import { aliased, storeDebugRegister } from './debug-registers.ts'
import { hasOwnLevel } from './exceptions.ts'
import { isGranted, readPort, writePort } from './io-ports.ts'
import { readMsr, writeMsr } from './msr.ts'

/**
 * Instructions that ring 0 would need, and that Xen carries out for a guest's kernel when they fault. What is not here,
 * and all of it in a process, is the guest's #GP. Xen: pv_emulate_privileged_op().
 */
type Emulation = (call: Call, core: Core, i: Instruction) => boolean

const [RAX, RCX, RDX] = [0, 1, 2]

/** Carry out a privileged instruction at rip. False: it is the guest's general protection fault. */
export function emulatePrivileged(call: Call, core: Core, i: Instruction): boolean {
  const emulation = EMULATIONS[i.name]
  call.xen.current = call.vcpu
  return emulation?.(call, core, i) === true && stepOver(core, i.length)
}

/** Whether the guest's I/O privilege level lets it use ports and the interrupt flag: a kernel is level 1, or 0 where it says. */
function hasPorts({ domain, vcpu, port }: Call): boolean {
  if (!port.kernelMode) return vcpu.iopl >= 3
  return hasOwnLevel(domain) || vcpu.iopl >= 1
}

/** cli and sti: the flag is Xen's and stays; the guest masks events in its vcpu_info. */
const interruptFlag: Emulation = (call) => hasPorts(call)

/** The port of an `in` or `out`: a byte of the instruction, or dx. */
function portOf(core: Core, operand: Operand): number {
  return operand.kind === 'immediate' ? operand.lo & 0xff : core.register(RDX) & 0xffff
}

const input: Emulation = (call, core, i) => {
  const [{ size }, from] = i.operands
  const port = portOf(core, from)
  if (!hasPorts(call) && !isGranted(call, port, size)) return false
  const value = readPort(call, port, size)
  // A dword clears what is above it, as all of them do; smaller ones leave the rest of rax as it was.
  if (size === 4) core.setRegister(RAX, value, 0)
  else {
    const mask = 2 ** (8 * size) - 1
    core.setRegister(RAX, ((core.register(RAX) & ~mask) | value) >>> 0, core.registerHigh(RAX))
  }
  return true
}

const output: Emulation = (call, core, i) => {
  const [to, { size }] = i.operands
  const port = portOf(core, to)
  if (!hasPorts(call) && !isGranted(call, port, size)) return false
  writePort(call, port, size, core.register(RAX))
  return true
}

/** What is emulated of a kernel only. */
function inKernel(emulation: Emulation): Emulation {
  return (call, core, i) => call.port.kernelMode && emulation(call, core, i)
}

const clearTaskSwitched: Emulation = (_call, core) => {
  core.fpuTraps = false
  return true
}

/** Caches need no flush. */
const nothing: Emulation = () => true

const readModelSpecific: Emulation = (call, core) => {
  const value = readMsr(call, core, core.register(RCX))
  if (value === null) return false
  core.setRegister(RAX, value[0], 0)
  core.setRegister(RDX, value[1], 0)
  return true
}

const writeModelSpecific: Emulation = (call, core) =>
  writeMsr(call, core, core.register(RCX), core.register(RAX), core.register(RDX))

// ---- control and debug registers ----

const isSpecial = (o: Operand | undefined, kind: 'control' | 'debug'): boolean =>
  o?.kind === 'register' && o.class === kind

const moveSpecial: Emulation = (call, core, i) => {
  const [to, from] = i.operands
  if (to.kind !== 'register' || from.kind !== 'register') return false
  if (isSpecial(from, 'control')) {
    const value = readControl(call, core, from.number)
    if (value === null) return false
    core.setRegister(to.number, ...value)
    return true
  }
  const [lo, hi] = [core.register(from.number), core.registerHigh(from.number)]
  if (isSpecial(to, 'control')) return writeControl(call, core, to.number, lo, hi)
  if (isSpecial(from, 'debug')) {
    if (from.number > 7) return false
    core.setRegister(to.number, ...core.debugRegister(aliased(from.number)))
    return true
  }
  return isSpecial(to, 'debug') && storeDebugRegister(call.xen, call.port, to.number, lo, hi) === 0
}

function readControl({ port }: Call, core: Core, n: number): readonly [number, number] | null {
  switch (n) {
    case 0:
      return [(CR0 | (core.fpuTraps ? TASK_SWITCHED : 0)) >>> 0, 0]
    case 2:
      return [port.faultAddress >>> 0, vaHigh(port.faultAddress)]
    case 3: {
      const root = port.root * PAGE
      return [root >>> 0, Math.floor(root / 2 ** 32)]
    }
    case 4:
      return [CR4, 0]
    default:
      return null
  }
}

function writeControl(call: Call, core: Core, n: number, lo: number, hi: number): boolean {
  switch (n) {
    case 0:
      // Of cr0 only TS may change.
      if (((lo ^ CR0) & ~TASK_SWITCHED) !== 0) return false
      core.fpuTraps = (lo & TASK_SWITCHED) !== 0
      return true
    case 2: {
      const va = vaOf(lo, hi)
      call.port.faultAddress = va === -1 ? 0 : va
      return true
    }
    case 3:
      return newBaseptr(call, Math.floor((hi * 2 ** 32 + lo) / PAGE)) === 0
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
