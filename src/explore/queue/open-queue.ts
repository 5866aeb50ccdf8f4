import { BadInput } from '../../bits/bad-input.ts'
import type { Queue } from './queue.ts'

/**
 * Open the queue that an address names: `nats://[user:password@]host[:port]`, or `tls://`. Throws BadInput where there is
 * none.
 */
export async function openQueue(address: string): Promise<Queue> {
  let url: URL
  try {
    url = new URL(address)
  } catch {
    throw new BadInput(`--queue '${address}' is no address; write for example nats://127.0.0.1:4222`)
  }
  if (!['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    throw new BadInput(
      `--queue '${address}': only nats:// and tls:// are known; write for example nats://127.0.0.1:4222`,
    )
  const { openNats } = await import('./nats.ts')
  return openNats(url)
}
