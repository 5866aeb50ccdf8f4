import type { CpuCase, CpuResult, Subject } from './case.ts'
import { agree } from './compare.ts'
import { explainCase } from './explain-case.ts'

/** What a run found: how many cases, and the differences by form. */
export type Verdict = {
  cases: number
  differing: number
  /** By form: how many cases differ, how many there were, and the first that differs, explained. */
  readonly forms: Map<string, { differing: number; cases: number; first: string }>
}

export function emptyVerdict(): Verdict {
  return { cases: 0, differing: 0, forms: new Map() }
}

/**
 * Let a subject run cases and compare with what is right.
 *
 * @param first number of the first case, for the explanations
 */
export function judge(
  verdict: Verdict,
  cases: readonly CpuCase[],
  expected: readonly CpuResult[],
  subject: Subject,
  first: number,
): void {
  for (const [i, one] of cases.entries()) {
    const actual = subject.run(one)
    const count = verdict.forms.get(one.form) ?? { differing: 0, cases: 0, first: '' }
    verdict.forms.set(one.form, count)
    count.cases++
    verdict.cases++
    if (agree(one, expected[i], actual)) continue
    verdict.differing++
    if (count.differing++ === 0) count.first = explainCase(one, first + i, expected[i], actual)
  }
}

/** The differences, grouped by instruction form, those with the most first. Empty when there are none. */
export function report({ forms, cases, differing }: Verdict, limit = 20): string {
  const wrong = [...forms].filter(([, count]) => count.differing > 0)
  if (wrong.length === 0) return ''
  wrong.sort(([, a], [, b]) => b.differing / b.cases - a.differing / a.cases || b.differing - a.differing)
  const shown = wrong.slice(0, limit)
  return [
    `${differing} of ${cases} cases differ, in ${wrong.length} of ${forms.size} forms`,
    ...shown.map(([form, count]) => `${form}: ${count.differing} of ${count.cases}\n${count.first}`),
    ...(wrong.length > limit
      ? [
          `and: ${wrong
            .slice(limit)
            .map(([form]) => form)
            .join(' | ')}`,
        ]
      : []),
  ].join('\n')
}
