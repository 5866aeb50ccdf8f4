import { foreignMarkup } from '../../bits/foreign-text.ts'
import { commandOf } from '../sweep/command.ts'
import type { Row } from '../sweep/piece.ts'
import type { Results } from '../sweep/results.ts'
import { machineAt } from '../sweep/space.ts'
import { isFailure, mapName, type Summary } from '../sweep/summary.ts'

/**
 * Results as JUnit's XML, which CI systems read: a suite for each map, a case for each kernel on it. A case fails when one of its
 * machines does, or with a baseline, when one does that booted there.
 */
export function junitReport({ spec, rows }: Results, summary: Summary): string {
  const regressions = summary.regressions === null ? null : new Set(summary.regressions)
  const counts = (row: Row): boolean => isFailure(row) && (regressions === null || regressions.has(row.n))
  const suites = new Map<string, Map<string, Row[]>>()
  for (const row of rows) {
    const options = machineAt(spec.space, row.n)
    const cases = entry(suites, mapName(options.map), () => new Map<string, Row[]>())
    entry(cases, options.linux ?? '', () => []).push(row)
  }
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>']
  const all = [...suites].map(([map, cases]) => ({
    map,
    cases: [...cases].map(([linux, of]) => ({ linux, of, failed: of.filter(counts) })),
  }))
  const total = all.flatMap(({ cases }) => cases)
  const differing = summary.forecast.differing
  lines.push(
    `<testsuites name="xenolith sweep" tests="${total.length + 1}" failures="${total.filter(({ failed }) => failed.length > 0).length}" errors="${differing.length > 0 ? 1 : 0}">`,
  )
  for (const { map, cases } of all) {
    const failures = cases.filter(({ failed }) => failed.length > 0).length
    lines.push(
      `  <testsuite name="${foreignMarkup(map)}" tests="${cases.length}" failures="${failures}" errors="0">`,
    )
    for (const { linux, of, failed } of cases) {
      const name = `${linux}: ${of.length} machine${of.length === 1 ? '' : 's'}`
      const head = `    <testcase classname="${foreignMarkup(map)}" name="${foreignMarkup(name)}"`
      if (failed.length === 0) {
        lines.push(`${head}/>`)
        continue
      }
      const message = `${failed.length} of ${of.length} fail: ${failed[0].signature}`
      const text = failed
        .slice(0, 20)
        .map((row) => `machine ${row.n}: ${row.signature}\n  ${commandOf(spec.space, row.n)}`)
      if (failed.length > 20) text.push(`and ${failed.length - 20} more`)
      lines.push(
        `${head}>`,
        `      <failure message="${foreignMarkup(message)}">${foreignMarkup(text.join('\n'))}</failure>`,
      )
      lines.push('    </testcase>')
    }
    lines.push('  </testsuite>')
  }
  lines.push(
    `  <testsuite name="forecast" tests="1" failures="0" errors="${differing.length > 0 ? 1 : 0}">`,
    `    <testcase classname="forecast" name="boots come out as forecast"${differing.length === 0 ? '/>' : '>'}`,
  )
  if (differing.length > 0) {
    lines.push(
      `      <error message="${foreignMarkup(`machines ${differing.join(', ')} came out otherwise`)}"/>`,
    )
    lines.push('    </testcase>')
  }
  lines.push('  </testsuite>', '</testsuites>')
  return lines.join('\n')
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const fresh = make()
  map.set(key, fresh)
  return fresh
}
