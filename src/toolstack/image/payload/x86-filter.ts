/**
 * xz's filter for x86 code: before packing, the operand of each call and jmp was made absolute, so that calls of one
 * function look alike. Here they become relative again.
 *
 * Only operands whose highest byte is 0 or 0xff are changed. As any byte may look like an opcode, what was one is guessed
 * from the opcode-like bytes in the three bytes before: `seen` has a bit for each, the nearest lowest.
 */
const CALL = 0xe8
const CALL_OR_JMP = 0xfe
/** By `seen`: whether an opcode may begin here at all, and which byte of the operand the former opcode would reach. */
const MAY_BEGIN = [true, true, true, false, true, false, false, false]
const REACHED_BYTE = [0, 1, 2, 2, 3, 3, 3, 3]

function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff
}

/** Undo the filter in place. Addresses count from the beginning of `bytes`. */
export function unfilterX86(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let seen = 0
  let last = -1
  for (let at = 0; at + 4 < bytes.length; at++) {
    if ((bytes[at] & CALL_OR_JMP) !== CALL) continue
    const distance = at - last
    seen = distance > 3 ? 0 : (seen << (distance - 1)) & 7
    last = at
    if (seen !== 0 && (!MAY_BEGIN[seen] || isSignByte(bytes[at + 4 - REACHED_BYTE[seen]]))) {
      seen = ((seen << 1) | 1) & 0xff
      continue
    }
    if (!isSignByte(bytes[at + 4])) {
      seen = (seen << 1) | 1
      continue
    }
    view.setInt32(at + 1, relative(view.getInt32(at + 1, true), at + 5, seen), true)
    at += 4
    last = at - 4
  }
}

/** The operand relative to `next`, 25 bits wide. */
function relative(absolute: number, next: number, seen: number): number {
  let value = (absolute - next) | 0
  if (seen !== 0) {
    const shift = REACHED_BYTE[seen] * 8
    while (isSignByte((value >>> (24 - shift)) & 0xff)) {
      value = ((value ^ (2 ** (32 - shift) - 1)) - next) | 0
    }
  }
  return (value << 7) >> 7
}
