import {
  closeSync,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { BadInput } from '../bits/bad-input.ts'
import { LARGEST_TRACE } from './read.ts'
import { systemReason } from './system-reason.ts'

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
    throw error instanceof BadInput ? error : new BadInput(`cannot write ${file}: ${systemReason(error)}`)
  }
}
