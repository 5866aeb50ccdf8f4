import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What is not the repository's own, such as logs that others have published, and more recordings than it has:
 * $XENOLITH_SHARED, or `shared` beside the repository. Null where there is none; tests then skip what needs it and say so
 * in a line.
 */
export function sharedData(...path: string[]): string | null {
  const root = process.env.XENOLITH_SHARED ?? join(import.meta.dirname, '..', '..', '..', 'shared')
  const file = join(root, 'data', ...path)
  return existsSync(file) ? file : null
}
