import { explainText } from '../../src/explain/explain.ts'

/** What the tests look at in a report. */
export type Explained = {
  readonly verdict: string
  readonly causes: readonly { readonly class: string; readonly score: number; readonly title: string }[]
  readonly decoded: { readonly typeWords: readonly DecodedWord[] }
  readonly xen?: XenReleases | null | undefined
}

export type DecodedWord = {
  readonly word: string
  readonly type: string
  readonly count: number
  readonly flags: readonly string[]
  readonly layout: string
}

/** Releases that a report allows. */
export type XenReleases = { readonly version: string; readonly from: string; readonly to: string }

export function explained(text: string, name = 'log'): Explained {
  return explainText(text, name)
}

/** The class that a report puts first; `none` when it has no cause. */
export function firstClass(report: Explained): string {
  return report.causes[0]?.class ?? 'none'
}
