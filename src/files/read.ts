import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
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
  return reading(name, () => {
    const file = descriptor ?? openSync(name, 'r')
    try {
      const status = fstatSync(file)
      if (status.size > largest) throw tooLarge(name, largest)
      if (descriptor === undefined && status.isFile()) return readFileSync(file, 'utf8')
      // A pipe or a device does not say how much there is, and may have no end.
      return readUpTo(name, file, largest).toString('utf8')
    } finally {
      if (descriptor === undefined) closeSync(file)
    }
  })
}

function readUpTo(name: string, file: number, largest: number): Buffer {
  const parts: Buffer[] = []
  let total = 0
  readAll(file, (part) => {
    total += part.length
    if (total > largest) throw tooLarge(name, largest)
    parts.push(Buffer.from(part))
  })
  return Buffer.concat(parts)
}

function tooLarge(name: string, largest: number): BadInput {
  return new BadInput(`${name}: more than ${largest} bytes; that is too many`)
}

/**
 * The bytes of a file that another file names, or that we have written ourselves: it must be a file. A pipe would wait for
 * whoever writes to it, and a device do what nobody asked for.
 */
export function readRegularFile(name: string, largest: number): Uint8Array {
  return reading(name, () => {
    const file = openRegular(name)
    try {
      const { size } = fstatSync(file)
      if (size > largest) throw tooLarge(name, largest)
      const bytes = new Uint8Array(size)
      for (let done = 0; done < bytes.length; ) {
        const length = readSync(file, bytes, done, bytes.length - done, null)
        if (length === 0) return bytes.subarray(0, done)
        done += length
      }
      return bytes
    } finally {
      closeSync(file)
    }
  })
}

/** The same part by part, of a file of any size. */
export function* fileParts(name: string): Generator<Uint8Array> {
  const file = reading(name, () => openRegular(name))
  try {
    for (;;) {
      const part = new Uint8Array(PART_BYTES)
      const length = reading(name, () => readSync(file, part))
      if (length === 0) return
      yield part.subarray(0, length)
    }
  } finally {
    closeSync(file)
  }
}

const PART_BYTES = 2 ** 20

function openRegular(name: string): number {
  const file = openSync(name, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0))
  const status = fstatSync(file)
  if (status.isFile()) return file
  closeSync(file)
  if (status.isDirectory()) throw new BadInput(`cannot read ${name}: it is a folder`)
  throw new BadInput(`cannot read ${name}: it is a pipe or a device; give a file`)
}

/** What the system says against it, as bad input. */
function reading<T>(name: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof BadInput ? error : new BadInput(`cannot read ${name}: ${systemReason(error)}`)
  }
}

/** Reads a file of any size, or standard input for `-`, piece by piece. */
export function readChunks(name: string, push: (chunk: Uint8Array) => void): void {
  const what = name === '-' ? 'standard input' : name
  reading(what, () => {
    const descriptor = name === '-' ? STANDARD_INPUT : openSync(name, 'r')
    try {
      if (fstatSync(descriptor).isDirectory()) throw new BadInput(`cannot read ${what}: it is a folder`)
      readAll(descriptor, push, 2 ** 20)
    } finally {
      if (name !== '-') closeSync(descriptor)
    }
  })
}

/**
 * Whether a name is that of a file with content, which can be read as often as wanted, and of no pipe or device. Files that
 * the kernel makes when they are read say that they are empty: they are not of that kind.
 */
export function isRegularFile(name: string): boolean {
  const status = statSync(name, { throwIfNoEntry: false })
  return status?.isFile() === true && status.size > 0
}

/** A file's bytes, of at most `largest`; `-` is standard input. */
export function readBytes(name: string, largest: number): Uint8Array {
  if (name !== '-' && isRegularFile(name)) return readRegularFile(name, largest)
  const parts: Buffer[] = []
  let total = 0
  readChunks(name, (chunk) => {
    total += chunk.length
    if (total > largest) throw tooLarge(name, largest)
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
