import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The folder of recordings that is too large for the repository: $XENOLITH_SHARED, or `shared` beside the repository.
 * Null where there is none; tests then skip what needs it and say so in a line.
 */
export function sharedData(...path: string[]): string | null {
  const root = process.env.XENOLITH_SHARED ?? join(import.meta.dirname, '..', '..', '..', 'shared')
  const file = join(root, 'data', ...path)
  return existsSync(file) ? file : null
}
