import type { StoreNode } from './node.ts'

/** The nodes of the store by absolute path, as they are, or as a transaction sees them. */
export interface StoreView {
  get(path: string): StoreNode | undefined
  set(path: string, node: StoreNode): void
  delete(path: string): void
  /** How many of them are the guest's own. */
  readonly owned: number
  /** A number that changes whenever the node does; 0 of one that is not there. */
  generation(path: string): number
}

/** What `StoreTree.save` gives. */
export type SavedTree = {
  readonly nodes: readonly (readonly [path: string, node: StoreNode, generation: number])[]
  readonly next: number
}

/** The store itself. */
export class StoreTree implements StoreView {
  private readonly nodes = new Map<string, { readonly node: StoreNode; readonly generation: number }>()
  private readonly guest: number
  private next = 1
  owned = 0

  /** @param guest the domain whose nodes are counted */
  constructor(guest: number) {
    this.guest = guest
  }

  save(): SavedTree {
    const nodes = [...this.nodes].map(([path, { node, generation }]) => [path, node, generation] as const)
    return { nodes, next: this.next }
  }

  restore({ nodes, next }: SavedTree): void {
    this.nodes.clear()
    this.owned = 0
    for (const [path, node, generation] of nodes) {
      this.nodes.set(path, { node, generation })
      this.owned += this.owns(node)
    }
    this.next = next
  }

  get(path: string): StoreNode | undefined {
    return this.nodes.get(path)?.node
  }

  generation(path: string): number {
    return this.nodes.get(path)?.generation ?? 0
  }

  set(path: string, node: StoreNode): void {
    this.owned += this.owns(node) - this.owns(this.get(path))
    this.nodes.set(path, { node, generation: this.next++ })
  }

  delete(path: string): void {
    this.owned -= this.owns(this.get(path))
    this.nodes.delete(path)
  }

  /** 1 for a node of the guest's, else 0. */
  owns(node: StoreNode | undefined): number {
    return node?.permissions[0].domain === this.guest ? 1 : 0
  }
}
