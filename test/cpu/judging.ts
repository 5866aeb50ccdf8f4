import type { CpuCase, CpuResult, Subject } from './case.ts'
import { agree } from './compare.ts'
import { disassemble, explainCase } from './explain-case.ts'

/** How many cases of a form there were and how many differ, with the first of these, explained. */
type Count = { differing: number; cases: number; first: string }

/** Lets a subject run cases, compares with what is right, and counts by form. */
export class Judge {
  cases = 0
  differing = 0
  /** Differences that were none when the processor ran the case again. */
  unrepeated = 0
  readonly forms = new Map<string, Count>()
  private readonly createSubject: () => Subject
  private subject: Subject

  constructor(createSubject: () => Subject) {
    this.createSubject = createSubject
    this.subject = createSubject()
  }

  /**
   * @param first number of the first case, for the explanations
   * @param again what is right, found once more: the core gives the same each time, what runs beside it may disturb a processor
   */
  judge(
    cases: readonly CpuCase[],
    expected: readonly CpuResult[],
    first: number,
    again?: (one: CpuCase) => CpuResult,
  ): void {
    for (const [i, one] of cases.entries()) {
      this.prepare(cases, i)
      const count = this.forms.get(one.form) ?? { differing: 0, cases: 0, first: '' }
      this.forms.set(one.form, count)
      count.cases++
      this.cases++
      const difference = this.difference(one, expected[i], first + i, again)
      if (difference === null) continue
      this.differing++
      if (count.differing++ === 0) count.first = difference()
    }
  }

  /** Show the subject a batch of cases before the first one of it runs. What breaks it breaks it once more when that one runs. */
  private prepare(cases: readonly CpuCase[], i: number): void {
    const { batch } = this.subject
    if (batch === undefined || i % batch !== 0) return
    try {
      this.subject.prepare?.(cases.slice(i, i + batch))
    } catch {
      this.subject = this.createSubject()
    }
  }

  /** null when both agree, else what explains the difference. */
  private difference(
    one: CpuCase,
    expected: CpuResult,
    number: number,
    again?: (one: CpuCase) => CpuResult,
  ): (() => string) | null {
    let actual: CpuResult
    try {
      actual = this.subject.run(one)
    } catch (error) {
      // Whatever state that left, the next case starts anew.
      this.subject = this.createSubject()
      const bytes = Buffer.from(one.code).toString('hex')
      return () => `  case ${number}: ${bytes}  ${disassemble(one)}\n    breaks: ${(error as Error).stack}`
    }
    if (agree(one, expected, actual)) return null
    if (again !== undefined && agree(one, again(one), actual)) {
      this.unrepeated++
      return null
    }
    return () => explainCase(one, number, expected, actual)
  }

  /** The differences, grouped by form, the forms that are wrong most often first. Empty when there are none. */
  report(limit = 20): string {
    const wrong = [...this.forms].filter(([, count]) => count.differing > 0)
    if (wrong.length === 0) return ''
    wrong.sort(([, a], [, b]) => b.differing / b.cases - a.differing / a.cases || b.differing - a.differing)
    const shown = wrong.slice(0, limit)
    const rest = wrong
      .slice(limit)
      .map(([form, { differing, cases }]) => `${form} (${differing} of ${cases})`)
    return [
      `${this.differing} of ${this.cases} cases differ, in ${wrong.length} of ${this.forms.size} forms`,
      ...shown.map(([form, count]) => `${form}: ${count.differing} of ${count.cases}\n${count.first}`),
      ...(rest.length > 0 ? [`and: ${rest.join(' | ')}`] : []),
    ].join('\n')
  }
}
