import {
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  RIP,
} from '../../machine/vcpu/instruction.ts'
import type { NoInstruction } from '../decode/decode.ts'
import { FAST_FLOAT_KEYS } from '../float/float-fast.ts'
import { SIMPLE } from '../semantics/emitter.ts'
import { vectorKey } from '../semantics/vector/vectors.ts'
import {
  FIELD,
  GENERAL,
  RECORD,
  RECORD_BYTES,
  SELECTORS,
  STACK_BASE_MARK,
  STACK_MARK,
  X87,
  XMM,
} from '../state.ts'
import { handlerNumber } from './interpreter.ts'

/**
 * From a decoded instruction to the records that the interpreter runs: which handler, and where its operands lie. Mostly
 * that is one record. An address that does not fit one, or has the prefix 67, is computed by a record before.
 */

/** Instructions that ring 3 may not execute, or only the hypervisor can answer. */
const PRIVILEGED = new Set(
  (
    'hlt in out ins outs cli sti clts invd wbinvd wrmsr rdmsr rdpmc lgdt lidt sgdt sidt lldt ltr sldt str lmsw smsw ' +
    'invlpg swapgs sysret sysexit'
  ).split(' '),
)
/** Instructions that read descriptors. */
const SEGMENT = new Set('lar lsl verr verw lss lfs lgs callf jmpf'.split(' '))
/** Instructions without the processor being there for them: #UD. */
const UNDEFINED = new Set('ud1 ud2 popcnt clac stac xgetbv xsetbv rdtscp sysenter'.split(' '))
const NO_OPERATION = new Set('nop pause endbr64 prefetch lfence mfence sfence'.split(' '))
/** Instructions whose key is their name and whose operands are implied. */
const PLAIN = new Set('clc stc cmc cld std lahf sahf syscall'.split(' '))
const SIZED = new Set('cbw cwd leave pushf'.split(' '))
/** One operand, read alone: it is the handler's source. */
const READ_ONE = new Set('mul imul div idiv'.split(' '))
const MODIFY_ONE = new Set('inc dec not neg bswap'.split(' '))
/** Two operands, the first of which is written or compared. */
const TWO = new Set(
  'mov add or adc sbb and sub xor cmp test xchg xadd cmpxchg shl shr sar rol ror rcl rcr bsf bsr'.split(' '),
)
const BIT = new Set('bt bts btr btc'.split(' '))
const STRING = new Set('movs stos lods cmps scas'.split(' '))
const LOOPS = new Set('loop loope loopne jrcxz'.split(' '))

/** Instructions that use the stack without naming it: addresses near rsp that are not canonical raise #SS. */
const STACK = new Set('push pop call ret leave enter pushf popf iret retf'.split(' '))

/** The handler of an instruction, and which of its operands are the record's: numbers into its list, or -1. */
export type Plan = {
  readonly key: string
  readonly a: number
  readonly b: number
  readonly memory: number
}

const kindOf = (operand: Operand | undefined): string => operand?.kind ?? ''

function plan(key: string, a = -1, b = -1, memory = -1): Plan {
  return { key, a, b, memory }
}

/** A handler in the form that the operands ask for: one of `to` and `from` may be memory. */
function inForm(i: Instruction, name: string, to: number, from: number): Plan {
  if (kindOf(i.operands[to]) === 'memory') return plan(`${name}mr`, -1, from, to)
  if (kindOf(i.operands[from]) === 'memory') return plan(`${name}rm`, to, -1, from)
  return plan(`${name}rr`, to, from)
}

