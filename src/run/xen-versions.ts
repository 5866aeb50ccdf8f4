import { DEFAULT_XEN, versionFor, xenVersionNames } from '../xen/versions/index.ts'
import type { Release } from '../xen/versions/version.ts'

/** The versions of Xen, for rooms that choose one and show its name. */
export { DEFAULT_XEN, type Release }

/** What `--xen` takes. */
export function xenNames(): string[] {
  return xenVersionNames()
}

/** The version that stands for a release and its build, and whether it leaves out what the memory code has to say. */
export function xenFor(release: Release, build: 'debug' | 'release'): { name: string; silent: boolean } {
  const { name, messages } = versionFor(release, build)
  return { name, silent: messages.build === 'release' }
}
