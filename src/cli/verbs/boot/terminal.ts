import { writeOutput } from '../../../files/standard-streams.ts'
import type { KernelOutcome, KernelRun } from '../../../run/kernel/kernel-boot.ts'

/** ^], which no shell and no editor has a use for: telnet's and xl console's. */
const LEAVE = 0x1d
/** Instructions between two looks at the keyboard: some tens of milliseconds. */
const SLICE = 3_000_000
/** The longest wait at a time. */
const MOST_WAIT_MS = 500

/** Whether somebody sits there: standard input and output are both a terminal. */
export function hasTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true
}

/**
 * Run a kernel with the process's terminal as its console, in raw mode: the guest's own line editing does everything, ^C
 * included. While the guest waits, its time passes as ours does.
 */
export async function runOnTerminal(run: KernelRun): Promise<KernelOutcome> {
  const { stdin } = process
  const { guest, console, xen } = run.machine
  let wake: () => void = () => {}
  const onData = (bytes: Buffer): void => {
    const leave = bytes.indexOf(LEAVE)
    console.type(leave === -1 ? bytes : bytes.subarray(0, leave))
    if (leave !== -1) run.outcome = 'interrupted'
    wake()
  }
  const onSignal = (): void => {
    run.outcome = 'interrupted'
    wake()
  }
  const signals = ['SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  stdin.setRawMode(true)
  stdin.on('data', onData)
  stdin.resume()
  try {
    while (run.outcome === null) {
      if (run.step(SLICE) !== 'waiting') {
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      const before = performance.now()
      const ms = Math.min(MOST_WAIT_MS, (guest.deadline - xen.clock.now) / 1e6)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      guest.passTime((performance.now() - before) * 1e6)
    }
    return run.outcome
  } finally {
    stdin.setRawMode(false)
    stdin.off('data', onData)
    stdin.pause()
    for (const signal of signals) process.off(signal, onSignal)
    // A guest may leave the terminal in the middle of a line, in a colour.
    try {
      writeOutput('\x1b[0m\r\n')
    } catch {
      // The terminal itself may have gone.
    }
  }
}
