import { accessSync, constants, lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { BadInput } from '../bits/bad-input.ts'

/** Where a name leads to, for whoever wants to write there. */
export type Place =
  /** A file, which another one can take the place of. What is there already keeps its mode and its owner. */
  | { readonly kind: 'file'; readonly path: string; readonly there: Stats | null }
  /** A device, a pipe, a socket: it has no content to keep, and is written to as it is. */
  | { readonly kind: 'stream'; readonly path: string }
  /** Standard output or error: what they are, and where in it they stand, is whoever started us. */
  | { readonly kind: 'descriptor'; readonly descriptor: number }

/** As many links in a row as Linux follows. */
const MOST_LINKS = 40
/** Names that the system has for the open files of whoever asks. */
const OPEN_FILE = /^\/(?:dev|proc\/self)\/fd\/(\d{1,9})$/
const STREAMS: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 }

/**
 * Follow a name to where it leads. Links are followed, also those that lead to nothing yet: the link stays, its target is
 * written. Throws what the system says, and BadInput for a folder.
 */
export function placeOf(name: string): Place {
  let path = name
  for (let links = 0; links <= MOST_LINKS; links++) {
    const open = STREAMS[path] ?? OPEN_FILE.exec(path)?.[1]
    if (Number(open) === 1 || Number(open) === 2) return { kind: 'descriptor', descriptor: Number(open) }
    if (open !== undefined) return { kind: 'stream', path }
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (there === undefined) return { kind: 'file', path, there: null }
    if (there.isDirectory()) throw new BadInput(`cannot write ${name}: it is a folder; name a file in it`)
    if (!there.isSymbolicLink()) {
      if (!there.isFile()) return { kind: 'stream', path }
      // Its folder alone would let us replace a file that we must not write.
      accessSync(path, constants.W_OK)
      return { kind: 'file', path, there }
    }
    const target = readlinkSync(path)
    // No `join`: where the folder is a link itself, `..` is not what the name says.
    path = isAbsolute(target) ? target : `${dirname(path)}/${target}`
  }
  throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
}
