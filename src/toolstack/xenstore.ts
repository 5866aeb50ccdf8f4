import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { bindBackend, setPending } from '../xen/sched/event-channels.ts'

/**
 * xenstore, as far as a guest without devices needs it: a tree of small values that it reads, writes and watches, over a
 * page with a ring for each direction. Xen: docs/misc/xenstore.txt, public/io/xs_wire.h.
 *
 *     0 requests, 1024 bytes | 1024 replies, 1024 bytes | 2048 req_cons, req_prod, rsp_cons, rsp_prod
 *     a message: u32 type, request id, transaction id, length; then its bytes
 */
const REQUESTS = { at: 0, consumer: 2048, producer: 2052 } as const
const REPLIES = { at: 1024, consumer: 2056, producer: 2060 } as const
const RING_BYTES = 1024
const HEADER_BYTES = 16
const MAX_PAYLOAD = 4096
/** What one guest may have: xenstored's quotas. */
const MOST = { nodes: 1000, valueBytes: 2048, watches: 128, transactions: 10 } as const

/** Message types. */
const XS = {
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESET_WATCHES: 19,
} as const

/** A request that cannot be: the name of the error goes into the reply. */
class Refused extends Error {}

/** The tree: values by absolute path. A node exists when it or something below it has a value. */
export class StoreTree {
  readonly values = new Map<string, string>()

  has(path: string): boolean {
    return this.values.has(path) || this.children(path).length > 0
  }

  read(path: string): string {
    const value = this.values.get(path)
    if (value !== undefined) return value
    if (!this.has(path)) throw new Refused('ENOENT')
    return ''
  }

