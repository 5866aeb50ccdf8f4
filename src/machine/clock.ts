/**
 * The machine's time, which passes only when something happens: a run is the same every time. Whoever makes something
 * happen says how long it took.
 */
export class Clock {
  /** Nanoseconds since the machine was switched on. */
  now = 0

  advance(nanoseconds: number): void {
    this.now += nanoseconds
  }
}
