import type { Random } from '../../tools/random.ts'
import type { CpuCase } from '../case.ts'
import { Draft } from './draft.ts'
import { encode } from './encode.ts'
import { INTEGER_FORMS } from './forms-integer.ts'
import { loosenFlags, loosenShift } from './loose.ts'
import { ordinaryOperands } from './needs-integer.ts'
import { type Form, forms } from './notation.ts'

/**
 * A few instructions in a row, on registers: flags that one leaves and another needs, parts of registers, and a branch at the
 * end. Only instructions whose undefined flags none of the others looks at.
 */
const MEMBERS =
  /^(add|adc|sub|sbb|cmp|inc|dec|neg|not|mov|movzx|movsx|movsxd|lea|set.*|cmov.*|xchg|bswap|cbw|cwde|cdqe|cwd|cdq|cqo|and|or|xor|test|stc|clc|cmc|xadd|cmpxchg)$/

const members: readonly Form[] = INTEGER_FORMS.filter(
  ({ mnemonic, operands }) =>
    MEMBERS.test(mnemonic) && !operands.some(({ kind }) => kind === 'm' || kind === 'moffs'),
)
const shiftsByOne: readonly Form[] = INTEGER_FORMS.filter(({ name }) => name.endsWith(', 1'))
const branches = forms(
  Array.from({ length: 16 }, (_, n) => `${(0x70 + n).toString(16)} : jcc rel8`).join('\n'),
)

/** Registers are few, so that one instruction meets the results of another. */
const FEW = 4
const ROOM = 30

/**
 * One of them, on registers, with the flags that it leaves undefined.
 *
 * @param onlyFew whether it writes none but the few
 */
export function sequenceInstruction(random: Random, onlyFew = false): { bytes: Uint8Array; loose: number } {
  const form = random.once(6) ? random.pick(shiftsByOne) : random.pick(members)
  const draft = new Draft(form, random, false)
  draft.memory = false
  draft.reg = (draft.reg & (FEW - 1)) | (random.once(8) ? 8 : 0)
  draft.rm = (draft.rm & (FEW - 1)) | (random.once(8) ? 8 : 0)
  if (!onlyFew && random.once(16) && draft.form.operands.some(({ bits }) => bits === 8)) draft.rm |= 4
  ordinaryOperands(draft)
  loosenFlags(draft)
  if (form.name.endsWith(', 1')) loosenShift(draft, form.operands[0].bits, 1)
  return { bytes: encode(draft, { lock: false, idle: [] }), loose: draft.loose.rflags }
}

export function sequenceCase(random: Random): CpuCase {
  const first = new Draft(random.pick(members), random, false)
  const code: number[] = []
  for (let left = random.between(2, 7); left > 0; left--) {
    const { bytes, loose } = sequenceInstruction(random)
    if (code.length + bytes.length > ROOM) break
    code.push(...bytes)
    first.loose.rflags |= loose
  }
  if (random.once(3)) {
    const { opcode } = random.pick(branches)
    const end = first.codeAt + code.length + 2
    const distance = random.between(6, 100)
    code.push(opcode[0], distance)
    first.target = end + distance
  }
  return { ...first.finish(Uint8Array.from(code)), form: 'sequence' }
}
