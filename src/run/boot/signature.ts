import type { KernelStage } from '../../linux/kernel.ts'

/**
 * How boots end, in words that boots which end alike share: the signatures of `bootOutcome` and of `forecastOutcome`.
 */

/** In the `call`th call of init_memory_mapping. */
export function inCall(call: number): string {
  return `call ${call} of init_memory_mapping`
}

/** Between the direct map and the run-time operations. */
export function inStage(stage: KernelStage): string {
  return stage === 'setup_node_bootmem' ? 'in NODE_DATA' : `in ${stage}`
}

/** @param what was to be done, as in `pinning a table (L1)` */
export function refused(what: string, where: string): string {
  return `refused: ${what}, ${where}`
}

export const PINNING = 'pinning a table'
export const GIVING_BACK = 'giving the write permission back'
export const STORING = 'a store to a live table'

/** The guest touched a page that it must not touch. */
export function faulted(where: string): string {
  return `fault: a page that is not there or not writable, ${where}`
}

/** The kernel's own words, without the numbers of this machine. */
export function panicked(message: string): string {
  return `panic: ${message.replace(/\d{2,}/g, 'N')}`
}
