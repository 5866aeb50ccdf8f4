import { xenVersionNames } from '../../xen/versions/version.ts'

/** The version profiles that a script can run under. */
export function xenNames(): string[] {
  return xenVersionNames()
}