/** The interpreter's handler for an instruction; instructions without one are carried out by `assist`. */
export function planOf(i: Instruction, isNear: boolean): Plan {
  const { name, size, operands } = i
  if (name === 'mov') return planMove(i)
  if (TWO.has(name)) return inForm(i, `${name}${size}`, 0, 1)
  if (name === 'lea') return plan(`lea${size}rr`, 0, -1, 1)
  if (name === 'jcc') return plan(`j${i.condition}:${reach(isNear)}8rr`)
  if (name === 'jmp' || name === 'call') {
    if (kindOf(operands[0]) === 'target') return plan(`${name}:${reach(isNear)}8rr`)
    return inForm(i, `${name}8`, -1, 0)
  }
  if (name === 'ret') return plan('ret8rr')
  if (name === 'push') {
    if (isSegment(operands[0])) return plan(`push${size}rr`, -1, 0)
    return inForm(i, `push${size}`, -1, 0)
  }
  if (name === 'pop') {
    if (isSegment(operands[0])) return plan('segment8rr')
    return inForm(i, `pop${size}`, 0, -1)
  }
  if (name === 'movzx' || name === 'movsx' || name === 'movsxd') return planExtension(i)
  if (name === 'cmovcc') return inForm(i, `cmov${i.condition}:${size}`, 0, 1)
  if (name === 'setcc') return inForm(i, `set${i.condition}:1`, 0, -1)
  if (MODIFY_ONE.has(name)) return inForm(i, `${name}${size}`, 0, -1)
  if (name === 'imul' && operands.length > 1) return inForm(i, `imul${operands.length}:${size}`, 0, 1)
  if (READ_ONE.has(name)) return inForm(i, `${name}${size}`, -1, 0)
  if (name === 'shld' || name === 'shrd') {
    const byCl = kindOf(operands[2]) === 'register'
    return inForm(i, `${name}${byCl ? 'cl' : ''}${size}`, 0, 1)
  }
  if (BIT.has(name)) {
    const isFar = kindOf(operands[0]) === 'memory' && kindOf(operands[1]) === 'register'
    return inForm(i, `${name}${isFar ? 'far' : ''}${size}`, 0, 1)
  }
  return planOther(i, isNear)
}

function planOther(i: Instruction, isNear: boolean): Plan {
  const { name, size, operands, addressSize } = i
  if (STRING.has(name)) return planString(i)
  if (NO_OPERATION.has(name)) return plan('nop8rr')
  if (name === 'clflush') return plan('touch1rm', -1, -1, 0)
  if (name === 'movnti')
    return inForm(i, `mov${i.operands[1].kind === 'register' ? i.operands[1].size : 4}`, 0, 1)
  if (PLAIN.has(name)) return plan(`${name}8rr`)
  if (SIZED.has(name)) return plan(`${name}${size}rr`)
  if (LOOPS.has(name)) return plan(`${name}${addressSize}:${reach(isNear)}8rr`)
  if (name === 'xlat') return plan(addressSize === 4 ? 'xlatshort1rr' : 'xlat1rr')
  if (name === 'enter' && kindOf(operands[1]) === 'immediate' && isZero(operands[1])) {
    return plan(`enter${size}rr`)
  }
  if (PRIVILEGED.has(name)) return plan('privileged8rr')
  if (SEGMENT.has(name)) return plan('segment8rr')
  if (UNDEFINED.has(name)) return plan('undefined8rr')
  return (
    vectorKey(i) ??
    plan(
      'assist',
      -1,
      -1,
      i.operands.findIndex((o) => o.kind === 'memory'),
    )
  )
}

const isZero = (operand: Operand): boolean => operand.kind === 'immediate' && (operand.lo & 31) === 0

const reach = (isNear: boolean): string => (isNear ? 'near' : 'away')

function isSegment(operand: Operand): boolean {
  return operand.kind === 'register' && operand.class === 'segment'
}

function planMove(i: Instruction): Plan {
  const [to, from] = i.operands
  const special = [to, from].find((o) => o.kind === 'register' && /segment|control|debug/.test(o.class))
  if (special?.kind !== 'register') return inForm(i, `mov${i.size}`, 0, 1)
  if (special.class !== 'segment') return plan('privileged8rr')
  if (special === to) return plan('segment8rr')
  if (kindOf(to) === 'memory') return plan('mov2mr', -1, 1, 0)
  return plan(i.size === 2 ? 'mov2rr' : `movzx2to${i.size}rr`, 0, 1)
}

