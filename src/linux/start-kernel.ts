import { REGION, vaOf } from '../bits/address.ts'
import { entryHi, entryLo } from '../bits/pte.ts'
import { GuestTrap, RSI, type Vcpu, VECTOR_PF } from '../machine/vcpu/vcpu.ts'
import { SIF, START_INFO } from '../xen/abi.ts'
import type { Generation } from './generation.ts'
import { consoleWrite, updateVaMapping } from './hypercalls.ts'
import { bug, type Kernel, type KernelTrace, newKernel, panic, printk } from './kernel.ts'
import { setupArch } from './setup-arch.ts'
import { directVa } from './symbols.ts'
import { xenSetupKernelPagetable } from './tables/kernel-pagetable.ts'
import { PAGE_KERNEL } from './tables/pgtable.ts'

/** What the model has beside its vCPU: which kernel it is, and who listens. */
export type LinuxOptions = {
  readonly generation: Generation
  /** Bytes of the image from 16 MiB on. */
  readonly kernelEnd: number
  readonly trace: KernelTrace | null
  readonly log: (line: string) => void
}

/** The kernel, as far as it is known before it runs: from the start info that Xen left at rsi. */
export function readStartInfo(vcpu: Vcpu, options: LinuxOptions): Kernel {
  const info = vaOf(vcpu.regs[RSI * 2], vcpu.regs[RSI * 2 + 1])
  const number = (offset: number): number => {
    const lo = vcpu.load64(info + offset)
    return vcpu.hi * 0x1_0000_0000 + lo
  }
  const physical = (offset: number): number => {
    const lo = vcpu.load64(info + offset)
    const va = vaOf(lo, vcpu.hi)
    return va === 0 ? 0 : va - REGION.kernelMap
  }
  let commandLine = ''
  for (let i = 0; i < START_INFO.cmd_line_bytes; i++) {
    const byte = vcpu.load8(info + START_INFO.cmd_line + i)
    if (byte === 0) break
    commandLine += String.fromCharCode(byte)
  }
  return newKernel({
    vcpu,
    ...options,
    commandLine,
    dom0: (vcpu.load32(info + START_INFO.flags) & SIF.INITDOMAIN) !== 0,
    nrPages: number(START_INFO.nr_pages),
    mfnList: physical(START_INFO.mfn_list),
    ptBase: physical(START_INFO.pt_base),
    nrPtFrames: number(START_INFO.nr_pt_frames),
    initrd: { start: physical(START_INFO.mod_start), bytes: number(START_INFO.mod_len) },
  })
}

/**
 * xen_start_kernel() and what follows, until the early page tables are done and the run-time operations are installed.
 * Throws what ends a boot earlier: DomainCrash, or KernelPanic.
 */
export function startKernel(kernel: Kernel): void {
  try {
    say(kernel, 'mapping kernel into physical memory')
    xenSetupKernelPagetable(kernel)
    if (kernel.dom0) setupIsaIdentityMaps(kernel)
    say(kernel, 'about to get started...')
    setupArch(kernel)
  } catch (trap) {
    if (trap instanceof GuestTrap && trap.vector === VECTOR_PF) oops(kernel, trap.error)
    throw trap
  }
}

/** xen_raw_console_write(): straight to Xen's console, before there is any other. */
function say(kernel: Kernel, line: string): void {
  consoleWrite(kernel.vcpu, `${line}\n`)
}

/** xen_ident_map_ISA(): dom0 sees the machine's own [640 KiB, 1 MiB) at the same place of its direct map. */
function setupIsaIdentityMaps(kernel: Kernel): void {
  say(kernel, 'Xen: setup ISA identity maps')
  for (let frame = 0xa0; frame < 0x100; frame++) {
    const lo = entryLo(frame, PAGE_KERNEL.lo)
    const hi = entryHi(frame, PAGE_KERNEL.hi)
    if (updateVaMapping(kernel.vcpu, directVa(frame * 4096), lo, hi) !== 0)
      bug(kernel.vcpu, 'xen_ident_map_ISA')
  }
}

/**
 * The kernel's own handler of a page fault. It reads cr2 from a structure that Xen does not fill until the shared page is
 * mapped, so early faults of PV kernels all claim to be null pointers, as the consoles of real ones do. The error code is
 * the CPU's: 3 says that the page was there and the store was not allowed.
 */
function oops(kernel: Kernel, errorCode: number): never {
  printk(kernel, 'BUG: unable to handle kernel NULL pointer dereference at           (null)')
  printk(kernel, `Oops: ${errorCode.toString(16).padStart(4, '0')} [#1] SMP `)
  panic(kernel, 'Attempted to kill the idle task!')
}
