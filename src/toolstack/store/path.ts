import { QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'

/** Paths of the store: absolute ones, or relative to a domain's home. Xen: canonicalize(), is_valid_nodename(). */

/** Where a domain has what is its own. */
export function homeOf(domain: number): string {
  return `/local/domain/${domain}`
}

/** The node that a guest names. Its characters are letters, digits and - / _ @. */
export function absolutePath(path: string, home: string): string {
  const whole = path.startsWith('/') || path.startsWith('@') ? path : `${home}/${path}`
  if (!isPath(whole)) throw new Refused('EINVAL')
  return whole
}

function isPath(path: string): boolean {
  if (!/^\/[-\w/@]*$/.test(path) || path.includes('//')) return false
  if (path.length > 1 && path.endsWith('/')) return false
  const home = /^\/local\/domain\/\d{1,5}\//.exec(path)
  return path.length <= (home?.[0].length ?? 0) + QUOTA.path
}

/** The path of the node above; the root's is the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}

/** The last name of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** The path of a child; only the root ends with a slash. */
export function childOf(path: string, name: string): string {
  return path === '/' ? `/${name}` : `${path}/${name}`
}

/** Whether a path is the same as another, or below it. */
export function isWithin(path: string, above: string): boolean {
  return above === '/' || path === above || path.startsWith(`${above}/`)
}
