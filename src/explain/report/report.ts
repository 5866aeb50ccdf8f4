import type { Confidence, Fix } from '../causes/cause.ts'
import type { Confirmation } from '../confirm/confirm.ts'
import type { Decoded } from '../decode/decoded.ts'
import type { LoggedXen } from '../evidence.ts'
import type { Damage } from '../log/read-log.ts'

/** A line of the log that a cause rests on. */
export type ShownLine = { readonly line: number; readonly text: string }

/** A cause as it fits one log. */
export type ReportCause = {
  /** Name of the cause; docs/causes/ has a page of that name. */
  readonly class: string
  readonly name: string
  /** How well the log fits, 0 to 100; causes come in its order. */
  readonly score: number
  readonly confidence: Confidence
  /** The cause in this log, one sentence. */
  readonly title: string
  readonly details: readonly string[]
  readonly evidence: readonly ShownLine[]
  readonly explanation: readonly string[]
  readonly check: readonly string[]
  readonly fixes: readonly Fix[]
  readonly avoid: readonly string[]
  /** True of what is no page-type problem. */
  readonly benign: boolean
}

/** What `explain` says of a log: docs/explain-json.md. */
export type Report = {
  readonly schema: 1
  /** The file's name; null for standard input. */
  readonly name: string | null
  readonly verdict: 'explained' | 'ambiguous' | 'no-xen-evidence'
  /** The answer in one sentence. */
  readonly title: string
  /** Most likely first. */
  readonly causes: readonly ReportCause[]
  /** When it is ambiguous: what would tell the readings apart. */
  readonly wouldTell: readonly string[]
  readonly xen: LoggedXen | null
  readonly decoded: Decoded
  readonly log: {
    readonly lines: number
    readonly boots: number
    /** Where it is cut, damaged, or was too long to be kept. */
    readonly damage: readonly Damage[]
  }
  readonly confirmation: Confirmation | null
}
