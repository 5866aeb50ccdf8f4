import * as zlib from 'node:zlib'
import { BadPayload } from './bad-payload.ts'
import { LZ4_LEGACY_MAGIC, unpackLz4 } from './lz4.ts'
import { isLzmaAlone, unpackLzmaAlone } from './lzma/lzma-alone.ts'
import { unpackXz, XZ_MAGIC } from './xz.ts'

/** A way to pack a kernel: what it begins with, and how it is unpacked when the size of the content is known. */
type Packing = {
  readonly name: string
  readonly begins: (bytes: Uint8Array) => boolean
  readonly unpack: (bytes: Uint8Array, size: number) => Uint8Array
}

const GZIP_MAGIC = [0x1f, 0x8b]
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd]

const magic =
  (values: readonly number[]) =>
  (bytes: Uint8Array): boolean =>
    values.every((value, i) => bytes[i] === value)

/** How Linux packs itself for x86 (CONFIG_KERNEL_*). */
const PACKINGS: readonly Packing[] = [
  { name: 'gzip', begins: magic(GZIP_MAGIC), unpack: gunzip },
  { name: 'xz', begins: magic(XZ_MAGIC), unpack: unpackXz },
  { name: 'lz4', begins: magic(LZ4_LEGACY_MAGIC), unpack: unpackLz4 },
  { name: 'zstd', begins: magic(ZSTD_MAGIC), unpack: unpackZstd },
  { name: 'lzma', begins: isLzmaAlone, unpack: unpackLzmaAlone },
  { name: 'bzip2', begins: magic([0x42, 0x5a, 0x68]), unpack: () => unknown('bzip2') },
  { name: 'lzo', begins: magic([0x89, 0x4c, 0x5a, 0x4f]), unpack: () => unknown('lzo') },
]

/** The packing that bytes are in, by their first ones, or undefined. */
export function packingOf(bytes: Uint8Array): Packing | undefined {
  return PACKINGS.find((packing) => packing.begins(bytes))
}

/** Whether bytes begin as gzip's do. */
export function isGzip(bytes: Uint8Array): boolean {
  return magic(GZIP_MAGIC)(bytes)
}

/** Unpack gzip of at most `size` bytes of content: of exactly as many where the size is known. Throws BadPayload. */
export function gunzip(bytes: Uint8Array, size: number): Uint8Array {
  // What says so itself need not be unpacked to see it.
  if (saidSize(bytes) > size) throw tooLong()
  return byNode(() => zlib.gunzipSync(bytes, { maxOutputLength: size, chunkSize: roomFor(bytes, size) }))
}

const LEAST_ROOM = 2 ** 20
/** A little more than the content, or the end of the stream would be looked for in another piece. */
const MORE_ROOM = 64

/** Room for the content in one piece, as the file says how large it is: else it would be copied together from many. */
function roomFor(bytes: Uint8Array, most: number): number {
  return Math.max(LEAST_ROOM, Math.min(saidSize(bytes), most) + MORE_ROOM)
}

/** The size of the content, as the last four bytes of gzip have it, modulo 2^32. */
function saidSize(bytes: Uint8Array): number {
  if (bytes.length < 4) return 0
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(bytes.length - 4, true)
}

function tooLong(): BadPayload {
  return new BadPayload('it is longer than it says', true)
}

function unpackZstd(bytes: Uint8Array, size: number): Uint8Array {
  // Since Node 22.15.
  if (zlib.zstdDecompressSync === undefined) throw new BadPayload('its zstd needs Node 22.15 or newer')
  // What `zstd --ultra -22` of the kernel's makefiles takes at most.
  const windowLogMax = 27
  const params = { [zlib.constants.ZSTD_d_windowLogMax]: windowLogMax }
  const chunkSize = Math.max(LEAST_ROOM, size + MORE_ROOM)
  return byNode(() => zlib.zstdDecompressSync(bytes, { maxOutputLength: size, chunkSize, params }))
}

/** Node's own errors, in our words. */
function byNode(unpack: () => Uint8Array): Uint8Array {
  try {
    return unpack()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'Z_BUF_ERROR') throw new BadPayload('it is cut off')
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLong()
    throw new BadPayload('it is damaged')
  }
}

function unknown(name: string): never {
  throw new BadPayload(`it is packed with ${name}, which is not supported`)
}
