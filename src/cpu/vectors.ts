import type { Handler } from './emitter.ts'
import type { Instruction } from './instruction.ts'
import type { Plan } from './translate.ts'

export function vectorHandlers(): Handler[] {
  return []
}

export function vectorKey(_i: Instruction): Plan | null {
  return null
}
