import { crc32 } from 'node:zlib'
import { BadPayload } from './bad-payload.ts'
import { LzmaDecoder } from './lzma/lzma-decoder.ts'
import { LZMA2, unpackLzma2 } from './lzma/lzma2.ts'
import { unfilterX86 } from './x86-filter.ts'

/**
 * The xz container, as far as kernels have it: one stream, LZMA2, before it perhaps the filter for x86 code, checked by
 * CRC32 or not at all. The kernel's own decoder reads no more either.
 *
 *     header: magic (6), flags (2), CRC32 | block: header, LZMA2, padding, check | ... | index | CRC32, size, flags, "YZ"
 */
export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]
const STREAM_HEADER_BYTES = 12
const CHECK_BYTES: Record<number, number> = { 0: 0, 1: 4 }
const FILTER = { x86: 4, lzma2: 0x21 } as const
const BLOCK = { filters: 3, packedSize: 0x40, size: 0x80, reserved: 0x3c } as const

/** Unpack an xz stream of `size` bytes of content. Throws BadPayload. */
export function unpackXz(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < STREAM_HEADER_BYTES + 4) throw new BadPayload('it is cut off')
  if (crc32(bytes.subarray(6, 8)) !== view.getUint32(8, true)) throw new BadPayload('its header is damaged')
  const checkBytes = CHECK_BYTES[bytes[7]]
  if (checkBytes === undefined) throw new BadPayload(`it has check ${bytes[7]}; kernels have CRC32, or none`)
  const decoder = new LzmaDecoder({ outputBytes: size, ...LZMA2 })
  const output = decoder.memory.output()
  let at = STREAM_HEADER_BYTES
  // The index, which begins with 0, says again what the blocks have said.
  while (bytes[at] !== 0) {
    const { start, isX86 } = readBlockHeader(bytes, at)
    const begin = decoder.at
    const end = unpackLzma2(bytes, start, decoder)
    const content = output.subarray(begin, decoder.at)
    if (isX86) unfilterX86(decoder.memory, content.byteOffset, content.length)
    at = end + ((4 - ((end - start) % 4)) % 4)
    if (at + checkBytes >= bytes.length) throw new BadPayload('it is cut off')
    if (checkBytes === 4 && crc32(content) !== view.getUint32(at, true)) {
      throw new BadPayload('its content does not have the checksum that it states')
    }
    at += checkBytes
  }
  if (decoder.at !== size) throw new BadPayload('it is shorter than it says')
  return output
}

/** Where a block's content begins, and whether it was filtered. */
function readBlockHeader(bytes: Uint8Array, at: number): { start: number; isX86: boolean } {
  const start = at + (bytes[at] + 1) * 4
  if (start > bytes.length) throw new BadPayload('it is cut off')
  const header = bytes.subarray(at, start)
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (crc32(header.subarray(0, -4)) !== view.getUint32(header.length - 4, true)) {
    throw new BadPayload('the header of a block is damaged')
  }
  const flags = header[1]
  if ((flags & BLOCK.reserved) !== 0) throw new BadPayload('the header of a block is of another version')
  let next = 2
  const number = (): number => {
    let value = 0
    for (let shift = 1; next < header.length; shift *= 0x80) {
      const byte = header[next++]
      value += (byte & 0x7f) * shift
      if (byte < 0x80) break
    }
    return value
  }
  if ((flags & BLOCK.packedSize) !== 0) number()
  if ((flags & BLOCK.size) !== 0) number()
  const filters: number[] = []
  for (let i = 0; i <= (flags & BLOCK.filters); i++) {
    filters.push(number())
    const properties = number()
    next += properties
  }
  const isX86 = filters.length === 2 && filters[0] === FILTER.x86
  if (filters.at(-1) !== FILTER.lzma2 || filters.length > (isX86 ? 2 : 1)) {
    throw new BadPayload(`it has filters ${filters.join(', ')}; kernels for x86 have LZMA2 and x86`)
  }
  return { start, isX86 }
}
