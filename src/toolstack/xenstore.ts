import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { bindBackend, sendFromBackend } from '../xen/sched/event-channels.ts'
import { mapBackendPage } from './backend-page.ts'
import { ByteQueue } from './byte-queue.ts'
import { MOST_PAYLOAD, QUOTA } from './store/quotas.ts'
import { XS } from './store/requests.ts'
import { RING_ERROR, StoreRing } from './store/ring.ts'
import { type SavedSession, StoreSession } from './store/session.ts'

/** Bytes of a message's head: u32 type, request id, transaction id, length of what follows. */
const HEADER_BYTES = 16

/** What `Xenstore.save` gives. */
export type SavedXenstore = {
  readonly session: SavedSession
  readonly isIgnored: boolean
  readonly incoming: readonly number[]
  readonly outgoing: readonly number[]
}

/**
 * xenstore, as far as a guest without devices needs it: a tree of small values that it reads, writes and watches. This is
 * xenstored's end of the guest's ring, which takes messages apart and puts them together. A guest that breaks the protocol
 * is not listened to any more, as xenstored does it. Xen: docs/misc/xenstore.txt.
 */
export class Xenstore {
  /** The port of the guest's end. */
  readonly port: number
  private readonly xen: Hypervisor
  private readonly domain: Domain
  private readonly ring: StoreRing
  private readonly session: StoreSession
  private readonly notify = (): void => this.serve()
  private isIgnored = false
  /** Bytes of requests that are not complete yet, and of messages for which there was no room. */
  private readonly incoming = new ByteQueue()
  private readonly outgoing = new ByteQueue()

  /**
   * @param mfn the ring's page, which must be one that can be mapped writable
   * @param nodes what the toolstack has written of the domain: values by path, relative to its home
   */
  constructor(xen: Hypervisor, domain: Domain, mfn: number, nodes: ReadonlyMap<string, string>) {
    this.xen = xen
    this.domain = domain
    this.ring = new StoreRing(xen.memory, mfn)
    this.session = new StoreSession(domain.id, nodes)
    mapBackendPage(xen, domain, mfn, 'xenstore')
    this.port = bindBackend(domain, this.notify)
  }

  /** The tree, and what is under way. */
  save(): SavedXenstore {
    return {
      session: this.session.save(),
      isIgnored: this.isIgnored,
      incoming: this.incoming.toArray(),
      outgoing: this.outgoing.toArray(),
    }
  }

  restore(saved: SavedXenstore): void {
    this.session.restore(saved.session)
    this.isIgnored = saved.isIgnored
    this.incoming.clear()
    this.incoming.push(saved.incoming)
    this.outgoing.clear()
    this.outgoing.push(saved.outgoing)
  }

  /** Take the requests that are complete, answer them, and tell the guest. */
  serve(): void {
    if (this.isIgnored) return
    let isChanged = this.giveMessages()
    // A guest that does not take its replies has no more requests answered.
    while (!this.isIgnored && this.outgoing.length === 0) {
      isChanged = this.takeRequests() || isChanged
      if (!this.answerNext()) break
      isChanged = this.giveMessages() || isChanged
    }
    if (isChanged) sendFromBackend(this.xen, this.domain, this.port, this.notify)
  }

  private takeRequests(): boolean {
    const bytes = this.ring.take()
    if (bytes === null) {
      this.ignore(RING_ERROR.indices)
      return false
    }
    this.incoming.push(bytes)
    return bytes.length > 0
  }

  /** Answer the first request that is complete. False when there is none. */
  private answerNext(): boolean {
    if (this.incoming.length < HEADER_BYTES) return false
    const [type, id, transaction, length] = new Uint32Array(this.incoming.peek(HEADER_BYTES).slice().buffer)
    if (length > MOST_PAYLOAD) {
      this.ignore(RING_ERROR.protocol)
      return false
    }
    if (this.incoming.length < HEADER_BYTES + length) return false
    const request = Buffer.from(this.incoming.peek(HEADER_BYTES + length)).toString('latin1')
    this.incoming.drop(HEADER_BYTES + length)
    const answer = this.session.answer(type, transaction, request.slice(HEADER_BYTES))
    this.send(answer.type, id, transaction, answer.payload)
    // One request may change a node more than once. What is too much for the guest's share of xenstored's memory is lost.
    for (const event of new Set(answer.events)) {
      if (this.outgoing.length + HEADER_BYTES + event.length > QUOTA.waiting) break
      this.send(XS.WATCH_EVENT, 0, 0, event)
    }
    return true
  }

  private send(type: number, id: number, transaction: number, payload: string): void {
    this.outgoing.push(new Uint8Array(new Uint32Array([type, id, transaction, payload.length]).buffer))
    this.outgoing.push(Buffer.from(payload, 'latin1'))
  }

  private giveMessages(): boolean {
    if (this.outgoing.length === 0) return false
    const room = this.ring.room()
    if (room === null) {
      this.ignore(RING_ERROR.indices)
      return false
    }
    const bytes = this.outgoing.peek(room)
    if (bytes.length === 0) return false
    this.ring.give(bytes)
    this.outgoing.drop(bytes.length)
    return true
  }

  /** The guest has broken the protocol: nothing that it says has a meaning any more. Xen: ignore_connection(). */
  private ignore(error: number): void {
    this.isIgnored = true
    this.ring.fail(error)
    this.session.reset()
    this.incoming.clear()
    this.outgoing.clear()
  }
}
