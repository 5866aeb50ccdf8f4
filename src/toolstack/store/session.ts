import { createNode, DOM0 } from './access.ts'
import type { StorePermission } from './node.ts'
import { childOf, homeOf } from './path.ts'
import { MOST_PAYLOAD, QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'
import { requestOf, XS } from './requests.ts'
import { DIRECTORIES, SHARED_NODES } from './skeleton.ts'
import { type SavedTransaction, StoreTransaction } from './transaction.ts'
import { type SavedTree, StoreTree, type StoreView } from './tree.ts'
import { type Watch, Watches } from './watches.ts'

/** What a request comes to: a message, and the events of watches that follow it. */
export type Answer = { readonly type: number; readonly payload: string; readonly events: readonly string[] }

/** What `StoreSession.save` gives. */
export type SavedSession = {
  readonly tree: SavedTree
  readonly watches: readonly Watch[]
  readonly nextTransaction: number
  readonly transactions: readonly (readonly [id: number, transaction: SavedTransaction])[]
}

/**
 * The store as one guest has it: its requests, one after the other, with its watches and transactions. Text is bytes, a
 * character each.
 */
export class StoreSession {
  readonly domain: number
  readonly home: string
  readonly tree: StoreTree
  readonly watches: Watches
  private nextTransaction = 1
  private readonly transactions = new Map<number, StoreTransaction>()

  /** @param nodes what the toolstack has written of the domain: values by path, relative to its home */
  constructor(domain: number, nodes: ReadonlyMap<string, string>) {
    this.domain = domain
    this.home = homeOf(domain)
    this.tree = new StoreTree(domain)
    this.watches = new Watches(this.home)
    this.build(nodes)
  }

  /** The tree as the toolstack leaves it: what is dom0's a guest may read, and some nodes are the guest's. */
  private build(nodes: ReadonlyMap<string, string>): void {
    const { tree, home, domain } = this
    const none: StorePermission = { may: 'n', domain: DOM0 }
    const own: StorePermission = { may: 'n', domain }
    tree.set('/', { value: '', permissions: [none], children: [] })
    const write = (path: string, value: string): void => {
      const node = tree.get(path)
      if (node === undefined) createNode(tree, path, DOM0, value)
      else tree.set(path, { ...node, value })
    }
    const permit = (path: string, permissions: readonly StorePermission[]): void => {
      if (tree.get(path) === undefined) write(path, '')
      const node = tree.get(path)
      if (node !== undefined) tree.set(path, { ...node, permissions })
    }
    permit(home, [none, { may: 'r', domain }])
    for (const path of DIRECTORIES) write(childOf(home, path), '')
    for (const [path, value] of nodes) write(childOf(home, path), value)
    for (const path of SHARED_NODES) permit(childOf(home, path), [own])
  }

  save(): SavedSession {
    return {
      tree: this.tree.save(),
      watches: this.watches.save(),
      nextTransaction: this.nextTransaction,
      transactions: [...this.transactions].map(([id, transaction]) => [id, transaction.save()] as const),
    }
  }

  restore({ tree, watches, nextTransaction, transactions }: SavedSession): void {
    this.tree.restore(tree)
    this.watches.restore(watches)
    this.nextTransaction = nextTransaction
    this.transactions.clear()
    for (const [id, saved] of transactions) {
      const transaction = new StoreTransaction(this.tree)
      transaction.restore(saved)
      this.transactions.set(id, transaction)
    }
  }

  /** Carry out a request, whatever is in it. */
  answer(type: number, transaction: number, payload: string): Answer {
    const events: string[] = []
    try {
      const request = requestOf(type)
      if (request === undefined) throw new Refused('ENOSYS')
      if (request.isPrivileged) throw new Refused('EACCES')
      const reply = request.run(
        { session: this, id: request.ignoresTransaction ? 0 : this.checkTransaction(transaction), events },
        payload,
      )
      if (reply.length > MOST_PAYLOAD) throw new Refused('E2BIG')
      return { type, payload: reply, events }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return { type: XS.ERROR, payload: `${error.errno}\0`, events: [] }
    }
  }

  private checkTransaction(id: number): number {
    if (id !== 0 && !this.transactions.has(id)) throw new Refused('ENOENT')
    return id
  }

  /** The store as a transaction sees it; 0 is none. */
  view(id: number): StoreView {
    return this.transactions.get(id) ?? this.tree
  }

  /** Watches are told of a change: at once, or when its transaction ends. One that is about more than one path counts. */
  changed(id: number, path: string, exact: boolean, events: string[]): void {
    const transaction = this.transactions.get(id)
    if (transaction === undefined) events.push(...this.watches.eventsOf(path, exact))
    else transaction.changes.set(path, exact && transaction.changes.get(path) !== false)
  }

  startTransaction(): number {
    if (this.transactions.size >= QUOTA.transactions) throw new Refused('ENOSPC')
    while (this.nextTransaction === 0 || this.transactions.has(this.nextTransaction)) this.countTransaction()
    const id = this.nextTransaction
    this.countTransaction()
    this.transactions.set(id, new StoreTransaction(this.tree))
    return id
  }

  private countTransaction(): void {
    this.nextTransaction = (this.nextTransaction + 1) >>> 0
  }

  /** End a transaction, whatever comes of it. */
  endTransaction(id: number, commits: boolean, events: string[]): void {
    const transaction = this.transactions.get(id)
    if (transaction === undefined) throw new Refused('ENOENT')
    this.transactions.delete(id)
    if (!commits) return
    transaction.commit()
    for (const [path, exact] of transaction.changes) events.push(...this.watches.eventsOf(path, exact))
  }

  /** Forget the guest's watches and transactions. */
  reset(): void {
    this.watches.clear()
    this.transactions.clear()
  }
}
