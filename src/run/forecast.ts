import type { BootOptions } from './boot.ts'
import type { Outcome } from './outcome.ts'

export function forecastOutcome(_options: BootOptions): Outcome | null {
  return null
}
