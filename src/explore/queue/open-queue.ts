import { type QueueFlags, readAddress } from './address.ts'
import { openNats } from './nats.ts'
import type { Queue } from './queue.ts'

/** Open the queue that options and environment name: address.ts. Throws BadInput where there is none. */
export async function openQueue(flags: QueueFlags): Promise<Queue> {
  return openNats(readAddress(flags))
}
