import { createHash } from 'node:crypto'
import { unpackInitrd, unpackKernel } from '../../toolstack/image/bzimage.ts'
import { readImage } from '../../toolstack/image/image.ts'
import type { NamedFile } from './kernel-machine.ts'

/** A file that many boots have, unpacked: its bytes lie in memory that all threads share. */
export type SharedFile = NamedFile & {
  /** Of what was read, in hex. */
  readonly sha256: string
}

/** What many boots have in common. */
export type SharedFiles = { readonly kernels: readonly SharedFile[]; readonly ramdisk: SharedFile | null }

/**
 * Kernels and their initrd, unpacked once for all boots that are to come. Boots come out as with the files themselves.
 *
 * @param isDom0 dom0 gets its initrd as it is
 * @throws BadInput for files that are no kernel
 */
export function shareFiles(
  kernels: readonly NamedFile[],
  ramdisk: NamedFile | null,
  isDom0: boolean,
): SharedFiles {
  return {
    kernels: kernels.map((file) => {
      const elf = unpackKernel(file.bytes, file.name)
      readImage(elf, file.name)
      return shared(file, elf)
    }),
    ramdisk: ramdisk === null ? null : shared(ramdisk, isDom0 ? ramdisk.bytes : unpacked(ramdisk)),
  }
}

/** What is still packed when it has been unpacked stays as it was: it would be unpacked again with each boot. */
function unpacked({ name, bytes }: NamedFile): Uint8Array {
  const once = unpackInitrd(bytes, name, Number.MAX_SAFE_INTEGER)
  return unpackInitrd(once, name, Number.MAX_SAFE_INTEGER) === once ? once : bytes
}

function shared({ name, bytes: read }: NamedFile, content: Uint8Array): SharedFile {
  const bytes = new Uint8Array(new SharedArrayBuffer(content.length))
  bytes.set(content)
  return { name, bytes, sha256: createHash('sha256').update(read).digest('hex') }
}
