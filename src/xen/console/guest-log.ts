import type { GuestLog } from '../versions/messages.ts'

/** Levels of Xen's messages, most urgent first: XENLOG_ERR, WARNING, INFO. */
export const LOG_LEVEL = { error: 0, warning: 1, info: 2 } as const

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

  /** Whether a message of a level is printed now; `announce` is told how many were not, before the first that is again. */
  admits(level: number, rule: GuestLog, now: number, announce: (missed: number) => void): boolean {
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
