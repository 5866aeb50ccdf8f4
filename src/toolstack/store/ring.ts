import type { Memory } from '../../machine/memory.ts'

/**
 * The page by which a guest and xenstored talk: a ring for each direction. Indices only grow; their low bits are the place
 * in the ring. Xen: public/io/xs_wire.h, docs/misc/xenstore-ring.txt.
 *
 *     0 requests, 1024 bytes | 1024 replies, 1024 bytes | 2048 req_cons, req_prod, rsp_cons, rsp_prod
 *     2064 features | 2068 connection | 2072 error
 */
const REQUESTS = { at: 0, consumer: 2048, producer: 2052 } as const
const REPLIES = { at: 1024, consumer: 2056, producer: 2060 } as const
const ERROR_AT = 2072
const RING_BYTES = 1024

/** Why xenstored no longer listens, as the page says it. */
export const RING_ERROR = { indices: 2, protocol: 3 } as const

/** xenstored's end of the ring in a frame that dom0 has mapped. Everything in it but what xenstored writes is the guest's. */
export class StoreRing {
  private readonly memory: Memory
  private readonly mfn: number

  constructor(memory: Memory, mfn: number) {
    this.memory = memory
    this.mfn = mfn
  }

  /** Take what the guest has written. Null when its indices are further apart than the ring is long. */
  take(): Uint8Array | null {
    const { u8, u32 } = this.memory
    const page = this.memory.frameWords(this.mfn)
    const consumer = u32[page + REQUESTS.consumer / 4]
    const count = (u32[page + REQUESTS.producer / 4] - consumer) >>> 0
    if (count > RING_BYTES) return null
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      bytes[i] = u8[page * 4 + REQUESTS.at + ((consumer + i) & (RING_BYTES - 1))]
    }
    u32[page + REQUESTS.consumer / 4] = consumer + count
    return bytes
  }

  /** Room for replies, in bytes. Null when the indices are further apart than the ring is long. */
  room(): number | null {
    const { u32 } = this.memory
    const page = this.memory.frameWords(this.mfn)
    const used = (u32[page + REPLIES.producer / 4] - u32[page + REPLIES.consumer / 4]) >>> 0
    return used > RING_BYTES ? null : RING_BYTES - used
  }

  /** Give the guest bytes, for which there is room. */
  give(bytes: Uint8Array): void {
    const { u8, u32 } = this.memory
    const page = this.memory.frameWords(this.mfn)
    const producer = u32[page + REPLIES.producer / 4]
    for (let i = 0; i < bytes.length; i++) {
      u8[page * 4 + REPLIES.at + ((producer + i) & (RING_BYTES - 1))] = bytes[i]
    }
    u32[page + REPLIES.producer / 4] = producer + bytes.length
  }

  /** Say that nobody listens any more, and why. */
  fail(error: number): void {
    this.memory.u32[this.memory.frameWords(this.mfn) + ERROR_AT / 4] = error
  }
}
