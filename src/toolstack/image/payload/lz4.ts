import { BadPayload } from './bad-payload.ts'
import { DecoderMemory, SLICE_BYTES } from './decoder-memory.ts'
import { FIELD, FIELD_BYTES, lz4Module, STATUS } from './lz4-code.ts'

/**
 * LZ4's legacy container: a magic, then blocks of 8 MiB of content each, the last one shorter, each with the size of its
 * packed bytes before it.
 */
export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18]

const MESSAGES: Readonly<Record<number, string>> = {
  [STATUS.cutOff]: 'a block is cut off',
  [STATUS.blockTooLong]: 'a block is longer than it says',
  [STATUS.beforeBeginning]: 'it copies from before its beginning',
  [STATUS.tooLong]: 'it is longer than it says',
}

/** Unpack LZ4 of `size` bytes of content. Throws BadPayload. */
export function unpackLz4(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const memory = new DecoderMemory({ ownBytes: FIELD_BYTES + bytes.length, outputBytes: size })
  memory.u8.set(bytes, FIELD_BYTES)
  memory.u32[FIELD.to >> 2] = memory.start
  const { decode } = memory.run(lz4Module())
  const end = memory.start + size
  let at = LZ4_LEGACY_MAGIC.length
  while (memory.u32[FIELD.to >> 2] < end) {
    if (at + 4 > bytes.length) throw new BadPayload('it is cut off')
    const packed = view.getUint32(at, true)
    at += 4
    if (at + packed > bytes.length) throw new BadPayload('it is cut off')
    unpackBlock(memory, decode, FIELD_BYTES + at, FIELD_BYTES + at + packed)
    at += packed
  }
  return memory.output()
}

/** Unpack one block, from an address to another, to where the output is. */
function unpackBlock(
  { start, size, u32 }: DecoderMemory,
  decode: (inputEnd: number, begin: number, end: number, pause: number) => number,
  from: number,
  inputEnd: number,
): void {
  const begin = u32[FIELD.to >> 2]
  const end = start + size
  u32[FIELD.from >> 2] = from
  let status: number = STATUS.paused
  while (status === STATUS.paused) {
    status = decode(inputEnd, begin, end, u32[FIELD.to >> 2] + SLICE_BYTES)
  }
  if (status !== STATUS.done) throw new BadPayload(MESSAGES[status])
}
