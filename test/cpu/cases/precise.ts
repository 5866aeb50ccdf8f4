import type { Random } from '../../tools/random.ts'
import { type CpuCase, PAGE, SPACE } from '../case.ts'
import { Draft, RDI, RSP, STATUS_FLAGS } from './draft.ts'
import { forms } from './notation.ts'
import { sequenceInstruction } from './sequences.ts'

/**
 * A few instructions of which one in the middle may fault: those before it have happened then, to the last flag, and those
 * behind it have not.
 */
const [FORM] = forms('8b /r : precise')

/** Where an access may lie: in the data, mostly; in the page that is read-only, behind everything, before it, nowhere. */
const PLACES: readonly (readonly [low: (random: Random) => number, high: number])[] = [
  ...Array.from(
    { length: 6 },
    () => [(random: Random) => SPACE.data + PAGE - 48 + random.between(0, 90), 0] as const,
  ),
  [(random) => SPACE.readOnly + random.between(16, 80), 0],
  [(random) => SPACE.readOnly + PAGE - random.between(0, 12), 0],
  [(random) => SPACE.data - random.between(1, 16), 0],
  [() => 16, 0x8000_0000],
]

/** add, or, adc, sbb, and, sub, xor, cmp of memory and register, either way round, mov, xchg, movzx, cmov, setcc, and so on. */
const OPCODES: readonly (readonly number[])[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [[n * 8 + 1], [n * 8 + 3], [n * 8]]),
  ...[[0x89], [0x8b], [0x88], [0x8a], [0x87], [0x85], [0x84]],
  ...[
    [0x0f, 0xb6],
    [0x0f, 0xbf],
    [0x0f, 0x4a],
    [0x0f, 0x4e],
    [0x0f, 0x92],
    [0x0f, 0xc1],
    [0x0f, 0xb1],
  ],
  ...[[0xff], [0xf7]],
]
/** Registers of the sequences: rax, rcx, rdx, rbx. */
const FEW = 4
const ROOM = 31

export function preciseCase(random: Random): CpuCase {
  const draft = new Draft(FORM, random, false, true)
  const code: number[] = []
  const add = (count: number, room: number): void => {
    for (let left = count; left > 0; left--) {
      const { bytes, loose } = sequenceInstruction(random, true)
      if (code.length + bytes.length > room) return
      code.push(...bytes)
      draft.loose.rflags |= loose
    }
  }
  const middle = middleInstruction(draft)
  const { rflags } = draft.loose
  draft.loose.rflags = 0
  add(random.between(1, 4), ROOM - middle.length - 4)
  draft.loose.before = draft.loose.rflags
  draft.loose.rflags |= rflags
  code.push(...middle)
  add(random.between(1, 3), ROOM)
  return draft.finish(Uint8Array.from(code))
}

/** The one that may fault. Nothing before it changes the register that its address is made of. */
function middleInstruction(draft: Draft): number[] {
  const { random } = draft
  const [low, high] = random.pick(PLACES)
  if (random.once(5)) {
    draft.pin(RSP, low(random), high)
    // push, pop, call of what is behind it
    return random.pick([
      [0x50 + random.between(0, 3)],
      [0x58 + random.between(0, 3)],
      [0x6a, 0x80],
      [0xe8, 0, 0, 0, 0],
    ])
  }
  if (random.once(10)) {
    // div and idiv, after which only what is compared again has flags
    draft.loose.rflags |= STATUS_FLAGS
    return [0x48, 0xf7, 0xf0 + random.pick([0, 8]) + random.between(1, 3), 0x48, 0x39, 0xc0]
  }
  draft.pin(RDI, low(random), high)
  const opcode = random.pick(OPCODES)
  const isOne = opcode[0] === 0xff || opcode[0] === 0xf7
  // inc, dec, not, neg
  const reg = isOne
    ? opcode[0] === 0xff
      ? random.between(0, 1)
      : random.between(2, 3)
    : random.between(0, FEW - 1)
  const wide = random.pick([[0x48], [], [0x66]])
  // [rdi]
  return [...wide, ...opcode, reg * 8 + RDI]
}
