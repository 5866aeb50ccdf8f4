import type { TranscriptLine } from '../script/transcript.ts'
import type { Recording } from './script.ts'

/** A difference, and what surrounds it. */
export type DifferenceContext = {
  readonly recording: Recording
  readonly i: number
  readonly line: TranscriptLine
  readonly ours: TranscriptLine
  readonly fields: readonly string[]
  /** Exemptions that have been used before in this recording. */
  readonly active: ReadonlySet<Exemption>
}

/** A kind of difference that says nothing about the rules. */
export type Exemption = {
  readonly name: string
  /** Why no model can have it. */
  readonly because: string
  readonly covers: (context: DifferenceContext) => boolean
}

export const EXEMPTIONS: readonly Exemption[] = []
