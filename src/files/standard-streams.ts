import { writeSync } from 'node:fs'
import { BadInput } from '../bits/bad-input.ts'
import { systemReason } from './system-reason.ts'

const OUTPUT = 1
const ERROR = 2
/** The exit status of what could not be told. */
const STATUS_UNTOLD = 2
/** How long to wait for a reader that is slower than we are. */
const PAUSE_MS = 5

/** Whoever reads standard output has seen enough (`| head`): no error, but nothing more is to be done. */
export class OutputClosed extends Error {
  override name = 'OutputClosed'
}

/**
 * Write to standard output, whole, before this returns: a document of any size is complete when the program ends, and a guest
 * that writes faster than its reader reads waits for him. Throws BadInput where it cannot be written, OutputClosed where
 * nobody reads any more.
 */
export function writeOutput(content: string | Uint8Array): void {
  try {
    writeAll(OUTPUT, content)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw new OutputClosed()
    throw new BadInput(`cannot write standard output: ${systemReason(error)}`)
  }
}

let isUntold = false

/**
 * Write to standard error. Where that cannot be done there is nobody to tell: the work goes on, and a program that would end
 * with 0 ends with 2. A reader that has gone is no error.
 */
export function writeError(content: string): void {
  try {
    writeAll(ERROR, content)
  } catch (error) {
    if (isUntold || (error as NodeJS.ErrnoException).code === 'EPIPE') return
    isUntold = true
    process.on('exit', () => {
      process.exitCode ||= STATUS_UNTOLD
    })
  }
}

/** A pipe may be a non-blocking one, which takes a part, or nothing for now. */
function writeAll(descriptor: number, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(NEVER, 0, 0, PAUSE_MS)
    }
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))
