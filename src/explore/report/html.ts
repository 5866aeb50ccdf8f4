import { foreignMarkup } from '../../bits/foreign-text.ts'
import { findMap, type MemoryMap } from '../../run/maps/maps.ts'
import type { Results } from '../sweep/results.ts'
import { machineAt } from '../sweep/space.ts'
import { type Group, isFailure, mapName, outcomesIn, type Summary } from '../sweep/summary.ts'
import { type Mark, mapPicture, PICTURE_DEFINITIONS } from './map-picture.ts'

const STYLE = `:root{color-scheme:light dark;--line:#888;--ram:#8fb996;--mark:#c1121f}
@media(prefers-color-scheme:dark){:root{--ram:#3f6b48;--mark:#ff7b7b}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid var(--line)}
td:first-child,th:first-child{text-align:left}code,pre{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
pre{white-space:pre-wrap}svg{width:100%;height:auto;overflow:visible}svg text{font:12px ui-monospace,monospace;fill:currentColor}
svg rect.usable{fill:var(--ram)}svg rect.frame{fill:none;stroke:var(--line)}svg .mark{stroke:var(--mark);stroke-width:2}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}`

/** Results as one HTML page that needs nothing beside itself, with a picture of each map and where its boots failed. */
export function htmlReport(results: Results, summary: Summary, version: string): string {
  const { totals, machines, forecast } = summary
  const count = (n: number): string => n.toLocaleString('en')
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>Sweep of ${count(machines)} machines</title><style>${STYLE}</style></head><body>`,
    PICTURE_DEFINITIONS,
    `<h1>Sweep of ${count(machines)} machines</h1>`,
    `<p>${outcomesIn(totals)
      .map((outcome) => `${count(totals[outcome] ?? 0)} ${outcome}`)
      .join(', ')}. `,
    `${count(forecast.skipped)} boots were forecast and skipped, ${count(forecast.checked.length)} were forecast and booted to check it; `,
    `${forecast.differing.length === 0 ? 'none' : `<strong>${count(forecast.differing.length)}</strong>`} came out otherwise. `,
    `Seed ${forecast.seed}, xenolith ${foreignMarkup(version)}.</p>`,
    kernelTable(summary),
    summary.regressions === null
      ? ''
      : `<p><strong>${count(summary.regressions.length)}</strong> machines booted in the baseline and fail now.</p>`,
    '<h2>How they fail</h2>',
    ...(summary.groups.length === 0 ? ['<p>None fails.</p>'] : summary.groups.map(groupSection)),
    '<h2>Where they fail</h2>',
    '<p>Green is RAM; stripes are reserved, dots ACPI data, a grid ACPI NVS, the other stripes unusable; blank is nothing. A red line is a page at which a boot ended.</p>',
    ...mapSections(results),
    '<h2>Machines that were booted as a check</h2>',
    `<p>${forecast.checked.length === 0 ? 'None.' : forecast.checked.join(' ')}</p>`,
    '</body></html>',
  ].join('\n')
}

function kernelTable({ linux, totals }: Summary): string {
  const outcomes = outcomesIn(totals)
  const rows = Object.entries(linux).map(([name, of]) => {
    const cells = outcomes.map((outcome) => `<td>${of[outcome] ?? 0}</td>`)
    return `<tr><td>${foreignMarkup(name)}</td>${cells.join('')}</tr>`
  })
  return `<table><thead><tr><th>kernel</th>${outcomes.map((outcome) => `<th>${outcome}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function groupSection({ signature, count, linux, maps, first, smallest }: Group): string {
  const counts = (of: Readonly<Record<string, number>>): string =>
    foreignMarkup(
      Object.entries(of)
        .map(([name, n]) => `${name} ${n}`)
        .join(', '),
    )
  const item = (term: string, text: string): string => `<dt>${term}</dt><dd>${text}</dd>`
  return [
    `<section><h3>${foreignMarkup(signature)}</h3><dl>`,
    item('machines', `${count}: ${counts(linux)}`),
    item('maps', counts(maps)),
    item(
      'first',
      `machine ${first.n}${first.pfn === null ? '' : `, pfn ${first.pfn}`}<br><code>${foreignMarkup(first.command)}</code>`,
    ),
    ...(smallest === null
      ? []
      : [
          item(
            'smallest',
            `<code>${foreignMarkup(smallest.command)}</code>${smallest.map === null ? '' : mapPicture(smallest.map, [])}`,
          ),
          ...smallest.boundaries.map(({ says }) => item('boundary', foreignMarkup(says))),
        ]),
    '</dl></section>',
  ].join('\n')
}

function mapSections({ spec, rows }: Results): string[] {
  const seen = new Map<
    string,
    { map: MemoryMap; machines: number; failed: number; marks: Map<number, string> }
  >()
  for (const row of rows) {
    const { map, linux } = machineAt(spec.space, row.n)
    if (map === undefined) continue
    const name = mapName(map)
    let of = seen.get(name)
    if (of === undefined) {
      of = { map: typeof map === 'string' ? findMap(map) : map, machines: 0, failed: 0, marks: new Map() }
      seen.set(name, of)
    }
    of.machines++
    if (!isFailure(row)) continue
    of.failed++
    if (row.pfn !== undefined && of.marks.size < 200)
      of.marks.set(Number(row.pfn) * 4096, `pfn ${row.pfn}, ${linux}: ${row.signature}`)
  }
  return [...seen].map(([name, { map, machines, failed, marks }]) => {
    const list: Mark[] = [...marks].map(([at, says]) => ({ at, says }))
    return `<section><h3>${foreignMarkup(name)}</h3><p>${failed} of ${machines} machines fail.</p>${mapPicture(map, list)}</section>`
  })
}
