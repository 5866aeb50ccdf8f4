import {
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  RIP,
} from '../../machine/vcpu/instruction.ts'
import type { NoInstruction } from '../decode/decode.ts'
import { type Selection, select, semanticOf, usesFpu } from '../semantics/select.ts'
import { isString } from '../semantics/strings.ts'
import { FIELD, GENERAL, RECORD, RECORD_BYTES, SELECTORS, X87, XMM } from '../state.ts'
import { ASSIST, handlerNumber, handlersFor } from './handlers.ts'

/**
 * From a decoded instruction to the records that the interpreter runs: which handler, and where its operands lie. Mostly
 * that is one record. An address that does not fit one, or has the prefix 67, is computed by a record before.
 */

/** The handler for what is no instruction of the guest's, or none that can be executed. */
const handlerOf = (name: string): number => handlersFor(semanticOf(name), 8, 'rr').plain
export const BREAKPOINT = handlerOf('breakpoint')
const UNDEFINED = handlerOf('undefined')
const GENERAL_PROTECTION = handlerOf('general protection')

const ASSISTING = handlerNumber(ASSIST)
export const CONTINUE = handlerNumber('continue')
export const BEYOND = handlerNumber('beyond')
export const IN_REGION = handlerNumber('region')
const FPU = handlerNumber('fpu')
const ADDRESS32 = handlerNumber('address32')
const ADDRESS64 = handlerNumber('address64')

/** The views over the machine's memory that records are written through. */
export type Views = { readonly u8: Uint8Array; readonly u16: Uint16Array; readonly i32: Int32Array }

/** Writes the records of instructions, one behind the other. */
export class RecordWriter {
  private readonly views: Views
  private readonly state: number
  /** Where the next record goes. */
  at = 0

  constructor(views: Views, state: number) {
    this.views = views
    this.state = state
  }

  /** A record of a pseudo-instruction or of no instruction, at an offset of its page. */
  plain(handler: number, offset: number, displacement = 0, immediate = 0): void {
    this.begin(handler, offset, 0)
    this.views.i32[(this.at + RECORD.displacement) >>> 2] = displacement
    this.views.i32[(this.at + RECORD.immediate) >>> 2] = immediate
    this.views.i32[(this.at + RECORD.immediate + 4) >>> 2] = 0
    this.at += RECORD_BYTES
  }

  /** What leads to a compiled region, and to the plain record where it cannot be used. */
  region(offset: number, place: number, plain: number): void {
    this.begin(IN_REGION, offset, 0)
    this.views.i32[(this.at + RECORD.b) >>> 2] = place
    this.views.i32[(this.at + RECORD.target) >>> 2] = plain
    this.at += RECORD_BYTES
  }

  /** What is no instruction, or has too many bytes for one, at an offset of its page. */
  fault(why: NoInstruction, offset: number): void {
    this.plain(why === 'undefined' ? UNDEFINED : GENERAL_PROTECTION, offset)
  }

  private begin(handler: number, offset: number, length: number): void {
    const { u8, u16, i32 } = this.views
    const at = this.at
    u16[(at + RECORD.handler) >>> 1] = handler
    u8[at + RECORD.length] = length
    u8[at + RECORD.scale] = 0
    const zero = this.state + FIELD.zero
    u16[(at + RECORD.base) >>> 1] = zero
    u16[(at + RECORD.index) >>> 1] = zero
    u16[(at + RECORD.segment) >>> 1] = zero
    u16[(at + RECORD.offset) >>> 1] = offset
    i32[(at + RECORD.a) >>> 2] = zero
    i32[(at + RECORD.b) >>> 2] = zero
    i32[(at + RECORD.displacement) >>> 2] = 0
    i32[(at + RECORD.immediate) >>> 2] = 0
    i32[(at + RECORD.immediate + 4) >>> 2] = 0
  }

  /** Two instructions in one record, which the plain ones of both follow. */
  pair(handler: number, first: Instruction, second: Instruction, offset: number): void {
    const jump = second.operands[0]
    if (jump.kind !== 'target') throw new Error('the second of a pair has to jump')
    this.begin(handler, offset, first.length)
    const { i32 } = this.views
    i32[(this.at + RECORD.a) >>> 2] = this.place(first.operands[0])
    i32[(this.at + RECORD.b) >>> 2] = this.place(first.operands[1])
    this.immediate(first)
    i32[(this.at + RECORD.target) >>> 2] = (offset + first.length + second.length + jump.displacement) * 4
    this.at += RECORD_BYTES
  }

  private immediate(i: Instruction): void {
    const operand = i.operands.find((o) => o.kind === 'immediate')
    if (operand === undefined) return
    this.views.i32[(this.at + RECORD.immediate) >>> 2] = operand.lo
    this.views.i32[(this.at + RECORD.immediate + 4) >>> 2] = operand.hi
  }

