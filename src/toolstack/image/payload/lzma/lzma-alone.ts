import { BadPayload } from '../bad-payload.ts'
import { LzmaDecoder } from './lzma-decoder.ts'

/** LZMA's first file format: properties, the sizes of the dictionary (32 bits) and of the output (64), symbols. */
const HEADER_BYTES = 13
const UNKNOWN_SIZE = 0xffff_ffff
/** lc is 8 at most, lp is 4. */
const MOST_LITERAL_BITS = 12

/** Whether a payload is in LZMA's first file format, which has no magic: sensible properties, a dictionary of 2^n. */
export function isLzmaAlone(bytes: Uint8Array): boolean {
  return bytes.length > HEADER_BYTES && bytes[0] === 0x5d && bytes[1] === 0 && bytes[2] === 0
}

/** Unpack LZMA's first file format, to `size` bytes. Throws BadPayload. */
export function unpackLzmaAlone(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const says = view.getUint32(5, true)
  const isUnknown = says === UNKNOWN_SIZE && view.getUint32(9, true) === UNKNOWN_SIZE
  if (!isUnknown && says !== size) throw new BadPayload('it says another size than the image')
  const input = bytes.subarray(HEADER_BYTES)
  const decoder = new LzmaDecoder({
    outputBytes: size,
    inputBytes: input.length,
    literalBits: MOST_LITERAL_BITS,
  })
  decoder.setProperties(bytes[0])
  if (!decoder.begin(input)) throw new BadPayload('it does not begin as LZMA does')
  decoder.decode(size)
  if (!decoder.isWithinInput()) throw new BadPayload('it is cut off')
  if (decoder.at !== size) throw new BadPayload('it is shorter than it says')
  if (isUnknown && !decoder.endsHere()) throw new BadPayload('it is longer than it says')
  if (!decoder.isWithinInput()) throw new BadPayload('it is cut off')
  return decoder.memory.output()
}
