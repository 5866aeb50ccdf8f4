/**
 * What ^C does to a long run: once, it ends in order and saves where it is; twice, it ends at once. SIGTERM is the first
 * of these, SIGUSR1 asks how far the run is.
 */
export type Interrupt = {
  /** Aborted by the first ^C. */
  readonly signal: AbortSignal
  /** Give the signals back to whoever had them. */
  release(): void
}

const STATUS_INTERRUPTED = 130

/** @param asked told of the first ^C; @param status told of SIGUSR1 */
export function onInterrupt(asked: () => void, status: () => void): Interrupt {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(STATUS_INTERRUPTED)
    controller.abort()
    asked()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  process.on('SIGUSR1', status)
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
      process.off('SIGUSR1', status)
    },
  }
}
