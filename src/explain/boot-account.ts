import type { BootResult } from '../run/boot.ts'

/** What happened in a boot and why, in plain lines. */
export function accountOf(_result: BootResult): string[] {
  throw new Error('accountOf() is not built yet')
}
