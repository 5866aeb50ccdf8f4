import { VIRQ } from '../xen/abi.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { sendVirq } from '../xen/sched/event-channels.ts'
import { ByteQueue } from './byte-queue.ts'

/** Bytes that Xen holds of what was typed: its ring for a serial line. */
const RING = 128

/**
 * The terminal at the machine's serial line, where Xen's console is: what dom0 writes and reads there by console_io. Xen drops
 * what comes in faster than dom0 reads it; this terminal waits instead until there is room. Xen: serial_rx(), console_io.
 */
export class HostConsole {
  private readonly xen: Hypervisor
  private readonly dom0: Domain
  /** What was typed and dom0 has not read yet. */
  private readonly waiting = new ByteQueue()

  /** @param onOutput gets what dom0 writes, as it writes it */
  constructor(xen: Hypervisor, dom0: Domain, onOutput: (bytes: Uint8Array) => void) {
    this.xen = xen
    this.dom0 = dom0
    xen.console.serial = {
      write: onOutput,
      peek: (most) => this.waiting.peek(Math.min(most, RING)),
      drop: (count) => this.read(count),
    }
  }

  /** Input that dom0 has not read, to go on with in another run. */
  save(): number[] {
    return this.waiting.toArray()
  }

  restore(waiting: readonly number[]): void {
    this.waiting.clear()
    this.waiting.push(waiting)
  }

  /** What somebody types: dom0 is told of it by VIRQ_CONSOLE. */
  type(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.waiting.push(bytes)
    this.tell()
  }

  private read(count: number): void {
    this.waiting.drop(count)
    // The line brings more as soon as there is room.
    if (count > 0 && this.waiting.length > 0) this.tell()
  }

  private tell(): void {
    sendVirq(this.xen, this.dom0.vcpus[0], VIRQ.CONSOLE)
  }
}