  /** @param keep told of an instruction that somebody outside will look at: the number to find it by */
  instruction(i: Instruction, offset: number, keep: (i: Instruction, offset: number) => number): void {
    const target = i.operands.find((o) => o.kind === 'target')
    const to = target === undefined ? -1 : offset + i.length + target.displacement
    const isNear = to >= 0 && to < 4096
    const selection = select(i)
    const { semantic, first, second, memory: place } = selection
    const memory = place === -1 ? undefined : (i.operands[place] as MemoryOperand)
    const isAssisted = semantic.write === null
    // String operations know their addresses, and take the segment alone.
    const takesSegment = isString(semantic)
    if (usesFpu(i)) this.plain(FPU, offset)
    const needsAddress = memory !== undefined && !takesSegment && (isAssisted || !fits(i, offset, memory))
    if (needsAddress) {
      this.begin(i.addressSize === 4 ? ADDRESS32 : ADDRESS64, offset, i.length)
      this.address(memory, 0, memory.base === RIP ? offset + i.length : 0)
      this.at += RECORD_BYTES
    }
    this.begin(isAssisted ? ASSISTING : handlerFor(selection, memory, isNear, needsAddress), offset, i.length)
    if (memory !== undefined) {
      if (needsAddress || takesSegment) this.computed(memory)
      else this.address(memory, memory.base === RIP ? offset + i.length : 0, 0)
    }
    const { i32 } = this.views
    if (target !== undefined) i32[(this.at + RECORD.target) >>> 2] = isNear ? to * 4 : target.displacement
    this.immediate(i)
    if (semantic.isKept) i32[(this.at + RECORD.immediate) >>> 2] = keep(i, offset)
    if (first !== -1) i32[(this.at + RECORD.a) >>> 2] = this.place(i.operands[first])
    if (second !== -1) i32[(this.at + RECORD.b) >>> 2] = this.place(i.operands[second])
    this.at += RECORD_BYTES
  }

  /** Where an operand lies: a register in the state, an immediate in the record itself. */
  private place(operand: Operand): number {
    if (operand.kind === 'immediate') return this.at + RECORD.immediate
    if (operand.kind !== 'register') return this.state + FIELD.zero
    switch (operand.class) {
      case 'high':
        return this.state + GENERAL + operand.number * 8 + 1
      case 'segment':
        return this.state + SELECTORS + operand.number * 8
      case 'xmm':
        return this.state + XMM + operand.number * 16
      case 'mmx':
        return this.state + X87 + operand.number * 16
      default:
        return this.state + GENERAL + operand.number * 8
    }
  }

  private general(number: number): number {
    if (number === NONE) return this.state + FIELD.zero
    return this.state + (number === RIP ? FIELD.page : GENERAL + number * 8)
  }

  private segment(number: number): number {
    if (number === NONE) return this.state + FIELD.zero
    return this.state + (number === 4 ? FIELD.fsBase : FIELD.gsBase)
  }

  private address(memory: MemoryOperand, add: number, immediate: number): void {
    const { u8, u16, i32 } = this.views
    const at = this.at
    u8[at + RECORD.scale] = Math.log2(memory.scale)
    u16[(at + RECORD.base) >>> 1] = this.general(memory.base)
    u16[(at + RECORD.index) >>> 1] = this.general(memory.index)
    u16[(at + RECORD.segment) >>> 1] = this.segment(memory.segment)
    const isLong = memory.displacementHigh !== memory.displacement >> 31
    i32[(at + RECORD.displacement) >>> 2] = isLong ? 0 : memory.displacement + add
    i32[(at + RECORD.immediate) >>> 2] = isLong ? memory.displacement : immediate
    i32[(at + RECORD.immediate + 4) >>> 2] = isLong ? memory.displacementHigh : 0
  }

  /** An address that the record before has computed, or of a string operation: only the segment is left. */
  private computed(memory: MemoryOperand): void {
    this.views.u16[(this.at + RECORD.base) >>> 1] = this.state + FIELD.computed
    this.views.u16[(this.at + RECORD.segment) >>> 1] = this.segment(memory.segment)
  }
}

/** The handler of a semantic that has code: for a near target or a simple address, where there is one for that. */
function handlerFor(
  { semantic, size, form }: Selection,
  memory: MemoryOperand | undefined,
  isNear: boolean,
  isComputed: boolean,
): number {
  const { plain, near, simple } = handlersFor(semantic, size, form)
  if (semantic.isDirect && isNear) return near
  if (memory === undefined || memory.segment !== NONE) return plain
  return isComputed || memory.index === NONE ? simple : plain
}

/** Whether a record holds an address: with 64 bits, and a displacement that stays within 32. */
function fits(i: Instruction, offset: number, memory: MemoryOperand): boolean {
  if (i.addressSize === 4 || memory.displacementHigh !== memory.displacement >> 31) return false
  if (memory.base !== RIP) return true
  const displacement = memory.displacement + offset + i.length
  return displacement === (displacement | 0)
}
