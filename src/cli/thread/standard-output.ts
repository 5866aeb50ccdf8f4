import { writeSync } from 'node:fs'
import { BadInput } from '../../bits/bad-input.ts'
import { systemReason } from '../../files/system-reason.ts'
import type { StopFlag } from '../../run/kernel/stop.ts'

const DESCRIPTORS = { output: 1, error: 2 } as const
/** How long to wait for a reader that has no room, before trying again. */
const PATIENCE_MS = 20

/** Whoever read what was written has gone: `| head` has seen enough. */
export class NobodyReads extends Error {
  override name = 'NobodyReads'
}

/**
 * Write to standard output or error from a thread that is not the first. All of it is out when this returns, but for what a
 * slow reader has no room for when the run is to stop.
 *
 * @throws NobodyReads, and BadInput for whatever else is wrong with where it goes
 */
export function writeStandard(
  stream: keyof typeof DESCRIPTORS,
  content: string | Uint8Array,
  stop: StopFlag,
): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(DESCRIPTORS[stream], bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') throw new NobodyReads()
      if (code !== 'EAGAIN') {
        throw new BadInput(`cannot write standard ${stream}: ${systemReason(error)}`)
      }
      if (stop.isSet) return
      stop.wait(stop.rings, PATIENCE_MS)
    }
  }
}
