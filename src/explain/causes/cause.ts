import type { Evidence } from '../evidence.ts'

/** Where a cause was cured. */
export type Fix = {
  /** The project whose commit or release it is. */
  readonly project: string
  readonly commit?: string
  readonly release?: string
  /** What it does, in a sentence. */
  readonly what: string
}

/** How well the evidence fits. `certain`: the log says it; `likely`: nothing else explains it as well; `possible`. */
export type Confidence = 'certain' | 'likely' | 'possible'

/** What a signature found in a log. */
export type Match = {
  /**
   * How well it fits, 0 to 100; causes are listed by it. 90 and more: the message itself says so. 60 to 89: the message
   * and what stands around it. 30 to 59: what is left when the message is lost. Less: cannot be excluded.
   */
  readonly score: number
  /** The cause in this log, one sentence with its frames and numbers, the first line of the answer. */
  readonly title: string
  /** Lines of the log that say so. */
  readonly lines: readonly number[]
  /** What this log says beyond the title, a sentence each. */
  readonly details?: readonly string[]
}

/** A cause as data: one file each in this folder. docs/causes/ is made from them. */
export type Cause = {
  /** Its name in JSON and the name of its file and page. */
  readonly class: string
  /** What happened, in a few words, for lists. */
  readonly name: string
  /** The signature: what in a log's evidence points to it. */
  readonly match: (evidence: Evidence) => Match | undefined
  /** The signature in words, for the page. */
  readonly signature: readonly string[]
  /** What happens and why, in paragraphs. */
  readonly explanation: readonly string[]
  /** What to look at next, most telling first. */
  readonly check: readonly string[]
  readonly fixes: readonly Fix[]
  /** Switches and workarounds: `boot Xen with pv-linear-pt=true`. */
  readonly avoid: readonly string[]
  /** True of the classes that are no page-type problem. */
  readonly benign?: boolean
}