  /** Names of the nodes directly below, in the order of the alphabet. */
  children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`
    const names = new Set<string>()
    for (const other of this.values.keys()) {
      if (other.startsWith(prefix) && other.length > prefix.length) {
        names.add(other.slice(prefix.length).split('/', 1)[0])
      }
    }
    return [...names].sort()
  }

  remove(path: string): void {
    for (const other of [...this.values.keys()]) {
      if (other === path || other.startsWith(`${path}/`)) this.values.delete(other)
    }
  }
}

type Watch = { path: string; token: string; given: string }

/** What `Xenstore.save` gives. */
export type SavedXenstore = {
  readonly values: readonly (readonly [path: string, value: string])[]
  readonly watches: readonly Watch[]
  readonly nextTransaction: number
  readonly transactions: readonly number[]
  readonly incoming: readonly number[]
  readonly outgoing: readonly number[]
}

/** xenstored's end of a domU's ring. */
export class Xenstore {
  /** The port of the guest's end. */
  readonly port: number
  readonly tree = new StoreTree()
  private readonly xen: Hypervisor
  private readonly domain: Domain
  private readonly mfn: number
  private readonly home: string
  private watches: Watch[] = []
  private nextTransaction = 1
  private readonly transactions = new Set<number>()
  /** Bytes of requests that are not complete yet, and of replies for which there was no room. */
  private incoming: number[] = []
  private outgoing: number[] = []

  /**
   * @param mfn the ring's page
   * @param nodes what the toolstack has written of the domain: values by path, relative to its home
   */
  constructor(xen: Hypervisor, domain: Domain, mfn: number, nodes: ReadonlyMap<string, string>) {
    this.xen = xen
    this.domain = domain
    this.mfn = mfn
    this.home = `/local/domain/${domain.id}`
    for (const [path, value] of nodes) this.tree.values.set(this.absolute(path), value)
    this.port = bindBackend(domain, () => this.serve())
  }

  /** The tree, and what is under way. */
  save(): SavedXenstore {
    return {
      values: [...this.tree.values],
      watches: this.watches.map((watch) => ({ ...watch })),
      nextTransaction: this.nextTransaction,
      transactions: [...this.transactions],
      incoming: [...this.incoming],
      outgoing: [...this.outgoing],
    }
  }

  restore(saved: SavedXenstore): void {
    this.tree.values.clear()
    for (const [path, value] of saved.values) this.tree.values.set(path, value)
    this.watches = saved.watches.map((watch) => ({ ...watch }))
    this.nextTransaction = saved.nextTransaction
    this.transactions.clear()
    for (const id of saved.transactions) this.transactions.add(id)
    this.incoming = [...saved.incoming]
    this.outgoing = [...saved.outgoing]
  }

  private absolute(path: string): string {
    const whole = path.startsWith('/') ? path : `${this.home}/${path}`
    const isFine = /^[-\w@/:+.]{1,3072}$/.test(whole) && !whole.includes('//')
    if (!isFine || (whole.length > 1 && whole.endsWith('/'))) throw new Refused('EINVAL')
    return whole
  }

  /** Take the requests that are complete, answer them, and tell the guest. */
  serve(): void {
    let isChanged = this.giveReplies()
    // A guest that does not take its replies has no more requests answered.
    while (this.outgoing.length === 0) {
      isChanged = this.takeRequests() || isChanged
      if (!this.answerNext()) break
      this.giveReplies()
      isChanged = true
    }
    if (isChanged) setPending(this.xen, this.domain, this.port)
  }

  /** Answer the first request that is complete. False when there is none. */
  private answerNext(): boolean {
    if (this.incoming.length < HEADER_BYTES) return false
    const header = new Uint32Array(new Uint8Array(this.incoming.slice(0, HEADER_BYTES)).buffer)
    const [type, id, transaction, length] = header
    // The guest's next bytes are anything: there is nobody to talk to any more.
    if (length > MAX_PAYLOAD) {
      this.incoming = []
      return false
    }
    if (this.incoming.length < HEADER_BYTES + length) return false
    const payload = Buffer.from(this.incoming.slice(HEADER_BYTES, HEADER_BYTES + length)).toString('latin1')
    this.incoming.splice(0, HEADER_BYTES + length)
    this.answer(type, id, transaction, payload)
    return true
  }

  private answer(type: number, id: number, transaction: number, payload: string): void {
    const events: string[] = []
    try {
      if (transaction !== 0 && !this.transactions.has(transaction)) throw new Refused('ENOENT')
      const reply = this.perform(type, transaction, payload, events)
      this.send(type, id, transaction, reply)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.send(XS.ERROR, id, transaction, `${error.message}\0`)
    }
    for (const event of events) this.send(XS.WATCH_EVENT, 0, 0, event)
  }

  /** Carry out a request. Transactions are never in each other's way: there is one guest, and it sees its own changes. */
  private perform(type: number, transaction: number, payload: string, events: string[]): string {
    const parts = payload.split('\0')
    const first = parts[0]
    const path = (): string => {
      if (!payload.includes('\0')) throw new Refused('EINVAL')
      return this.absolute(first)
    }
    switch (type) {
      case XS.DIRECTORY: {
        const at = path()
        if (!this.tree.has(at)) throw new Refused('ENOENT')
        return this.tree
          .children(at)
          .map((name) => `${name}\0`)
          .join('')
      }
      case XS.READ:
        return this.tree.read(path())
      case XS.GET_PERMS:
        this.tree.read(path())
        return `n${this.domain.id}\0`
      case XS.WRITE: {
        const at = this.ownPath(path())
        const value = payload.slice(first.length + 1)
        if (value.length > MOST.valueBytes) throw new Refused('ENOSPC')
        this.makeRoom(at)
        this.tree.values.set(at, value)
        this.changed(at, events)
        return OK
      }
      case XS.MKDIR: {
        const at = this.ownPath(path())
        if (!this.tree.has(at)) {
          this.makeRoom(at)
          this.tree.values.set(at, '')
          this.changed(at, events)
        }
        return OK
      }
      case XS.RM: {
        const at = this.ownPath(path())
        if (!this.tree.has(at)) throw new Refused('ENOENT')
        this.tree.remove(at)
        this.changed(at, events)
        return OK
      }
      case XS.SET_PERMS:
        this.tree.read(this.ownPath(path()))
        return OK
      case XS.WATCH: {
        if (parts.length < 3) throw new Refused('EINVAL')
        const at = first.startsWith('@') ? first : path()
        if (this.watches.some((w) => w.path === at && w.token === parts[1])) throw new Refused('EEXIST')
        if (this.watches.length >= MOST.watches) throw new Refused('E2BIG')
        this.watches.push({ path: at, token: parts[1], given: first })
        // Every watch goes off once when it is set.
        events.push(`${first}\0${parts[1]}\0`)
        return OK
      }
      case XS.UNWATCH: {
        const at = first.startsWith('@') ? first : path()
        const left = this.watches.filter((w) => w.path !== at || w.token !== parts[1])
        if (left.length === this.watches.length) throw new Refused('ENOENT')
        this.watches = left
        return OK
      }
      case XS.RESET_WATCHES:
        this.watches = []
        this.transactions.clear()
        return OK
      case XS.TRANSACTION_START: {
        if (transaction !== 0) throw new Refused('EBUSY')
        if (this.transactions.size >= MOST.transactions) throw new Refused('ENOSPC')
        const number = this.nextTransaction++
        this.transactions.add(number)
        return `${number}\0`
      }
      case XS.TRANSACTION_END:
        if (!this.transactions.delete(transaction)) throw new Refused('ENOENT')
        return OK
      case XS.GET_DOMAIN_PATH:
        return `/local/domain/${Number.parseInt(first, 10)}\0`
      case XS.IS_DOMAIN_INTRODUCED:
        return `${Number.parseInt(first, 10) === this.domain.id ? 'T' : 'F'}\0`
      default:
        throw new Refused('ENOSYS')
    }
  }

  /** Whether there may be one node more. */
  private makeRoom(path: string): void {
    if (!this.tree.values.has(path) && this.tree.values.size >= MOST.nodes) throw new Refused('ENOSPC')
  }

  /** A guest changes nothing but what is its own. */
  private ownPath(path: string): string {
    if (path !== this.home && !path.startsWith(`${this.home}/`)) throw new Refused('EACCES')
    return path
  }

  /** Events for the watches at a path and above it. A watch that was set with a relative path tells relative ones. */
  private changed(path: string, events: string[]): void {
    for (const { path: watched, token, given } of this.watches) {
      if (path !== watched && !path.startsWith(`${watched}/`)) continue
      const isRelative = !given.startsWith('/')
      const told = isRelative ? path.slice(this.home.length + 1) : path
      events.push(`${told}\0${token}\0`)
    }
  }

  private send(type: number, id: number, transaction: number, text: string): void {
    const payload = text.length > MAX_PAYLOAD ? 'E2BIG\0' : text
    const kind = payload === text ? type : XS.ERROR
    const header = new Uint8Array(new Uint32Array([kind, id, transaction, payload.length]).buffer)
    this.outgoing.push(...header, ...Buffer.from(payload, 'latin1'))
  }

  private takeRequests(): boolean {
    const { u8, u32 } = this.xen.memory
    const page = this.xen.memory.frameWords(this.mfn)
    const consumer = u32[page + REQUESTS.consumer / 4]
    const producer = u32[page + REQUESTS.producer / 4]
    const count = Math.min((producer - consumer) >>> 0, RING_BYTES)
    for (let i = 0; i < count; i++) {
      this.incoming.push(u8[page * 4 + REQUESTS.at + ((consumer + i) & (RING_BYTES - 1))])
    }
    u32[page + REQUESTS.consumer / 4] = producer
    return count > 0
  }

  private giveReplies(): boolean {
    const { u8, u32 } = this.xen.memory
    const page = this.xen.memory.frameWords(this.mfn)
    const producer = u32[page + REPLIES.producer / 4]
    const used = (producer - u32[page + REPLIES.consumer / 4]) >>> 0
    const count = Math.min(RING_BYTES - Math.min(used, RING_BYTES), this.outgoing.length)
    for (let i = 0; i < count; i++) {
      u8[page * 4 + REPLIES.at + ((producer + i) & (RING_BYTES - 1))] = this.outgoing[i]
    }
    this.outgoing.splice(0, count)
    u32[page + REPLIES.producer / 4] = producer + count
    return count > 0
  }
}

const OK = 'OK\0'
