import { BadPayload } from './bad-payload.ts'

/**
 * LZ4's legacy container: a magic, then blocks of 8 MiB of content each, the last one shorter, each with the size of its
 * packed bytes before it. A block is a row of sequences:
 *
 *     token: literals (4 bits), match - 4 (4 bits) | more of the first, if 15 | literals | distance (16) | more of the second
 *
 * Only the last sequence has no match.
 */
export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18]
const LEAST_MATCH = 4

/** Unpack LZ4 of `size` bytes of content. Throws BadPayload. */
export function unpackLz4(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const output = new Uint8Array(size)
  let done = 0
  let at = LZ4_LEGACY_MAGIC.length
  while (done < size) {
    if (at + 4 > bytes.length) throw new BadPayload('it is cut off')
    const packed = view.getUint32(at, true)
    at += 4
    if (at + packed > bytes.length) throw new BadPayload('it is cut off')
    done = unpackBlock(bytes, at, at + packed, output, done)
    at += packed
  }
  return output
}

/** Unpack one block to `output` from `to` on. Returns where that ends. */
function unpackBlock(bytes: Uint8Array, start: number, end: number, output: Uint8Array, to: number): number {
  let at = start
  let done = to
  /** A length whose four bits are all set goes on in bytes, up to the first that is not 255. */
  const longer = (length: number): number => {
    let sum = length
    if (length !== 15) return sum
    let byte: number
    do {
      if (at >= end) throw new BadPayload('a block is cut off')
      byte = bytes[at++]
      sum += byte
    } while (byte === 255)
    return sum
  }
  while (at < end) {
    const token = bytes[at++]
    const literals = longer(token >> 4)
    if (at + literals > end || done + literals > output.length) {
      throw new BadPayload('a block is longer than it says')
    }
    if (literals < 32) for (let i = 0; i < literals; i++) output[done + i] = bytes[at + i]
    else output.set(bytes.subarray(at, at + literals), done)
    at += literals
    done += literals
    if (at === end) break
    if (at + 2 > end) throw new BadPayload('a block is cut off')
    const distance = bytes[at] | (bytes[at + 1] << 8)
    at += 2
    const length = longer(token & 15) + LEAST_MATCH
    if (distance === 0 || distance > done - to) throw new BadPayload('it copies from before its beginning')
    if (done + length > output.length) throw new BadPayload('it is longer than it says')
    for (let i = 0; i < length; i++, done++) output[done] = output[done - distance]
  }
  return done
}
