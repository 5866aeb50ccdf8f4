import { BadInput } from '../src/bits/bad-input.ts'
import { type Agreement, agreeWith, type Difference } from '../src/run/script/agree.ts'
import type { Recording } from '../src/run/script/script.ts'
import { parseScript } from '../src/script/parse.ts'
import { type Booted, type BootOptions, bootXen } from './boot.ts'
import { recordingOf } from './recording.ts'
import type { Tools } from './tools.ts'

/** A script on real Xen and on the machine, and what differs. */
export type Verdict = {
  readonly recording: Recording
  readonly booted: Booted
  readonly agreement: Agreement
  /** What differs and no rule exempts. */
  readonly differences: readonly Difference[]
}

/** Throws BadInput for the first line of a script that cannot be read. */
export function checkScript(script: string, source: string): void {
  const bad = parseScript(script).find((line) => line.error !== null)
  if (bad !== undefined) throw new BadInput(`${source}:${bad.n}: ${bad.error}`)
}

/**
 * Run a script on real Xen, then on the machine with the frames that it had there, and compare. Throws BadInput when
 * real Xen does not come as far as the script.
 */
export async function judge(tools: Tools, script: string, options: BootOptions): Promise<Verdict> {
  const booted = await bootXen(tools, script, options)
  const recording = recordingOf(script, booted, options.domain)
  if (recording.lines.length === 0 && booted.end !== 'end') {
    const last = booted.lines.findLast((line) => line.startsWith('@die')) ?? booted.lines.at(-1) ?? 'nothing'
    throw new BadInput(
      `real Xen did not come as far as the script (${booted.end}); the console ends with: ${last}`,
    )
  }
  const agreement = agreeWith(recording)
  const differences = agreement.differences.filter((difference) => difference.exempt === null)
  return {
    recording,
    booted,
    agreement,
    differences: [...differences, ...endDifference(recording, booted, agreement)],
  }
}

/** A run that real Xen ended in a way that a transcript's lines do not show. */
function endDifference(recording: Recording, booted: Booted, agreement: Agreement): Difference[] {
  const { end } = booted
  if (end === agreement.status || (end === 'end' && agreement.status === 'end')) return []
  // A crash shows in its line already.
  if (end === 'crash' || agreement.status === 'crash') return []
  const n = recording.lines.length
  return [{ n, op: recording.lines.at(-1)?.op ?? '', ours: agreement.status, xens: end, exempt: null }]
}
