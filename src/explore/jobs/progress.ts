/** How far a run is: what is done and, where that is known, how much there is. */
export type Done = {
  /** What the run does now: `depth 3`, `walks`. */
  readonly stage: string
  readonly done: number
  /** How much there is in this stage; null where nobody knows. */
  readonly of: number | null
  /** What is counted: `states`, `boots`. */
  readonly unit: string
  readonly found: number
}

/**
 * Tells how a run goes, on standard error: rate, done, left, found, estimated end. On a terminal it is one line that
 * changes; elsewhere a line now and then. SIGUSR1 asks for one at once.
 */
export class Progress {
  private readonly write: (text: string) => void
  private readonly isTerminal: boolean
  private readonly now: () => number
  private readonly started: number
  private last: Done | null = null
  private stageStarted: number
  private stageFirst = 0
  private told: number
  private isOpen = false

  /** @param now milliseconds of a clock */
  constructor(
    write: (text: string) => void,
    isTerminal: boolean,
    now: () => number = () => performance.now(),
  ) {
    this.write = write
    this.isTerminal = isTerminal
    this.now = now
    this.started = now()
    this.told = this.started
    this.stageStarted = this.started
  }

  get seconds(): number {
    return (this.now() - this.started) / 1000
  }

  /** Where the run is now. Cheap: it speaks only when it is time to. */
  at(done: Done): void {
    if (done.stage !== this.last?.stage) {
      this.stageStarted = this.now()
      this.stageFirst = done.done
    }
    this.last = done
    const pause = this.isTerminal ? 500 : 10_000
    if (this.now() - this.told >= pause) this.tell()
  }

  /** Say it now. */
  tell(): void {
    if (this.last === null) return
    this.told = this.now()
    const text = progressText(this.last, this.last.done - this.stageFirst, this.now() - this.stageStarted)
    this.write(this.isTerminal ? `\r\x1b[K${text}` : `${text}\n`)
    this.isOpen = this.isTerminal
  }

  /** End the changing line, so that other words can follow. */
  end(): void {
    if (this.isOpen) this.write('\r\x1b[K')
    this.isOpen = false
  }
}

/** `walks: 1200 of 20000 walks, 400/s, 18800 left, 47 s to go, 1 found`. `sinceStart` were done in `milliseconds`. */
export function progressText(at: Done, sinceStart: number, milliseconds: number): string {
  const rate = milliseconds > 0 ? (sinceStart / milliseconds) * 1000 : 0
  const parts = [
    at.of === null ? `${at.done} ${at.unit}` : `${at.done} of ${at.of} ${at.unit}`,
    `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`,
  ]
  if (at.of !== null) {
    parts.push(`${at.of - at.done} left`)
    if (rate > 0) parts.push(`${duration((at.of - at.done) / rate)} to go`)
  }
  parts.push(`${at.found} found`)
  return `${at.stage}: ${parts.join(', ')}`
}

function duration(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
