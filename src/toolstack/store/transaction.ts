import type { StoreNode } from './node.ts'
import { QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'
import type { StoreTree, StoreView } from './tree.ts'

/** A node that a transaction has looked at: which one it saw, and what it has made of it; null for none. */
type Accessed = { readonly seen: number; now: StoreNode | null; isChanged: boolean }

/** What `StoreTransaction.save` gives. */
export type SavedTransaction = {
  readonly accessed: readonly (readonly [path: string, accessed: Readonly<Accessed>])[]
  readonly changes: readonly (readonly [path: string, exact: boolean])[]
  readonly hasFailed: boolean
}

/**
 * The store as one transaction sees it. What it changes is its own until it ends; then all of it comes to be, or nothing,
 * when a node that it has looked at is not the same any more. Xen: access_node(), finalize_transaction().
 */
export class StoreTransaction implements StoreView {
  /** What watches are to be told of when it ends: paths, and whether only watches of just that path are. */
  readonly changes = new Map<string, boolean>()
  private readonly tree: StoreTree
  private readonly accessed = new Map<string, Accessed>()
  private hasFailed = false

  constructor(tree: StoreTree) {
    this.tree = tree
  }

  save(): SavedTransaction {
    const accessed = [...this.accessed].map(([path, entry]) => [path, { ...entry }] as const)
    return { accessed, changes: [...this.changes], hasFailed: this.hasFailed }
  }

  restore({ accessed, changes, hasFailed }: SavedTransaction): void {
    for (const [path, entry] of accessed) this.accessed.set(path, { ...entry })
    for (const [path, exact] of changes) this.changes.set(path, exact)
    this.hasFailed = hasFailed
  }

  get owned(): number {
    let { owned } = this.tree
    for (const [path, { now, isChanged }] of this.accessed) {
      if (isChanged) owned += this.tree.owns(now ?? undefined) - this.tree.owns(this.tree.get(path))
    }
    return owned
  }

  generation(path: string): number {
    return this.access(path).seen
  }

  get(path: string): StoreNode | undefined {
    return this.access(path).now ?? undefined
  }

  set(path: string, node: StoreNode): void {
    this.change(path, node)
  }

  delete(path: string): void {
    this.change(path, null)
  }

  private change(path: string, node: StoreNode | null): void {
    const entry = this.access(path)
    entry.now = node
    entry.isChanged = true
  }

  private access(path: string): Accessed {
    let entry = this.accessed.get(path)
    if (entry === undefined) {
      if (this.accessed.size >= QUOTA.transactionNodes) {
        this.hasFailed = true
        throw new Refused('ENOSPC')
      }
      entry = { seen: this.tree.generation(path), now: this.tree.get(path) ?? null, isChanged: false }
      this.accessed.set(path, entry)
    }
    return entry
  }

  /** Make its changes the store's. Throws Refused when that cannot be; then nothing has changed. */
  commit(): void {
    if (this.hasFailed) throw new Refused('ENOMEM')
    for (const [path, { seen }] of this.accessed) {
      if (this.tree.generation(path) !== seen) throw new Refused('EAGAIN')
    }
    if (this.owned > Math.max(QUOTA.nodes, this.tree.owned)) throw new Refused('ENOSPC')
    for (const [path, { now, isChanged }] of this.accessed) {
      if (!isChanged) continue
      if (now === null) this.tree.delete(path)
      else this.tree.set(path, now)
    }
  }
}
