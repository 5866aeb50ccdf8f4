import * as fs from 'node:fs'

/**
 * The calls of the system that writing is made of. They are fields of one record, so that tests can let each of them
 * fail in its turn and see what is left behind.
 */
export type FileSystem = {
  open(path: string, flags: number, mode?: number): number
  /** How many of the bytes from `from` on were written. */
  write(descriptor: number, bytes: Uint8Array, from: number): number
  chmod(descriptor: number, mode: number): void
  chown(descriptor: number, user: number, group: number): void
  sync(descriptor: number): void
  close(descriptor: number): void
  rename(from: string, to: string): void
  remove(path: string): void
}

export const fileSystem: FileSystem = {
  open: (path, flags, mode) => fs.openSync(path, flags, mode),
  write: (descriptor, bytes, from) => fs.writeSync(descriptor, bytes, from),
  chmod: (descriptor, mode) => fs.fchmodSync(descriptor, mode),
  chown: (descriptor, user, group) => fs.fchownSync(descriptor, user, group),
  sync: (descriptor) => fs.fsyncSync(descriptor),
  close: (descriptor) => fs.closeSync(descriptor),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
}
