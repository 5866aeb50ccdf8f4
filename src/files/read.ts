import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { BadInput } from '../bits/bad-input.ts'
import { systemReason } from './system-reason.ts'

const STANDARD_INPUT = 0
/** Far above any boot log, map or script, far below what a string can hold. */
const LARGEST_FILE = 64 * 2 ** 20

/** What a trace may have at most, written or read: far above what the largest guest's boot makes. */
export const LARGEST_TRACE = 256 * 2 ** 20

/** The lines of a trace file, or of standard input for `-`. */
export function readLines(file: string): string[] {
  const lines = readText(file, LARGEST_TRACE).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** A file's text, of at most `largest` bytes; `-` is standard input. */
export function readText(name: string, largest = LARGEST_FILE): string {
  return name === '-'
    ? readFrom('standard input', STANDARD_INPUT, largest)
    : readFrom(name, undefined, largest)
}

function readFrom(name: string, descriptor: number | undefined, largest: number): string {
  try {
    const file = descriptor ?? openSync(name, 'r')
    try {
      const { size } = fstatSync(file)
      if (size > largest)
        throw new BadInput(`${name}: ${size} bytes are too many; at most ${largest} are read`)
      if (descriptor === undefined) return readFileSync(file, 'utf8')
      const parts: Buffer[] = []
      readAll(file, (part) => parts.push(Buffer.from(part)))
      return Buffer.concat(parts).toString('utf8')
    } finally {
      if (descriptor === undefined) closeSync(file)
    }
  } catch (error) {
    throw error instanceof BadInput ? error : new BadInput(`cannot read ${name}: ${systemReason(error)}`)
  }
}

/** Reads a file of any size, or standard input for `-`, piece by piece. */
export function readChunks(name: string, push: (chunk: Uint8Array) => void): void {
  const what = name === '-' ? 'standard input' : name
  try {
    const descriptor = name === '-' ? STANDARD_INPUT : openSync(name, 'r')
    try {
      if (fstatSync(descriptor).isDirectory()) throw new BadInput(`cannot read ${what}: it is a folder`)
      readAll(descriptor, push, 2 ** 20)
    } finally {
      if (name !== '-') closeSync(descriptor)
    }
  } catch (error) {
    throw error instanceof BadInput ? error : new BadInput(`cannot read ${what}: ${systemReason(error)}`)
  }
}

/** A file's bytes, of at most `largest`; `-` is standard input. */
export function readBytes(name: string, largest: number): Uint8Array {
  const parts: Buffer[] = []
  let total = 0
  readChunks(name, (chunk) => {
    total += chunk.length
    if (total > largest) throw new BadInput(`${name}: more than ${largest} bytes; that is too many`)
    parts.push(Buffer.from(chunk))
  })
  return Buffer.concat(parts)
}

/** Reads a stream to its end, also one that whoever started us has made non-blocking. */
function readAll(descriptor: number, push: (part: Uint8Array) => void, size = 2 ** 16): void {
  // A plain array, no Buffer: hot loops over it stay of one type.
  const part = new Uint8Array(size)
  for (;;) {
    try {
      const length = readSync(descriptor, part)
      if (length === 0) return
      push(part.subarray(0, length))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}
