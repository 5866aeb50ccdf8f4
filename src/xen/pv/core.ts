import type { CodeState } from '../../machine/vcpu/vcpu.ts'

/** What cpuid gives. */
export type CpuidValues = ReturnType<CodeState['cpuid']>

/**
 * The processor that a guest's code runs on, as far as Xen carries out instructions for it. Which one that is Xen does not
 * know; numbers of registers are the CPU's.
 */
export type Core = CodeState & {
  /** The low half of a general register; `registerHigh` is the other. */
  register(n: number): number
  registerHigh(n: number): number
  setRegister(n: number, lo: number, hi: number): void
  /** The time stamp counter, in ticks. */
  readonly tsc: number
}

/** rip behind the instruction of so many bytes that has been carried out. True, for those who say so by that. */
export function stepOver(core: CodeState, bytes: number): true {
  const next = core.ripLow + bytes
  core.setRip(next >>> 0, core.ripHigh + (next > 0xffff_ffff ? 1 : 0))
  return true
}
