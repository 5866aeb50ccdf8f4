import { BadPayload } from '../bad-payload.ts'
import { STATUS } from './decode-function.ts'
import type { LzmaDecoder } from './lzma-decoder.ts'

/**
 * LZMA2 is LZMA cut into chunks, each with a control byte:
 *
 *     0           the end
 *     1, 2        size - 1 (16 bits), stored bytes; 1 begins a new dictionary
 *     1rrsssss    sizes - 1 of the output (the low 16 of 21 bits) and of the input (16 bits), properties if r > 1, LZMA
 *
 * r: 0 goes on, 1 forgets the state, 2 has new properties, 3 begins a new dictionary too.
 */
const STORED_NEW_DICTIONARY = 1
const STORED = 2
const LZMA = 0x80
const NEW_STATE = 1
const NEW_PROPERTIES = 2
const NEW_DICTIONARY = 3
/** What a decoder of LZMA2 has to have room for: a chunk says its packed size in 16 bits, and lc + lp is 4 at most. */
export const LZMA2 = { inputBytes: 2 ** 16, literalBits: 4 } as const
/**
 * To forget the state takes as long as to decode a KiB: a chunk of a few bytes that does so is nothing that an encoder
 * makes, and a file of them would take for ever.
 */
const FREE_RESETS = 1024
const BYTES_A_RESET = 1024

/** Unpack LZMA2 from `input` at `at` on, to where the decoder's output is. Returns where the input ends. */
export function unpackLzma2(input: Uint8Array, at: number, decoder: LzmaDecoder): number {
  const begin = decoder.at
  let needs = NEW_DICTIONARY
  let resets = 0
  const number = (where: number): number => (input[where] << 8) | input[where + 1]
  for (let from = at; ; ) {
    if (from >= input.length) throw new BadPayload('it is cut off')
    const control = input[from]
    if (control === 0) return from + 1
    if (control >= LZMA) {
      const reset = (control >> 5) & 3
      const bytes = ((control & 0x1f) << 16) + number(from + 1) + 1
      const packed = number(from + 3) + 1
      const start = from + (reset >= NEW_PROPERTIES ? 6 : 5)
      if (reset > 0 && ++resets > FREE_RESETS + (decoder.at - begin) / BYTES_A_RESET) {
        throw new BadPayload('it begins anew too often')
      }
      if (reset < needs) throw new BadPayload('a chunk goes on with what is not there')
      if (start + packed > input.length) throw new BadPayload('it is cut off')
      if (reset === NEW_DICTIONARY) decoder.resetDictionary()
      if (reset >= NEW_PROPERTIES) decoder.setProperties(input[from + 5])
      else if (reset === NEW_STATE) decoder.resetState()
      needs = 0
      from = start + packed
      if (!decoder.begin(input.subarray(start, from))) {
        throw new BadPayload('a chunk does not begin as LZMA does')
      }
      if (decoder.decode(decoder.at + bytes) !== STATUS.done || !decoder.finish()) {
        throw new BadPayload('a chunk has another length than it says')
      }
    } else if (control <= STORED) {
      if (control === STORED_NEW_DICTIONARY) decoder.resetDictionary()
      else if (needs === NEW_DICTIONARY) throw new BadPayload('a chunk goes on with what is not there')
      const bytes = number(from + 1) + 1
      if (from + 3 + bytes > input.length) throw new BadPayload('it is cut off')
      decoder.store(input.subarray(from + 3, from + 3 + bytes))
      needs = Math.min(needs, NEW_PROPERTIES)
      from += 3 + bytes
    } else {
      throw new BadPayload(`a chunk is of the unknown kind ${control}`)
    }
  }
}
