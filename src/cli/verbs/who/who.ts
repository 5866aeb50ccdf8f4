import { holderWords } from '../../../run/ask/holder-words.ts'
import { sinceText } from '../../../run/ask/moment.ts'
import type { RunSpec } from '../../../run/ask/rerun.ts'
import { type WhoResult, who } from '../../../run/ask/who.ts'
import { eventNumber } from '../../../run/boot/numbers.ts'
import { type Io, type Painted, painted } from '../../io.ts'
import { type RunFlags, runSpec } from '../../run-spec.ts'

/** What `xenolith who` takes. */
export type WhoFlags = RunFlags & { readonly frame?: string; readonly at?: string; readonly json?: boolean }

/** Says what a frame of a run is, who holds it and since when. */
export function run(options: WhoFlags, io: Io): number {
  const spec = runSpec(options)
  noteRuns(spec, io)
  const result = who(spec, options.frame ?? '', eventNumber('--at', options.at))
  if (options.json) io.json(JSON.stringify(result, null, 2))
  else for (const line of whoLines(result, io)) io.out(line)
  return 0
}

/** Say of a question about a real kernel what it takes, before it does. */
export function noteRuns(spec: RunSpec, io: Io): void {
  if ('guest' in spec) io.err('xenolith: the guest is run from its beginning, up to four times')
}

/** The answer as text. */
export function whoLines(result: WhoResult, io: Io): (string | Painted)[] {
  const bare = (text: string | null | undefined): string => (text ?? 'none').replace(/^0x/, '')
  const when =
    result.at === result.events ? `after the last of ${result.events} events` : `after event ${result.at}`
  const lines: (string | Painted)[] = [
    painted(
      io,
      'bold',
      `mfn ${bare(result.mfn)} (pfn ${bare(result.pfn)}), owner ${result.owner ?? 'none'}, ${when}`,
    ),
    `type       ${result.type}, count ${result.typeCount}${result.pinned ? ', pinned' : ''}   ${result.typeWord}`,
    `references ${result.refCount}   ${result.refsWord}`,
    painted(io, 'bold', 'held by'),
  ]
  for (const holder of result.holders) {
    if (holder.kind === 'entry') {
      const addresses = holder.addresses ?? []
      lines.push(
        `  L${holder.level} at pfn ${bare(holder.tablePfn)} (mfn ${bare(holder.table)}), slot ${holder.slot}`,
      )
      lines.push(`      ${bare(holder.entry)} ${holder.flags}`)
      lines.push(
        `      ${addresses.length === 0 ? 'not linked: no address reaches it' : `at ${addresses.map(bare).join(', ')}`}`,
      )
    } else lines.push(`  ${holderWords(holder.kind, holder.domain, holder.as)}`)
    lines.push(`      ${sinceText(holder.since)}`)
    if (holder.counted !== undefined) lines.push(`      counted ${sinceText(holder.counted)}`)
  }
  if (result.more > 0) lines.push(`  and ${result.more} more entries`)
  lines.push(painted(io, 'bold', 'its type'))
  if (result.earlier > 0) lines.push(`  after ${result.earlier} changes before`)
  for (const { event, what, type } of result.history) {
    lines.push(`  ${type.padEnd(9)}${event === 0 ? 'as built' : `from event ${event}: ${what}`}`)
  }
  if (result.runs !== undefined) {
    const steps = result.steps === 0 ? '' : `, ${result.steps} instructions of it one by one`
    lines.push(`for this the guest was run ${result.runs} times${steps}`)
  }
  return lines
}
