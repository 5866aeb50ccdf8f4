/**
 * How boots end, in words that boots which end alike share: the signatures of `bootOutcome` and of `forecastOutcome`.
 */

/** In the `call`th call of init_memory_mapping. */
export function inCall(call: number): string {
  return `call ${call} of init_memory_mapping`
}

export const IN_NODE_DATA = 'in NODE_DATA'

/** @param what was to be done, as in `pinning a table (L1)` */
export function refused(what: string, where: string): string {
  return `refused: ${what}, ${where}`
}

export const PINNING = 'pinning a table'
export const STORING = 'a store to a live table'

/** The guest touched a page that it must not touch. */
export function faulted(where: string): string {
  return `fault: a page that is not there or not writable, ${where}`
}

/** The kernel's own words, without the numbers of this machine. */
export function panicked(message: string): string {
  return `panic: ${message.replace(/\d{2,}/g, 'N')}`
}
