import { bytesOf, OWN, READ, rightsOf, type StoreNode, type StorePermission, WRITE } from './node.ts'
import { childOf, nameOf, parentOf } from './path.ts'
import { QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'
import type { StoreView } from './tree.ts'

/** What a domain may find, make, change and remove. Xen: get_node(), construct_node(), create_node(), rm_node(). */

/**
 * The node at a path, if the domain may do what it wants with it. A domain that may not even do that to the nearest node
 * above is not told whether there is one.
 *
 * @param wants bits: READ, WRITE, OWN
 */
export function findNode(view: StoreView, path: string, domain: number, wants: number): StoreNode {
  const node = view.get(path)
  if (node !== undefined && (rightsOf(node, domain) & wants) === wants) return node
  const above = nearest(view, path)
  const mayKnow = above !== undefined && (rightsOf(above, domain) & wants) !== 0
  throw new Refused(mayKnow && node === undefined ? 'ENOENT' : 'EACCES')
}

/** The nearest node above a path. */
function nearest(view: StoreView, path: string): StoreNode | undefined {
  for (let above = path; above !== '/'; ) {
    above = parentOf(above)
    const node = view.get(above)
    if (node !== undefined) return node
  }
  return undefined
}

/** Whether a node is there that the domain may write. One that it may make is none yet; what it may not know is refused. */
export function isWritable(view: StoreView, path: string, domain: number): boolean {
  try {
    findNode(view, path, domain, WRITE)
    return true
  } catch (error) {
    if (error instanceof Refused && error.errno === 'ENOENT') return false
    throw error
  }
}

/** Make a node, and those above it that are missing: their rights are those of the one that is there, the owner is new. */
export function createNode(view: StoreView, path: string, domain: number, value: string): void {
  const missing = [path]
  let above = parentOf(path)
  for (; view.get(above) === undefined; above = parentOf(above)) {
    if (above === '/') throw new Refused('ENOENT')
    missing.unshift(above)
  }
  const parent = view.get(above) as StoreNode
  const permissions = [{ may: parent.permissions[0].may, domain }, ...parent.permissions.slice(1)]
  const isGuest = domain !== DOM0
  if (isGuest && view.owned + missing.length > QUOTA.nodes) throw new Refused('ENOSPC')
  const made = missing.map((at, i): readonly [string, StoreNode] => {
    const children = i + 1 < missing.length ? [nameOf(missing[i + 1])] : []
    return [at, { value: at === path ? value : '', permissions, children }]
  })
  const changed = [
    [above, { ...parent, children: [...parent.children, nameOf(missing[0])] }] as const,
    ...made,
  ]
  if (isGuest) for (const [, node] of changed) checkSize(node)
  for (const [at, node] of changed) view.set(at, node)
}

/** The toolstack's domain, which has no quotas. */
export const DOM0 = 0

function checkSize(node: StoreNode): void {
  if (bytesOf(node) >= QUOTA.nodeBytes) throw new Refused('ENOSPC')
}

/** Give a node that the domain may write another value. */
export function changeValue(view: StoreView, path: string, domain: number, value: string): void {
  const node = { ...findNode(view, path, domain, WRITE), value }
  checkSize(node)
  view.set(path, node)
}

/** Give a node that the domain owns other rights; the owner stays. */
export function changePermissions(
  view: StoreView,
  path: string,
  domain: number,
  permissions: readonly StorePermission[],
): void {
  const old = findNode(view, path, domain, WRITE | OWN)
  if (permissions[0].domain !== old.permissions[0].domain) throw new Refused('EPERM')
  const node = { ...old, permissions }
  checkSize(node)
  view.set(path, node)
}

/**
 * Remove a node and everything below it, whoever owns that. Returns the paths, the lowest first, with what the domain may do
 * with each, which is what decides whether its watches are told.
 */
export function removeNode(
  view: StoreView,
  path: string,
  domain: number,
): { readonly path: string; readonly isReadable: boolean }[] {
  if (path === '/') throw new Refused('EINVAL')
  const removed: { path: string; isReadable: boolean }[] = []
  const visit = (at: string, mayReadAbove: boolean): void => {
    const node = view.get(at)
    if (node === undefined) return
    const mayRead = (rightsOf(node, domain) & READ) !== 0
    for (const name of node.children) visit(childOf(at, name), mayRead)
    removed.push({ path: at, isReadable: mayRead || mayReadAbove })
    view.delete(at)
  }
  visit(path, isReadable(view, parentOf(path), domain))
  const above = parentOf(path)
  const parent = view.get(above)
  if (parent !== undefined) {
    view.set(above, { ...parent, children: parent.children.filter((name) => name !== nameOf(path)) })
  }
  return removed
}

/** Whether the domain may read a node. */
export function isReadable(view: StoreView, path: string, domain: number): boolean {
  const node = view.get(path)
  return node !== undefined && (rightsOf(node, domain) & READ) !== 0
}
