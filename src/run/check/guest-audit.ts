import { type KernelOutcome, KernelRun, type KernelSpec } from '../kernel/kernel-boot.ts'
import { auditMachine } from './audit.ts'

/** What a guest's run came to, and everything that is wrong with the machine after it: nothing, whatever the guest did. */
export type GuestAudit = {
  /** Null when its instructions were used up. */
  readonly outcome: KernelOutcome | null
  readonly instructions: number
  readonly wrong: readonly string[]
}

/**
 * Run a guest, hostile or not, and then count everything on its machine again: references, types and safety.
 *
 * @param instructions the most that it may execute
 * @throws BadInput for what cannot be booted
 */
export function auditGuest(spec: KernelSpec, instructions: number): GuestAudit {
  const run = new KernelRun(spec, { keepsConsole: false })
  const { guest, xen } = run.machine
  // It sleeps as long as it likes, and is over when nothing will wake it.
  guest.whenIdle = 'skip'
  while (guest.cpu.instructions < instructions) {
    if (run.step(instructions - guest.cpu.instructions) !== 'running') break
  }
  return { outcome: run.outcome, instructions: guest.cpu.instructions, wrong: auditMachine(xen) }
}
