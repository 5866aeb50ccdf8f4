import { readLines } from '../../../files/read.ts'
import { replay } from '../../../run/ask/replay.ts'
import { guestRun } from '../../../run/kernel/kernel-boot.ts'
import { tierOf } from '../../../run/tiers.ts'
import type { Io } from '../../io.ts'
import { kernelOfHeader } from '../boot/kernel-spec.ts'

/** What `xenolith replay` takes. */
export type ReplayFlags = { readonly file?: string; readonly json?: boolean; readonly tier?: string }

/** Runs a trace again; 0 when every event is the same, 1 when one differs. */
export function run(options: ReplayFlags, io: Io): number {
  const file = options.file ?? ''
  const lines = readLines(file)
  const kernel = kernelOfHeader(lines[0] ?? '', file, tierOf(options.tier))
  const result = replay(lines, file, kernel === null ? null : guestRun(kernel))
  const { difference } = result
  if (options.json) io.json(JSON.stringify(result, null, 2))
  else if (difference === null) io.out(`${result.events} events, all the same`)
  else {
    io.out(`${result.events} events are the same, event ${difference.event} differs`)
    io.out(`  trace: ${difference.trace ?? 'ended'}`)
    io.out(`  run:   ${difference.run ?? 'ended'}`)
  }
  return difference === null ? 0 : 1
}
