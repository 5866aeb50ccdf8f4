import { constants, fstatSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { BadInput } from '../bits/bad-input.ts'
import { fileSystem } from './file-system.ts'
import { type Place, placeOf } from './place.ts'
import { LARGEST_TRACE } from './read.ts'
import { systemReason } from './system-reason.ts'
import { begin, discard, end } from './temporaries.ts'

/**
 * The one way to write a file. What is written goes to a file of our own with a name that nobody can foresee, in the
 * same folder; it is on the disk before it takes the place of what was there, and its name is before we say so. A file
 * is thus whole or as it was before, whatever happens. Links, devices and pipes stay what they are.
 */

/** Write a file whole, or leave what was there before. Content in parts need not be in memory all at once. */
export function writeWhole(file: string, content: string | Uint8Array | Iterable<Uint8Array>): void {
  const writer = new FileWriter(file)
  try {
    if (typeof content === 'string') writer.write(Buffer.from(content))
    else if (content instanceof Uint8Array) writer.write(content)
    else for (const part of content) writer.write(part)
    writer.finish()
  } finally {
    writer.abandon()
  }
}

/** Make sure that `writeWhole` will find a place for a file: before the work, and not after it. */
export function checkWritable(option: string, file: string | undefined): void {
  if (file === undefined) return
  if (file === '') throw new BadInput(`${option} is empty; give the name of a file`)
  // A pipe waits for its reader when it is opened, and a device may do something.
  if (attempt(file, () => placeOf(file)).kind !== 'file') return
  const writer = new FileWriter(file)
  attempt(file, () => writer.discard())
}

/** A file that appears whole or not at all, written line by line. */
export type LineWriter = {
  line(text: string): void
  /** Puts the finished file in its place. */
  finish(): void
  /** Leaves whatever was there before. */
  abandon(): void
}

const FLUSH_AT = 2 ** 16

/** It is opened at once, so that a folder that cannot be written is found before the work and not after it. */
export function lineWriter(file: string, option = '--trace'): LineWriter {
  if (file === '') throw new BadInput(`${option} is empty; give the name of a file`)
  const writer = new FileWriter(file)
  let waiting = ''
  let total = 0
  const flush = () => {
    const bytes = Buffer.from(waiting)
    waiting = ''
    writer.write(bytes)
  }
  return {
    line(text) {
      total += text.length + 1
      if (total > LARGEST_TRACE) {
        throw new BadInput(`${option} ${file}: more than ${LARGEST_TRACE} bytes; write less`)
      }
      waiting += `${text}\n`
      if (waiting.length >= FLUSH_AT) flush()
    },
    finish() {
      try {
        flush()
        writer.finish()
      } finally {
        writer.abandon()
      }
    },
    abandon: () => writer.abandon(),
  }
}

const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_NOCTTY, O_RDONLY, O_DIRECTORY } = constants
/** Windows has no such flag. */
const O_NOFOLLOW: number = constants.O_NOFOLLOW ?? 0
const PERMISSIONS = 0o777
const NEW_FILE = 0o666

/** A file while it is written. `abandon` is called in any case; after `finish` it changes nothing. */
class FileWriter {
  private readonly file: string
  private readonly place: Place
  private readonly temporary: string | null
  private descriptor: number | null

  constructor(file: string) {
    this.file = file
    this.place = attempt(file, () => placeOf(file))
    const { place } = this
    if (place.kind === 'descriptor') {
      this.temporary = null
      this.descriptor = place.descriptor
    } else if (place.kind === 'stream') {
      this.temporary = null
      this.descriptor = attempt(file, () => fileSystem.open(place.path, O_WRONLY | O_APPEND | O_NOCTTY))
    } else {
      const temporary = `${dirname(place.path)}/.xenolith-${randomName()}`
      const mode = place.there === null ? NEW_FILE : place.there.mode & PERMISSIONS
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
      this.descriptor = attempt(file, () => fileSystem.open(temporary, flags, mode))
      this.temporary = temporary
      begin(temporary)
    }
  }

  write(bytes: Uint8Array): void {
    attempt(this.file, () => writeAll(this.descriptor as number, bytes))
  }

  /** Puts the file in its place. */
  finish(): void {
    const { place, temporary, descriptor } = this
    if (place.kind === 'descriptor' || descriptor === null) return
    attempt(this.file, () => {
      if (place.kind === 'file') {
        if (place.there !== null) keepOwnerAndMode(descriptor, place.there)
        fileSystem.sync(descriptor)
      }
      // Whatever `close` says, the descriptor is no longer ours.
      this.descriptor = null
      fileSystem.close(descriptor)
      if (place.kind !== 'file' || temporary === null) return
      fileSystem.rename(temporary, place.path)
      end(temporary)
      syncFolder(dirname(place.path))
    })
  }

  /** Leaves whatever was there before, unless it has been finished. What goes wrong with that is not told. */
  abandon(): void {
    try {
      this.discard()
    } catch {}
  }

  discard(): void {
    const { place, temporary, descriptor } = this
    this.descriptor = null
    try {
      if (descriptor !== null && place.kind !== 'descriptor') fileSystem.close(descriptor)
    } finally {
      if (temporary !== null) discard(temporary)
    }
  }
}

/** The file that replaces another belongs to whom that one did, where we may give it away, and has its mode. */
function keepOwnerAndMode(descriptor: number, there: Stats): void {
  if (process.platform === 'win32') return
  const ours = fstatSync(descriptor)
  if (ours.uid !== there.uid || ours.gid !== there.gid) {
    // Only root may give a file away.
    if (process.geteuid?.() === 0) fileSystem.chown(descriptor, there.uid, there.gid)
  }
  const mode = there.mode & PERMISSIONS
  if ((ours.mode & PERMISSIONS) !== mode) fileSystem.chmod(descriptor, mode)
}

/** A name is on the disk when its folder is. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  let descriptor: number | null = null
  try {
    descriptor = fileSystem.open(folder, O_RDONLY | O_DIRECTORY)
    fileSystem.sync(descriptor)
  } catch (error) {
    if (!NO_SYNC.has((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    if (descriptor !== null) fileSystem.close(descriptor)
  }
}

/** What file systems say that have no such thing, and folders that one may write to and not read. */
const NO_SYNC: ReadonlySet<string> = new Set(['EINVAL', 'ENOTSUP', 'ENOSYS', 'EACCES', 'EPERM'])

/** Writes everything, also to a pipe that whoever started us has made non-blocking. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.byteLength; ) {
    try {
      written += fileSystem.write(descriptor, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** A name that nobody guesses; from the Web’s cryptography, as to load Node’s takes every command some milliseconds. */
function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof BadInput ? error : new BadInput(`cannot write ${file}: ${systemReason(error)}`)
  }
}
