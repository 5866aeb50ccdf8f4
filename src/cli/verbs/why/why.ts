import { why } from '../../../run/ask/why.ts'
import { eventNumber } from '../../../run/boot/numbers.ts'
import { type Io, painted } from '../../io.ts'
import { type RunFlags, runSpec } from '../../run-spec.ts'
import { noteRuns, whoLines } from '../who/who.ts'

/** What `xenolith why` takes. */
export type WhyFlags = RunFlags & { readonly at?: string; readonly json?: boolean }

/** Says what Xen last refused in a run, and who held the frame that stood in the way. */
export function run(options: WhyFlags, io: Io): number {
  const spec = runSpec(options)
  noteRuns(spec, io)
  const result = why(spec, eventNumber('--at', options.at))
  if (options.json) {
    io.json(JSON.stringify(result, null, 2))
    return 0
  }
  io.out(painted(io, 'bold', `Refused at event ${result.refused.event}: ${result.refused.what}`))
  io.out(`saw ${result.saw}, wanted ${result.exp}`)
  io.out('')
  for (const line of whoLines(result.frame, io)) io.out(line)
  return 0
}
