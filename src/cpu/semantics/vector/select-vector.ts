import type { Instruction, Operand } from '../../../machine/vcpu/instruction.ts'

/**
 * The mnemonic by which the table of semantics has an instruction with vector registers, where that is not its own: MMX and
 * SSE share mnemonics, some operations have a code for immediates, and moves and conversions of general registers one for
 * each size.
 */
export function vectorName(i: Instruction): string {
  return i.operands.some((operand) => isOf(operand, 'mmx')) ? `mmx ${mmxName(i)}` : sseName(i)
}

function isOf(operand: Operand, registers: 'mmx' | 'xmm'): boolean {
  return operand.kind === 'register' && operand.class === registers
}

const SHIFTS = /^ps(?:ll|rl|ra)[wdq]$/

function isByImmediate(i: Instruction): boolean {
  return SHIFTS.test(i.name) && i.operands[1].kind === 'immediate'
}

function mmxName(i: Instruction): string {
  if (i.name === 'movd') return moveName(i, isOf(i.operands[0], 'mmx'))
  if ((i.name === 'movq' || i.name === 'movntq') && i.operands[0].kind === 'memory') return 'movd 8 from'
  return isByImmediate(i) ? `${i.name} immediate` : i.name
}

function moveName(i: Instruction, isTo: boolean): string {
  return `movd ${i.size === 8 ? 8 : 4} ${isTo ? 'to' : 'from'}`
}

const sizeOf = (operand: Operand): number => (operand.kind === 'target' ? 0 : operand.size)

function sseName(i: Instruction): string {
  const { name, operands } = i
  if (name === 'movd') return moveName(i, isOf(operands[0], 'xmm'))
  if ((name === 'movsd' || name === 'movq') && operands[0].kind === 'memory') return 'movlps'
  if (name === 'cvtsi2ss' || name === 'cvtsi2sd') return `cvtsi${sizeOf(operands[1])}2${name.slice(-2)}`
  if (name === 'cvttss2si' || name === 'cvttsd2si') return `${name}${sizeOf(operands[0])}`
  return isByImmediate(i) ? `${name} immediate` : name
}
