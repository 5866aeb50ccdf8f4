import { foreignText } from '../../bits/foreign-text.ts'
import { type Group, outcomesIn, type Summary } from '../sweep/summary.ts'

const WIDTH = 80
/** More maps than this are counted, not named. */
const MAPS_NAMED = 3

/** A summary for people, on 80 columns; commands stay whole, so that they can be copied. */
export function textReport(summary: Summary): string[] {
  const { machines, totals, forecast } = summary
  return [
    `${machines} machines: ${outcomesIn(totals)
      .map((outcome) => `${totals[outcome]} ${outcome}`)
      .join(', ')}`,
    ...forecastLines(forecast),
    '',
    ...kernelTable(summary),
    ...summary.groups.flatMap((group, i) => ['', ...groupLines(group, i + 1)]),
    ...impossibleLines(summary),
    ...regressionLines(summary),
  ].map(foreignText)
}

function forecastLines({ seed, skipped, checked, differing }: Summary['forecast']): string[] {
  if (skipped === 0 && checked.length === 0) return ['every machine was booted']
  if (checked.length === 0)
    return wrapped(
      `${skipped} boots were forecast and skipped; seed ${seed} chose none of them to check`,
      '',
      2,
    )
  const booted = `${skipped} boots were forecast and skipped; ${checked.length} others were forecast and booted to check it`
  const outcome =
    differing.length === 0
      ? ['  all came out as forecast']
      : wrapped(`NOT AS FORECAST: machines ${differing.join(', ')}`, '  ', 4)
  return [
    ...wrapped(`${booted} (seed ${seed}):`, '', 2),
    ...outcome,
    ...wrapped(`booted: ${numbersText(checked)}`, '  ', 4),
  ]
}

/** Numbers of machines, the first of a long list; --json has all. */
function numbersText(numbers: readonly number[]): string {
  const shown = numbers.slice(0, 40).join(' ')
  return numbers.length > 40 ? `${shown} and ${numbers.length - 40} more, all in --json` : shown
}

function kernelTable({ linux, totals }: Summary): string[] {
  const names = Object.keys(linux)
  const outcomes = outcomesIn(totals)
  const width = Math.max(6, ...names.map((name) => name.length))
  const row = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, i) =>
        i === 0 ? String(cell).padEnd(width) : String(cell).padStart(outcomes.length > 4 ? 11 : 12),
      )
      .join('')
  return [
    row(['kernel', ...outcomes]),
    ...names.map((name) => row([name, ...outcomes.map((outcome) => linux[name][outcome] ?? 0)])),
  ]
}

function groupLines(group: Group, number: number): string[] {
  const { first, smallest } = group
  const lines = [
    ...wrapped(`${number}. ${group.signature}`, '', 3),
    ...wrapped(`machines  ${group.count}: ${countsText(group.linux, Number.POSITIVE_INFINITY)}`, '   ', 13),
    ...wrapped(`maps      ${countsText(group.maps, MAPS_NAMED)}`, '   ', 13),
    ...wrapped(
      `first     machine ${first.n}${first.pfn === null ? '' : `, pfn ${first.pfn}`}${first.detail === null ? '' : `, ${first.detail}`}`,
      '   ',
      13,
    ),
    `             ${first.command}`,
  ]
  if (smallest === null) return lines
  lines.push(
    `   smallest  ${smallest.pfn === null ? 'found' : `pfn ${smallest.pfn}`}, after ${smallest.boots} boots`,
    `             ${smallest.command}`,
  )
  // As a file of ranges has them, the ends inclusive: --map reads it.
  for (const { start, end, type } of smallest.map?.entries ?? [])
    lines.push(`             ${type} 0x${start.toString(16)}-0x${(end - 1).toString(16)}`)
  for (const { says } of smallest.boundaries) lines.push(...wrapped(`boundary  ${says}`, '   ', 13))
  return lines
}

function countsText(counts: Readonly<Record<string, number>>, most: number): string {
  const all = Object.entries(counts).sort(([, a], [, b]) => b - a)
  const named = all.slice(0, most).map(([name, count]) => `${name} ${count}`)
  return all.length > most ? `${named.join(', ')} and ${all.length - most} more` : named.join(', ')
}

function impossibleLines({ impossible }: Summary): string[] {
  if (impossible.length === 0) return []
  return [
    '',
    'Machines that cannot be:',
    ...impossible.flatMap(({ reason, count, first }) =>
      wrapped(`${count}, the first is ${first}: ${reason}`, '  ', 4),
    ),
  ]
}

function regressionLines({ regressions }: Summary): string[] {
  if (regressions === null) return []
  if (regressions.length === 0) return ['', 'No machine that booted in the baseline fails now.']
  return [
    '',
    ...wrapped(
      `${regressions.length} machines booted in the baseline and fail now: ${numbersText(regressions)}`,
      '',
      2,
    ),
  ]
}

/** Text in lines of 80 columns at most, those after the first indented; a word is never cut. */
function wrapped(text: string, lead: string, indent: number): string[] {
  const lines: string[] = []
  let line = lead
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    const longer = line.trim() === '' ? line + word : `${line} ${word}`
    if (longer.length > WIDTH && line.trim() !== '') {
      lines.push(line)
      line = ' '.repeat(indent) + word
    } else line = longer
  }
  return [...lines, line]
}
