import type { Sink, TraceEvent } from './events.ts'

type Fill = { kind: 'fill'; table: number; slot: number; count: number; lo: number; hi: number }

/**
 * Plain stores on their way into a trace: a run of stores into one frame, each to the slot of the last one or to the next,
 * becomes one `fill` event. Any other event ends the run, so that the order of events stays true.
 */
export class FillEvents {
  private readonly sink: Sink
  private run: Fill | null = null

  constructor(sink: Sink) {
    this.sink = sink
  }

  /** `count` entries from `slot` on were stored to a frame; the first one is given. */
  store(table: number, slot: number, count: number, lo: number, hi: number): void {
    const { run } = this
    if (run !== null && run.table === table) {
      const next = run.slot + run.count
      if (slot === next) {
        run.count += count
        return
      }
      if (slot === next - 1 && count === 1) return
    }
    this.flush()
    this.run = { kind: 'fill', table, slot, count, lo, hi }
  }

  add(event: TraceEvent): void {
    this.flush()
    this.sink(event)
  }

  /** End the run, if there is one. */
  flush(): void {
    const { run } = this
    this.run = null
    if (run !== null) this.sink(run)
  }
}
