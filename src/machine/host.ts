import type { Vcpu } from './vcpu/vcpu.ts'

/** What a vCPU and the hypervisor under it have between them: registers, exceptions, and the host's side of the port. */

/** General registers in the CPU's numbering. */
export const RAX = 0
export const RCX = 1
export const RDX = 2
export const RBX = 3
export const RSP = 4
export const RBP = 5
export const RSI = 6
export const RDI = 7
export const R8 = 8
export const R10 = 10
export const R11 = 11

/** The registers that carry a hypercall's arguments, first to fifth: Xen's public/arch-x86/xen-x86_64.h. */
export const ARGUMENTS = [RDI, RSI, RDX, R10, R8] as const

/** A store that faulted, as the emulator of page-table writes sees it. */
export type FaultingStore = {
  readonly va: number
  readonly bytes: 1 | 2 | 4 | 8 | 16
  /** The value to store; for 16 bytes only the low half. */
  readonly lo: number
  readonly hi: number
  /** For a compare-and-exchange: what memory must hold for the store to happen. */
  readonly expected?: { readonly lo: number; readonly hi: number }
}

/**
 * What a vCPU has besides general registers where it executes code. A model of a kernel has none of it: it is entered by
 * calls and returns.
 */
export type CodeState = {
  readonly ripLow: number
  readonly ripHigh: number
  setRip(lo: number, hi: number): void
  getFlags(): number
  setFlags(flags: number): void
  /** Selector of a segment register, in the CPU's numbering: es, cs, ss, ds, fs, gs. */
  selector(n: number): number
  setSelector(n: number, value: number): void
  /** Base of fs or gs, two halves. */
  segmentBase(which: 'fs' | 'gs'): readonly [lo: number, hi: number]
  setSegmentBase(which: 'fs' | 'gs', lo: number, hi: number): void
  /** Whether the next use of the FPU raises #NM: the TS flag of cr0. */
  fpuTraps: boolean
  /** dr0 to dr7, two halves. */
  debugRegister(n: number): readonly [lo: number, hi: number]
  setDebugRegister(n: number, lo: number, hi: number): void
  /** What cpuid gives: eax, ebx, ecx, edx. */
  cpuid(leaf: number, subleaf: number): readonly [eax: number, ebx: number, ecx: number, edx: number]
}

/** An exception for the guest: its vector, its error code and, of a page fault, the address. */
export type Trap = { readonly vector: number; readonly error: number; readonly va: number }

/** The hypervisor under a vCPU. The machine knows it only by this. */
export type Host = {
  /**
   * SYSCALL. In kernel mode carry out the hypercall whose number is in rax and whose arguments are in `ARGUMENTS`, and
   * leave the result in rax; in user mode enter the guest's kernel.
   */
  hypercall(vcpu: Vcpu): void
  /**
   * The CPU raised a page fault. `emulated`: the store was carried out for the guest; `retry`: the cause is gone, access
   * again; `deliver`: it is the guest's.
   */
  pageFault(
    vcpu: Vcpu,
    va: number,
    error: number,
    store: FaultingStore | undefined,
  ): 'emulated' | 'retry' | 'deliver'
  /** Give the guest an exception: push the frame its handler expects. Throws DomainCrash when the guest cannot take it. */
  deliver(vcpu: Vcpu, vector: number, error: number): void
  /** The CPU reads the descriptor of a selector (16 bits); the trap that this ends in, or null. */
  loadSegment(vcpu: Vcpu, selector: number): Trap | null
}

/** The guest's domain is dead; nothing of the guest runs after this. */
export class DomainCrash extends Error {
  override name = 'DomainCrash'
}

/** An exception was delivered to the guest: its handler now runs. What a driver catches where its guest has a handler. */
export class GuestTrap extends Error {
  override name = 'GuestTrap'
  readonly vector: number
  readonly error: number
  readonly va: number
  constructor(vector: number, error: number, va: number) {
    super(`trap ${vector}`)
    this.vector = vector
    this.error = error
    this.va = va
  }
}

export const VECTOR_UD = 6
export const VECTOR_NP = 11
export const VECTOR_GP = 13
export const VECTOR_PF = 14
