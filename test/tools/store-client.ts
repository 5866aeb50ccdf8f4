import assert from 'node:assert/strict'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { PvMachine } from './pv-machine.ts'

/** Message types of xenstore's protocol. */
export const XS = {
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  START: 6,
  END: 7,
  DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  EVENT: 15,
  ERROR: 16,
  RESET: 21,
  PART: 22,
} as const

/** Offsets of the ring's indices in its page. */
export const RING = {
  requestConsumer: 2048,
  requestProducer: 2052,
  replyConsumer: 2056,
  replyProducer: 2060,
  error: 2072,
} as const

/** The other end of a xenstore ring: sends messages, and reads what comes back. Zeros in texts are shown as bars. */
export class StoreClient {
  readonly m = new PvMachine()
  readonly store: Xenstore
  private read = 0
  private written = 0

  constructor() {
    this.store = new Xenstore(this.m.xen, this.m.domain, this.m.mfnOf(this.m.data), new Map([['name', 'me']]))
  }

  index(offset: number): number {
    return this.m.vcpu.load32(this.m.data + offset)
  }

  setIndex(offset: number, value: number): void {
    this.m.vcpu.store32(this.m.data + offset, value >>> 0)
  }

  /** Put bytes into the ring, as far as there is room. Returns how many. */
  put(bytes: Uint8Array): number {
    const room = 1024 - ((this.written - this.index(RING.requestConsumer)) >>> 0)
    const count = Math.min(room, bytes.length)
    for (let i = 0; i < count; i++) {
      this.m.vcpu.store8(this.m.data + (this.written % 1024), bytes[i])
      this.written = (this.written + 1) >>> 0
    }
    this.setIndex(RING.requestProducer, this.written)
    return count
  }

  send(type: number, text: string, transaction = 0): void {
    let bytes = StoreClient.message(type, text, transaction)
    while (bytes.length > 0) {
      const count = this.put(bytes)
      this.store.serve()
      bytes = bytes.subarray(count)
      // Nobody listens any more.
      if (count === 0) return
    }
  }

  static message(type: number, text: string, transaction = 0): Buffer {
    const payload = Buffer.from(text, 'latin1')
    const header = new Uint32Array([type, 7, transaction, payload.length])
    return Buffer.concat([Buffer.from(header.buffer), payload])
  }

  private bytes(count: number): Buffer {
    const out = Buffer.alloc(count)
    for (let i = 0; i < count; i++) {
      if (this.isEmpty()) this.store.serve()
      assert.equal(this.isEmpty(), false, 'a reply is cut off')
      out[i] = this.m.vcpu.load8(this.m.data + 1024 + (this.read % 1024))
      this.read = (this.read + 1) >>> 0
      this.setIndex(RING.replyConsumer, this.read)
    }
    return out
  }

  private isEmpty(): boolean {
    return this.index(RING.replyProducer) === this.read
  }

  /** The next message: its type, and its text. */
  receive(): string | null {
    if (this.isEmpty()) this.store.serve()
    if (this.isEmpty()) return null
    const header = this.bytes(16)
    const text = this.bytes(header.readUInt32LE(12)).toString('latin1')
    return `${header.readUInt32LE(0)} ${text.replaceAll('\0', '|')}`
  }

  ask(type: number, text: string, transaction = 0): string | null {
    this.send(type, text, transaction)
    return this.receive()
  }
}
