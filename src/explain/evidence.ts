import type { TypeWord } from '../bits/type-word.ts'
import type { LogRecord, XenMessage } from './log/records.ts'

/** A type word of a message, read in the layout that fits the log. */
export type ReadWord = TypeWord & { readonly word: string; readonly layout: string }

/** A refused type: `Bad type (saw … != exp …)`, its words read. */
export type BadType = {
  readonly record: XenMessage
  readonly saw: ReadWord
  readonly exp: ReadWord
  readonly mfn: string
  readonly pfn: string
}

/** What is known of the Xen that wrote a log. */
export type XenVersion = {
  /** As printed, or the release that the evidence names; `4.1`, `4.2-unstable (April to May 2011)`. */
  readonly version: string
  /** First and last release that the evidence allows. */
  readonly from: string
  readonly to: string
  readonly how: 'banner' | 'line-numbers' | 'near-line-numbers' | 'wording' | 'nothing'
  /** How sure, in a sentence. */
  readonly sure: string
  readonly debug?: boolean
}

/** What one boot's part of a log says, read: what the signatures of causes look at. */
export type Evidence = {
  readonly records: readonly LogRecord[]
  readonly xen: XenVersion
  readonly badTypes: readonly BadType[]
  /** Lines of this boot, cleaned, without prefixes but with Xen's mark; bounded. */
  readonly lines: readonly string[]
}
