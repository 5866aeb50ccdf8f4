import { vaHigh, vaOf } from '../bits/address.ts'
import { Cpu, type Exit } from '../cpu/cpu.ts'
import { PF_USER } from '../machine/mmu.ts'
import { DomainCrash, GuestTrap, type Vcpu, VECTOR_GP, VECTOR_PF, VECTOR_UD } from '../machine/vcpu.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { forcedCpuid } from './cpuid.ts'
import { loadsSegment } from './segments.ts'

/** How a run of a guest ended: its budget is used up, or its domain is no more. */
export type GuestEnd = 'budget' | 'crash' | 'shutdown' | 'stopped'

/** Instructions after which a run looks whether its owner wants it to go on. */
const SLICE = 1_000_000

const [CS, SS] = [1, 2]
/** The flat selectors that Xen starts a guest with, as 64-bit code and as data. */
const FLAT_CS = 0xe033
const FLAT_SS = 0xe02b

/**
 * A PV guest's vCPU that executes code: the core on one side, Xen on the other. The core's general registers are the
 * vCPU's; what the core reports goes to Xen, and where Xen enters the guest is where the core goes on.
 */
export class Guest {
  readonly cpu: Cpu
  private readonly xen: Hypervisor
  private readonly domain: Domain
  private readonly vcpu: Vcpu
  /** Called after every hypercall; the guest stops when it says so. */
  afterHypercall: () => boolean = () => true

  /** @param entry where the guest begins, a 48-bit address */
  constructor(xen: Hypervisor, vcpu: Vcpu, entry: number) {
    this.xen = xen
    this.vcpu = vcpu
    this.domain = xen.domainOf(vcpu)
    this.cpu = new Cpu(xen.memory, { id: this.domain.vcpus.indexOf(vcpu) })
    this.adoptRegisters()
    this.cpu.setRip(entry >>> 0, vaHigh(entry))
    this.cpu.setSelector(CS, FLAT_CS)
    this.cpu.setSelector(SS, FLAT_SS)
    this.cpu.port.onPageFault = (va, error, store) => xen.pageFault(vcpu, va, error, store)
    // The machine whose recordings judge this one is QEMU's.
    this.cpu.port.readsFirst = true
    vcpu.code = this.cpu
    vcpu.tlb.follower = {
      flush: () => this.cpu.tlb.flush(),
      flushPage: (va) => this.cpu.tlb.flushPage(va >>> 0, vaHigh(va)),
      flushEntry: (entryAt) => this.cpu.tlb.flushEntry(entryAt),
    }
  }

  /** One set of general registers for both: what one writes, the other reads. */
  private adoptRegisters(): void {
    const { cpu, vcpu } = this
    const registers = cpu.words.subarray(cpu.state >> 2, (cpu.state >> 2) + 32)
    registers.set(vcpu.regs)
    vcpu.regs = registers
  }

  /** Execute at most `budget` instructions of the guest. */
  run(budget: number): GuestEnd {
    try {
      for (let left = budget; left > 0; ) {
        const before = this.cpu.instructions
        this.cpu.port.root = this.vcpu.root
        const exit = this.cpu.run(Math.min(left, SLICE))
        if (!this.handle(exit)) return 'stopped'
        // A fault that leads to itself executes nothing, but it must not go on for ever.
        left -= Math.max(1, this.cpu.instructions - before)
      }
      return 'budget'
    } catch (error) {
      if (!(error instanceof DomainCrash)) throw error
      return this.domain.shutdown === null ? 'crash' : 'shutdown'
    }
  }

  /** What the core could not do by itself; false to stop. */
  private handle(exit: Exit): boolean {
    switch (exit.reason) {
      case 'syscall':
        this.trapping(() => this.xen.hypercall(this.vcpu))
        return this.afterHypercall()
      case 'exception':
        this.exception(exit.vector, exit.error, exit.va)
        return true
      case 'segment':
        if (!loadsSegment(this.cpu, this.xen, this.vcpu, exit.instruction)) this.deliver(VECTOR_GP, 0)
        return true
      case 'privileged':
        // Of the instructions that Xen emulates for a kernel none is needed before a guest is Linux.
        this.deliver(VECTOR_GP, 0)
        return true
      default:
        return true
    }
  }

  private exception(vector: number, error: number, va: number): void {
    if (vector === VECTOR_UD && forcedCpuid(this.cpu, this.vcpu)) return
    if (vector === VECTOR_PF) {
      this.vcpu.faultAddress = va
      // The CPU knows ring 3 only; the guest is told whether it was a process.
      this.deliver(vector, this.vcpu.kernelMode ? error & ~PF_USER : error)
    } else {
      this.deliver(vector, error)
    }
  }

  private deliver(vector: number, error: number): void {
    this.xen.deliver(this.vcpu, vector, error)
  }

  /** Xen throws a trap that it has given to the guest, for the drivers that have no code: here it only goes on. */
  private trapping(call: () => void): void {
    try {
      call()
    } catch (error) {
      if (!(error instanceof GuestTrap)) throw error
    }
  }

  /** rip, as a 48-bit address. */
  get rip(): number {
    return vaOf(this.cpu.ripLow, this.cpu.ripHigh)
  }
}
