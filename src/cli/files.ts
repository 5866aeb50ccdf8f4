import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { BadInput } from '../run/boot/boot-options.ts'
import { findMap, type MemoryMap, parseMap, shippedMaps } from '../run/maps/maps.ts'

const STANDARD_INPUT = 0
/** Far above any boot log, map or script, far below what a string can hold. */
const LARGEST_FILE = 64 * 2 ** 20

/** The shipped map of that name; else the map in the file of that name; `-` reads standard input. */
export function loadMap(nameOrFile: string): MemoryMap {
  if (nameOrFile === '-') return parseMap(readText('-'), 'standard input')
  const shipped = shippedMaps().find((map) => map.name === nameOrFile)
  if (shipped !== undefined) return shipped
  if (existsSync(nameOrFile) || looksLikeFile(nameOrFile)) return parseMap(readText(nameOrFile), nameOrFile)
  return findMap(nameOrFile)
}

/** What a trace may have at most, written or read: far above what the largest guest's boot makes. */
const LARGEST_TRACE = 256 * 2 ** 20

/** The lines of a trace file, or of standard input for `-`. */
export function readLines(file: string): string[] {
  const lines = readText(file, LARGEST_TRACE).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** A separator or an ending: nobody means a shipped map by that. */
function looksLikeFile(word: string): boolean {
  return /[/\\]|\.(json|log|txt|out|map)$/i.test(word)
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
    throw error instanceof BadInput ? error : new BadInput(`cannot read ${name}: ${reason(error)}`)
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
    throw error instanceof BadInput ? error : new BadInput(`cannot read ${what}: ${reason(error)}`)
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

/** Write a file whole, or leave what was there before. */
export function writeWhole(file: string, content: string | Uint8Array): void {
  const { target, special } = destination(file)
  const partial = special ? target : `${target}.partial`
  attempt(file, () => {
    writeFileSync(partial, content)
    if (!special) renameSync(partial, target)
  })
}

/** Make sure that `writeWhole` will find a place for a file: before the work, and not after it. */
export function checkWritable(option: string, file: string | undefined): void {
  if (file === undefined) return
  if (file === '') throw new BadInput(`${option} is empty; give the name of a file`)
  const { target, special } = destination(file)
  if (special) return
  attempt(file, () => {
    closeSync(openSync(`${target}.partial`, 'w'))
    rmSync(`${target}.partial`)
  })
}

/** A file that appears whole or not at all, written line by line. */
export type LineWriter = {
  line(text: string): void
  /** Puts the finished file in its place. */
  finish(): void
  /** Leaves whatever was there before. */
  abandon(): void
}

/** Run something that writes a trace, if a file is named for it: whole, or not at all when the run fails. */
export function withTrace<T>(
  file: string | undefined,
  run: (line: ((text: string) => void) | undefined) => T,
): T {
  if (file === undefined) return run(undefined)
  const trace = lineWriter(file)
  let result: T
  try {
    result = run((text) => trace.line(text))
  } catch (error) {
    trace.abandon()
    throw error
  }
  trace.finish()
  return result
}

const FLUSH_AT = 2 ** 16

/**
 * Lines go to `FILE.partial`, which is renamed at the end. It is opened at once, so that a folder that cannot be
 * written is found before the work and not after it. A device or a pipe has no name to take over: it is written as is.
 */
export function lineWriter(file: string, option = '--trace'): LineWriter {
  if (file === '') throw new BadInput(`${option} is empty; give the name of a file`)
  const { target, special } = destination(file)
  const partial = special ? target : `${target}.partial`
  const descriptor = attempt(file, () => openSync(partial, 'w'))
  let waiting = ''
  let total = 0
  const flush = () => {
    const bytes = Buffer.from(waiting)
    waiting = ''
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
  }
  return {
    line(text) {
      total += text.length + 1
      if (total > LARGEST_TRACE) {
        throw new BadInput(`${option} ${file}: more than ${LARGEST_TRACE} bytes; write less`)
      }
      waiting += `${text}\n`
      if (waiting.length >= FLUSH_AT) attempt(file, flush)
    },
    finish() {
      attempt(file, () => {
        flush()
        closeSync(descriptor)
        if (!special) renameSync(partial, target)
      })
    },
    abandon() {
      closeSync(descriptor)
      if (!special) rmSync(partial, { force: true })
    },
  }
}

/** What a name stands for: a link is followed, so that the link itself survives the renaming. */
function destination(file: string): { target: string; special: boolean } {
  return attempt(file, () => {
    if (!existsSync(file)) return { target: file, special: false }
    const target = realpathSync(file)
    const status = statSync(target)
    if (status.isDirectory()) throw new BadInput(`cannot write ${file}: it is a folder; name a file in it`)
    return { target, special: !status.isFile() }
  })
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof BadInput ? error : new BadInput(`cannot write ${file}: ${reason(error)}`)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links go round in a circle',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many files are open',
  EIO: 'the disk reports an error',
  ERR_INVALID_ARG_VALUE: 'the name is not a valid one',
}

/** The system's code in words; the code itself follows for whoever wants to look it up. */
function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === undefined) throw error
  return code in REASONS ? `${REASONS[code]} (${code})` : code
}
