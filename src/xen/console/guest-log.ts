import type { MessageId } from './messages.ts'

/** Levels of Xen's messages, most urgent first: XENLOG_ERR, WARNING, INFO, DEBUG. */
export const LOG_LEVEL = { error: 0, warning: 1, info: 2, debug: 3 } as const

/**
 * Which messages about guests are printed (guest_loglvl): those below `always` at once, those below `limited` at most so
 * often, the others not at all. Debug builds print everything; release builds print errors and warnings, limited.
 */
export type GuestLog = { readonly always: number; readonly limited: number }

/** Messages of another level than warning. */
const LEVELS: Partial<Record<MessageId, number>> = {
  unhandled: LOG_LEVEL.error,
  iretFault: LOG_LEVEL.error,
  iretNoUser: LOG_LEVEL.error,
  getPage: LOG_LEVEL.info,
  pageFree: LOG_LEVEL.info,
  pageInvalid: LOG_LEVEL.info,
  noExtentPopulate: LOG_LEVEL.info,
  noExtentIncrease: LOG_LEVEL.info,
  multicallReentry: LOG_LEVEL.info,
}

/** Ten messages at once, and one more every five seconds: printk_ratelimit(). */
const BURST = 10
const EVERY_NS = 5e9

/** Decides for each message, by the machine's time. */
export class GuestLogLimit {
  private tokens = BURST
  private last = 0
  private missed = 0

  save(): readonly [tokens: number, last: number, missed: number] {
    return [this.tokens, this.last, this.missed]
  }

  restore([tokens, last, missed]: readonly [number, number, number]): void {
    this.tokens = tokens
    this.last = last
    this.missed = missed
  }

  /** Whether a message is printed now; `announce` is told how many were not, before the first that is again. */
  admits(id: MessageId, rule: GuestLog, now: number, announce: (missed: number) => void): boolean {
    const level = LEVELS[id] ?? LOG_LEVEL.warning
    if (level < rule.always) return true
    if (level >= rule.limited) return false
    const earned = Math.floor((now - this.last) / EVERY_NS)
    if (earned > 0) {
      this.tokens = Math.min(BURST, this.tokens + earned)
      this.last += earned * EVERY_NS
    }
    if (this.tokens === 0) {
      this.missed++
      return false
    }
    this.tokens--
    if (this.missed > 0) announce(this.missed)
    this.missed = 0
    return true
  }
}
