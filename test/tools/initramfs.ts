/** A file of an initramfs: its path without a slash at the front, its mode with the type, its bytes; of a device, its numbers. */
export type InitramfsFile = {
  readonly path: string
  readonly mode: number
  readonly bytes?: Uint8Array
  readonly device?: readonly [major: number, minor: number]
}

export const FOLDER = 0o040755
export const PROGRAM = 0o100755
export const CHARACTER_DEVICE = 0o020600

/**
 * An archive in the format that Linux unpacks as its first file system: cpio's "newc", whose headers are a magic number and
 * thirteen fields of eight hex digits (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
export function initramfs(files: readonly InitramfsFile[]): Uint8Array {
  const parts: Buffer[] = []
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
  const add = (
    inode: number,
    { path, mode, bytes = new Uint8Array(), device = [0, 0] }: InitramfsFile,
  ): void => {
    const name = Buffer.from(`${path}\0`)
    const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, ...device, name.length, 0]
    const header = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(Buffer.from(bytes)))
  }
  for (const [i, file] of files.entries()) add(i + 1, file)
  add(0, { path: 'TRAILER!!!', mode: 0 })
  return Buffer.concat(parts)
}

/** What the first process prints before its shell. */
export const INIT_MARK = 'the first process runs'

/** A file system of a static busybox and its shell, which runs commands and then reads more from the console. */
export function busyboxInitramfs(busybox: Uint8Array, commands: readonly string[] = []): Uint8Array {
  const init = [
    '#!/bin/busybox sh',
    '/bin/busybox mkdir -p /proc /sys',
    '/bin/busybox --install -s /bin',
    'export PATH=/bin',
    'mount -t proc proc /proc',
    `echo ${INIT_MARK}`,
    ...commands,
    'exec sh',
    '',
  ]
  return initramfs([
    { path: 'bin', mode: FOLDER },
    { path: 'dev', mode: FOLDER },
    { path: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    { path: 'dev/null', mode: CHARACTER_DEVICE, device: [1, 3] },
    { path: 'bin/busybox', mode: PROGRAM, bytes: busybox },
    { path: 'init', mode: PROGRAM, bytes: Buffer.from(init.join('\n')) },
  ])
}
