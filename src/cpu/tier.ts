/**
 * How a core executes its guest: every instruction by the interpreter, or hot code as regions that are compiled to
 * WebAssembly.
 */
export const TIERS = ['interpreter', 'region'] as const
export type Tier = (typeof TIERS)[number]
