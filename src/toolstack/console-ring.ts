import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { bindBackend, sendFromBackend } from '../xen/sched/event-channels.ts'
import { mapBackendPage } from './backend-page.ts'
import { ByteQueue } from './byte-queue.ts'

/**
 * A domU's console: a page with a ring for each direction, and an event channel to say that something is new. Indices
 * only grow; their low bits are the place in the ring. Xen: public/io/console.h.
 *
 *     0 input, 1024 bytes | 1024 output, 2048 bytes | 3072 in_cons, in_prod, out_cons, out_prod
 */
const INPUT = { at: 0, bytes: 1024, consumer: 3072, producer: 3076 } as const
const OUTPUT = { at: 1024, bytes: 2048, consumer: 3080, producer: 3084 } as const

/** The end of a domU's console that is in dom0. */
export class ConsoleRing {
  /** The port of the guest's end. */
  readonly port: number
  private readonly xen: Hypervisor
  private readonly domain: Domain
  private readonly mfn: number
  private readonly onOutput: (bytes: Uint8Array) => void
  private readonly notify = (): void => this.serve()
  /** Input for which there was no room. */
  private readonly waiting = new ByteQueue()

  /**
   * @param mfn the ring's page, which must be one that can be mapped writable
   * @param onOutput gets what the guest writes, as it writes it
   */
  constructor(xen: Hypervisor, domain: Domain, mfn: number, onOutput: (bytes: Uint8Array) => void) {
    this.xen = xen
    this.domain = domain
    this.mfn = mfn
    this.onOutput = onOutput
    mapBackendPage(xen, domain, mfn, 'console')
    this.port = bindBackend(domain, this.notify)
  }

  /** Input for which there was no room, to go on with in another run. */
  save(): number[] {
    return this.waiting.toArray()
  }

  restore(waiting: readonly number[]): void {
    this.waiting.clear()
    this.waiting.push(waiting)
  }

  /** What somebody types: as much as there is room for, the rest when the guest has read. */
  type(bytes: Uint8Array): void {
    this.waiting.push(bytes)
    this.serve()
  }

  /** Take what the guest has written, and give it what waits. A guest's indices that cannot be are a ring that is full. */
  serve(): void {
    const isRead = this.takeOutput()
    const isTyped = this.giveInput()
    if (isRead || isTyped) sendFromBackend(this.xen, this.domain, this.port, this.notify)
  }

  private takeOutput(): boolean {
    const { u8, u32 } = this.xen.memory
    const page = this.xen.memory.frameWords(this.mfn)
    const consumer = u32[page + OUTPUT.consumer / 4]
    const producer = u32[page + OUTPUT.producer / 4]
    const count = Math.min((producer - consumer) >>> 0, OUTPUT.bytes)
    if (count === 0) return false
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      bytes[i] = u8[page * 4 + OUTPUT.at + ((consumer + i) & (OUTPUT.bytes - 1))]
    }
    u32[page + OUTPUT.consumer / 4] = producer
    this.onOutput(bytes)
    return true
  }

  private giveInput(): boolean {
    if (this.waiting.length === 0) return false
    const { u8, u32 } = this.xen.memory
    const page = this.xen.memory.frameWords(this.mfn)
    const producer = u32[page + INPUT.producer / 4]
    const used = (producer - u32[page + INPUT.consumer / 4]) >>> 0
    const bytes = this.waiting.peek(INPUT.bytes - Math.min(used, INPUT.bytes))
    const count = bytes.length
    if (count === 0) return false
    for (let i = 0; i < count; i++) {
      u8[page * 4 + INPUT.at + ((producer + i) & (INPUT.bytes - 1))] = bytes[i]
    }
    this.waiting.drop(count)
    u32[page + INPUT.producer / 4] = producer + count
    return true
  }
}
