import { writeOutput } from '../../../files/standard-streams.ts'
import type { KernelRun } from '../../../run/kernel/kernel-boot.ts'
import type { Here } from '../../thread/thread.ts'

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
 * Take the process's terminal for a guest, in raw mode: the guest's own line editing does everything, ^C included. The keys go
 * to `typed`, but for ^], which means `leave`. Returns how to give it back.
 */
export function takeTerminal(typed: (bytes: Uint8Array) => void, leave: () => void): () => void {
  const { stdin } = process
  const onData = (bytes: Buffer): void => {
    const end = bytes.indexOf(LEAVE)
    typed(end === -1 ? bytes : bytes.subarray(0, end))
    if (end !== -1) leave()
  }
  stdin.setRawMode(true)
  stdin.on('data', onData)
  stdin.resume()
  return () => {
    stdin.setRawMode(false)
    stdin.off('data', onData)
    stdin.pause()
  }
}

/** A guest may have left the terminal in the middle of a line, in a colour. */
export function endLine(): void {
  try {
    writeOutput('\x1b[0m\r\n')
  } catch {
    // The terminal itself may have gone.
  }
}

/** Run a kernel for somebody at a terminal. While the guest waits, its time passes as ours does. */
export function runOnTerminal(run: KernelRun, { typed, stop }: Here): void {
  const { guest, console, xen } = run.machine
  for (;;) {
    const { rings } = stop
    for (const bytes of typed()) console.type(bytes)
    const state = run.step(SLICE)
    if (run.outcome !== null) return
    if (state !== 'waiting') continue
    const before = performance.now()
    stop.wait(rings, Math.min(MOST_WAIT_MS, (guest.deadline - xen.clock.now) / 1e6))
    guest.passTime((performance.now() - before) * 1e6)
  }
}
