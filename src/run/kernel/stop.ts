import type { KernelOutcome } from './kernel-boot.ts'

export { StopFlag } from '../../machine/stop-flag.ts'

/** What a run that is stopped from another thread comes to, by the reason given with the request. */
export const STOP_OUTCOMES = ['interrupted', 'wall-limit'] as const satisfies readonly KernelOutcome[]
