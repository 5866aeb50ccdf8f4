import type { Random } from '../../tools/random.ts'
import { type CpuCase, PAGE } from '../case.ts'
import { Draft, RCX, RDI, RSI, RSP } from './draft.ts'
import { forms } from './notation.ts'
import { sequenceInstruction } from './sequences.ts'

/**
 * popfq sets the trap flag: the instruction behind it is carried out, and then there is a debug exception. Of a repeated string
 * instruction one round is.
 */
const [FORM] = forms('9d : popfq, then a step')
const TRAP_FLAG = 0x100
const ALIGNMENT_CHECK = 0x4_0000
/** rep movsb, repe cmpsd, rep stosq, lodsw. */
const STRINGS = [
  [0xf3, 0xa4],
  [0xf3, 0xa7],
  [0xf3, 0x48, 0xab],
  [0x66, 0xad],
]

export function singleStepCase(random: Random): CpuCase {
  const draft = new Draft(FORM, random, false, true)
  draft.pinAddress(RSP, PAGE)
  draft.setData(PAGE, (random.bits() & ~ALIGNMENT_CHECK) | TRAP_FLAG)
  const code = [0x9d]
  if (random.once(3)) {
    draft.pinAddress(RSI, PAGE - 32)
    draft.pinAddress(RDI, PAGE + 32)
    draft.pin(RCX, random.between(0, 4), 0)
    code.push(...random.pick(STRINGS))
  } else {
    const { bytes, loose } = sequenceInstruction(random)
    code.push(...bytes)
    draft.loose.rflags = loose
  }
  // Behind the step, so that one that does not stop is noticed.
  code.push(0x48, 0xff, 0xc0)
  return draft.finish(Uint8Array.from(code))
}