function planExtension(i: Instruction): Plan {
  const from = i.operands[1].kind === 'immediate' || i.operands[1].kind === 'target' ? 0 : i.operands[1].size
  if (from >= i.size && !(from === 4 && i.size === 4)) return inForm(i, `mov${i.size}`, 0, 1)
  return inForm(i, `${i.name === 'movzx' ? 'movzx' : 'movsx'}${from}to${i.size}`, 0, 1)
}

function planString(i: Instruction): Plan {
  const { name, size } = i
  const compares = name === 'cmps' || name === 'scas'
  // Where the operation compares nothing, both prefixes repeat.
  const prefix = i.rep === '' ? '' : compares && i.rep === 'repne' ? 'repne ' : 'rep '
  const source = i.operands.findIndex((o) => o.kind === 'memory' && o.base === 6)
  return plan(`${prefix}${name}${i.addressSize}:${size}`, -1, -1, source)
}

/** Handlers whose instruction somebody outside the interpreter looks at. */
const KEPT = new Set(['assist', 'privileged8rr', 'segment8rr', ...FAST_FLOAT_KEYS])

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
  plain(key: string, offset: number, displacement = 0, immediate = 0): void {
    this.begin(key, offset, 0)
    this.views.i32[(this.at + RECORD.displacement) >> 2] = displacement
    this.views.i32[(this.at + RECORD.immediate) >> 2] = immediate
    this.views.i32[(this.at + RECORD.immediate + 4) >> 2] = 0
    this.at += RECORD_BYTES
  }

  /** What is no instruction, or has too many bytes for one, at an offset of its page. */
  fault(why: NoInstruction, offset: number): void {
    this.plain(why === 'undefined' ? 'undefined8rr' : 'general-protection8rr', offset)
  }

  private begin(key: string, offset: number, length: number): void {
    const number = handlerNumber(key)
    if (number === undefined) throw new Error(`the interpreter has no handler ${key}`)
    const { u8, u16, i32 } = this.views
    const at = this.at
    u16[(at + RECORD.handler) >> 1] = number
    u8[at + RECORD.length] = length
    u8[at + RECORD.scale] = 0
    const zero = this.state + FIELD.zero
    u16[(at + RECORD.base) >> 1] = zero
    u16[(at + RECORD.index) >> 1] = zero
    u16[(at + RECORD.segment) >> 1] = zero
    u16[(at + RECORD.offset) >> 1] = offset
    i32[(at + RECORD.a) >> 2] = zero
    i32[(at + RECORD.b) >> 2] = zero
    i32[(at + RECORD.displacement) >> 2] = 0
    i32[(at + RECORD.immediate) >> 2] = 0
    i32[(at + RECORD.immediate + 4) >> 2] = 0
  }

  /** Two instructions in one record, which the plain ones of both follow. */
  pair(key: string, first: Instruction, second: Instruction, offset: number): void {
    const jump = second.operands[0]
    if (jump.kind !== 'target') throw new Error('the second of a pair has to jump')
    this.begin(key, offset, first.length)
    const { i32 } = this.views
    i32[(this.at + RECORD.a) >> 2] = this.place(first.operands[0])
    i32[(this.at + RECORD.b) >> 2] = this.place(first.operands[1])
    this.immediate(first)
    i32[(this.at + RECORD.target) >> 2] = (offset + first.length + second.length + jump.displacement) * 4
    this.at += RECORD_BYTES
  }

  private immediate(i: Instruction): void {
    const operand = i.operands.find((o) => o.kind === 'immediate')
    if (operand === undefined) return
    this.views.i32[(this.at + RECORD.immediate) >> 2] = operand.lo
    this.views.i32[(this.at + RECORD.immediate + 4) >> 2] = operand.hi
  }

  /** @param assisted what `assist` finds the instruction by. */
  instruction(i: Instruction, offset: number, assisted: (i: Instruction) => number): void {
    const target = i.operands.find((o) => o.kind === 'target')
    const to = target === undefined ? -1 : offset + i.length + target.displacement
    const isNear = to >= 0 && to < 4096
    const chosen = planOf(i, isNear)
    const memory = chosen.memory === -1 ? undefined : (i.operands[chosen.memory] as MemoryOperand)
    const isString = STRING.has(i.name)
    const isAssisted = chosen.key === 'assist'
    if (usesFpu(i)) this.plain('fpu', offset)
    const needsAddress = memory !== undefined && !isString && (isAssisted || !fits(i, offset, memory))
    if (needsAddress) {
      this.begin(i.addressSize === 4 ? 'address32' : 'address64', offset, i.length)
      this.address(memory, 0, memory.base === RIP ? offset + i.length : 0)
      this.at += RECORD_BYTES
    }
    this.begin(keyFor(chosen.key, memory, needsAddress), offset, i.length)
    if (memory !== undefined) {
      if (needsAddress || isString) this.computed(memory)
      else this.address(memory, memory.base === RIP ? offset + i.length : 0, 0)
    }
    if (i.name === 'xlat') this.table(i)
    if (STACK.has(i.name)) this.views.u8[this.at + RECORD.scale] |= STACK_MARK
    const { i32 } = this.views
    if (target !== undefined) i32[(this.at + RECORD.target) >> 2] = isNear ? to * 4 : target.displacement
    this.immediate(i)
    if (KEPT.has(chosen.key)) i32[(this.at + RECORD.immediate) >> 2] = assisted(i)
    if (chosen.a !== -1) i32[(this.at + RECORD.a) >> 2] = this.place(i.operands[chosen.a])
    if (chosen.b !== -1) i32[(this.at + RECORD.b) >> 2] = this.place(i.operands[chosen.b])
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
    u16[(at + RECORD.base) >> 1] = this.general(memory.base)
    u16[(at + RECORD.index) >> 1] = this.general(memory.index)
    u16[(at + RECORD.segment) >> 1] = this.segment(memory.segment)
    const isLong = memory.displacementHigh !== memory.displacement >> 31
    i32[(at + RECORD.displacement) >> 2] = isLong ? 0 : memory.displacement + add
    i32[(at + RECORD.immediate) >> 2] = isLong ? memory.displacement : immediate
    i32[(at + RECORD.immediate + 4) >> 2] = isLong ? memory.displacementHigh : 0
  }

  /** An address that the record before has computed, or of a string operation: only the segment is left. */
  private computed(memory: MemoryOperand): void {
    this.views.u16[(this.at + RECORD.base) >> 1] = this.state + FIELD.computed
    const isStack = (memory.base === 4 || memory.base === 5) && memory.segment === NONE
    if (isStack) this.views.u8[this.at + RECORD.scale] |= STACK_BASE_MARK
    this.views.u16[(this.at + RECORD.segment) >> 1] = this.segment(memory.segment)
  }

  private table(i: Instruction): void {
    const RBX = 3
    const segment = (i.operands[0] as MemoryOperand).segment
    this.views.u16[(this.at + RECORD.base) >> 1] = this.general(RBX)
    this.views.u16[(this.at + RECORD.segment) >> 1] = this.segment(segment)
  }
}

/** The handler for simple addresses, where there is one and the address is. */
function keyFor(key: string, memory: MemoryOperand | undefined, isComputed: boolean): string {
  if (memory === undefined || memory.segment !== NONE) return key
  if (!isComputed && memory.index !== NONE) return key
  const simple = key + SIMPLE
  return handlerNumber(simple) === undefined ? key : simple
}

/** Whether an instruction looks at the TS flag: all of x87, MMX and SSE, and what saves and loads their registers. */
function usesFpu(i: Instruction): boolean {
  if (/^f|^(?:emms|wait|ldmxcsr|stmxcsr)$/.test(i.name)) return true
  return i.operands.some((o) => o.kind === 'register' && /^(?:st|mmx|xmm)$/.test(o.class))
}

/** Whether a record holds an address: with 64 bits, and a displacement that stays within 32. */
function fits(i: Instruction, offset: number, memory: MemoryOperand): boolean {
  if (i.addressSize === 4 || memory.displacementHigh !== memory.displacement >> 31) return false
  if (memory.base !== RIP) return true
  const displacement = memory.displacement + offset + i.length
  return displacement === (displacement | 0)
}
