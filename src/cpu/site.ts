import type { Instruction } from '../machine/vcpu/instruction.ts'

/**
 * An instruction where it is executed. Assists, exits, faults and the forgetting of decoded code ask for it, and know
 * nothing of who executes it, or from what.
 */
export type Site = {
  readonly instruction: Instruction
  /** Number, in the machine's memory, of the page that its first byte lies in, and where there. */
  readonly page: number
  readonly offset: number
}
