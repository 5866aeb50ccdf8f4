/** Words of a flag: what is asked for, why (a number of the asker's), and how often the bell was rung. */
const [REQUEST, REASON, BELL] = [0, 1, 2]
const WORDS = 3

/** Requests. To abandon does not wait for a moment from which the machine could go on. */
const STOP = 1
const ABANDON = 2

/**
 * How a run is told from another thread that it is to end. The thread that runs a guest sees no signal and no message until
 * it comes back, so that it looks here: between slices, between the parts of a long hypercall, and inside the longest parts.
 */
export class StopFlag {
  /** Shared with whoever asks. */
  readonly words: Int32Array<SharedArrayBuffer>

  constructor(words = new Int32Array(new SharedArrayBuffer(WORDS * 4))) {
    this.words = words
  }

  /** Ask for the end at the next moment from which the machine could go on. The first reason counts. */
  stop(reason = 0): void {
    if (this.isSet) return
    Atomics.store(this.words, REASON, reason)
    Atomics.store(this.words, REQUEST, STOP)
    this.ring()
  }

  /** Ask for the end at once, after `stop`: what is under way may be left half done. */
  abandon(): void {
    Atomics.store(this.words, REQUEST, ABANDON)
    this.ring()
  }

  get isSet(): boolean {
    return Atomics.load(this.words, REQUEST) !== 0
  }

  get isAbandoned(): boolean {
    return Atomics.load(this.words, REQUEST) === ABANDON
  }

  get reason(): number {
    return Atomics.load(this.words, REASON)
  }

  /** Wake whoever waits: there is something new. */
  ring(): void {
    Atomics.add(this.words, BELL, 1)
    Atomics.notify(this.words, BELL)
  }

  /** How often the bell was rung: ask before looking for what is new. */
  get rings(): number {
    return Atomics.load(this.words, BELL)
  }

  /** Wait until the bell has been rung more often than that, but no more milliseconds than these. */
  wait(rings: number, ms: number): void {
    Atomics.wait(this.words, BELL, rings, ms)
  }
}

/** The run was abandoned in the middle of something that cannot be taken up again. */
export class Abandoned extends Error {
  override name = 'Abandoned'
}
