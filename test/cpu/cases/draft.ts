import type { Random } from '../../tools/random.ts'
import { type CpuCase, type CpuState, initialState, type Near, NO_TARGET, PAGE, SPACE } from '../case.ts'
import type { Form, Operand } from './notation.ts'
import { Values } from './values.ts'

export const RAX = 0
export const RCX = 1
export const RDX = 2
export const RBX = 3
export const RSP = 4
export const RBP = 5
export const RSI = 6
export const RDI = 7

/** CF, PF, AF, ZF, SF, OF, and the direction. */
export const STATUS_FLAGS = 0x8d5
export const DIRECTION_FLAG = 0x400
/** Bit 1 and IF, which are always set. */
const FIXED_FLAGS = 0x202

/** Where a case's data lies, and which addresses an operand of it may have. Offsets into the data's pages. */
type Window = { readonly at: number; readonly bytes: number }

/** Across the border of the two pages. */
const MIDDLE: Window = { at: PAGE - 64, bytes: 128 }
/** Up to the read-only page. */
const AT_READ_ONLY: Window = { at: 2 * PAGE - 64, bytes: 64 }
/** From the first byte on: below it nothing is mapped. */
const AT_START: Window = { at: 0, bytes: 64 }
/** For the images of FXSAVE and the like: which of their stores a fault is told of is the processor's choice, so none faults. */
const LARGE: Window = { at: PAGE - 512, bytes: 1024 }

function pickWindow(form: Form, bytes: number, choice: number): Window {
  if (bytes > 16 || form.mnemonic.startsWith('enter')) return LARGE
  if ((choice & 0x3f) === 0) return AT_READ_ONLY
  return (choice & 0x7f) === 1 ? AT_START : MIDDLE
}

/**
 * A case in the making. Registers and flags are filled in first; what a form needs of them is pinned; an address is then
 * put together from registers that are not.
 */
export class Draft {
  readonly form: Form
  readonly random: Random
  readonly values: Values
  readonly state: CpuState
  readonly window: Window
  usesFpu: boolean
  codeAt: number
  target = NO_TARGET
  /** Registers that hold what the instruction needs: an address may use them, but not change them. Bit n is register n. */
  pinned = 0
  /** Number in the reg field, or in the opcode: general or xmm register. */
  reg: number
  /** Number in the rm field, when `memory` is false. */
  rm: number
  memory: boolean
  /** Address of the memory operand, an offset into the data's pages; the read-only page follows at 2 * PAGE. */
  address: number
  /** Instead of `address`, where an access has to fault for not being canonical. */
  nonCanonical = false
  /** Prefixes of what has an address without a ModRM byte: a segment, or 0, and an address size of 32 bits. */
  segment = 0
  short = false
  /** In the order in which they are written; one of 64 bits takes two. */
  immediates: [number, number] = [0, 0]
  readonly loose: {
    rflags: number
    before?: number
    gpr: number
    fsw: number
    data: (readonly [number, number])[]
    near?: Near
  } = {
    rflags: 0,
    gpr: 0,
    fsw: 0,
    data: [],
  }

  /** @param middle whether the data must lie around the middle of its pages, with 64 bytes on either side */
  constructor(form: Form, random: Random, usesFpu: boolean, middle = false) {
    this.form = form
    this.random = random
    this.usesFpu = usesFpu
    this.values = new Values(random)
    const choice = random.bits()
    const bytes = this.memoryBytes()
    this.window = middle ? MIDDLE : pickWindow(form, bytes, choice)
    this.state = initialState(this.window.bytes)
    this.fillState()
    this.codeAt = this.pickCodeAt(choice >>> 8)
    const { memory, reg, rm } = this.pickPlaces()
    this.memory = memory
    this.reg = reg
    this.rm = rm
    this.address = this.pickAddress(bytes)
  }

  /** The memory operand, where the form has one or can have one. */
  memoryOperand(): Operand | undefined {
    return this.form.operands.find(
      ({ kind }) => kind === 'm' || kind === 'rm' || kind === 'xm' || kind === 'mmm' || kind === 'moffs',
    )
  }

  private memoryBytes(): number {
    return (this.memoryOperand()?.bits ?? 0) >> 3
  }

  private fillState(): void {
    const { state, random, values } = this
    for (let i = 0; i < 16; i++) {
      values.integer(64)
      state.gpr[2 * i] = values.low
      state.gpr[2 * i + 1] = values.high
    }
    // Data and xmm are noise; what an operand of them holds is chosen later.
    let noise = random.bits() | 1
    const next = () => {
      noise ^= noise << 13
      noise ^= noise >>> 17
      noise ^= noise << 5
      return noise
    }
    const words = new Uint32Array(state.data.buffer)
    for (let i = 0; i < words.length; i++) words[i] = next()
    if (this.usesFpu) for (let i = 0; i < 64; i++) state.xmm[i] = next()
    state.rflags = FIXED_FLAGS | (random.bits() & (STATUS_FLAGS | DIRECTION_FLAG))
  }

  /** Mostly somewhere in the first page; one in sixteen crosses into the next. */
  private pickCodeAt(choice: number): number {
    return (choice & 15) === 0 ? PAGE - 1 - ((choice >>> 4) % 14) : 0x400 + ((choice >>> 4) & 0x7ff)
  }

  private pickPlaces() {
    const { random, form } = this
    const choice = random.bits()
    const has = (...kinds: Operand['kind'][]) => form.operands.some(({ kind }) => kinds.includes(kind))
    const memory = has('m') || (has('rm', 'xm', 'mmm') && (choice & 0x300) !== 0)
    const limit = (mmx: boolean) => (mmx ? 7 : 15)
    return {
      memory,
      reg: choice & limit(has('mm')),
      rm: (choice >>> 4) & limit(has('mmm', 'mmr')),
    }
  }

  private pickAddress(bytes: number): number {
    const { random, window } = this
    const choice = random.bits()
    if (bytes > 64)
      return PAGE - 512 + ((choice & 31) << 4) + ((choice >>> 8) % 16 === 0 ? (choice >>> 16) & 15 : 0)
    if (window === AT_READ_ONLY) {
      // Within the data, over its end, or behind it.
      return 2 * PAGE - 2 * Math.max(bytes, 1) + ((choice >>> 8) % (4 * Math.max(bytes, 1)))
    }
    if (window === AT_START) return -bytes + ((choice >>> 8) % (2 * bytes + 1))
    this.nonCanonical = (choice & 0xff) === 0
    const room = window.bytes - bytes
    const aligned = bytes === 16 ? (choice & 0x700) !== 0 : (choice & 0x100) !== 0
    const offset = window.at + ((choice >>> 12) % (room + 1))
    return aligned && bytes > 0 ? offset & -bytes : offset
  }

  /** Let a register hold a value that the address must leave alone. */
  pin(register: number, low: number, high: number): void {
    this.state.gpr[2 * register] = low
    this.state.gpr[2 * register + 1] = high
    this.pinned |= 1 << register
  }

  /** The same for an address in the data's pages. */
  pinAddress(register: number, offset: number): void {
    this.pin(register, SPACE.data + offset, 0)
  }

  /** Give a register an interesting value of some width and keep it. */
  pinInteger(register: number, bits: number): void {
    this.values.integer(bits)
    this.pin(register, this.values.low, this.values.high)
  }

  /** Whether the operand's bytes lie in the case's data, so that they can be chosen. */
  private inWindow(bytes: number): boolean {
    const { address, window } = this
    return address >= window.at && address + bytes <= window.at + window.bytes
  }

  /** Let the rm operand hold a value, wherever it is. Registers are pinned. `word` is the number of the 32-bit word. */
  setRm(word: number, value: number, bytes: number): void {
    if (!this.memory) {
      this.state.gpr[2 * this.rm + word] = value
      this.pinned |= 1 << this.rm
    } else if (this.inWindow(bytes)) {
      const at = this.address - this.window.at + 4 * word
      for (let i = 0; i < Math.min(4, bytes - 4 * word); i++) this.state.data[at + i] = value >>> (8 * i)
    }
  }

  /** A word of an xmm operand in the rm field, wherever it is. */
  setXmmRm(word: number, value: number, bytes: number): void {
    if (this.memory) this.setRm(word, value, bytes)
    else this.state.xmm[4 * this.rm + word] = value
  }

  /** A word of the rm operand; 0 where it cannot be read. */
  getRm(word: number, bytes: number): number {
    if (!this.memory) return this.state.gpr[2 * this.rm + word]
    if (!this.inWindow(bytes)) return 0
    const at = this.address - this.window.at + 4 * word
    let value = 0
    for (let i = 0; i < Math.min(4, bytes - 4 * word); i++) value |= this.state.data[at + i] << (8 * i)
    return value >>> 0
  }

  /** Leave bytes of the memory operand out of the comparison; offsets into it. */
  loosenMemory(from: number, to: number): void {
    const start = this.address - this.window.at
    if (this.memory)
      this.loose.data.push([Math.max(0, start + from), Math.min(this.window.bytes, start + to)])
  }

  /** A word of the data at an offset of its pages, where it lies in the window. */
  setData(offset: number, value: number, bytes = 4): void {
    const at = offset - this.window.at
    for (let i = 0; i < bytes; i++)
      if (at + i >= 0 && at + i < this.window.bytes) this.state.data[at + i] = value >>> (8 * i)
  }

  finish(code: Uint8Array): CpuCase {
    return {
      form: this.form.name,
      code,
      codeAt: this.codeAt,
      target: this.target,
      dataAt: this.window.at,
      state: this.state,
      usesFpu: this.usesFpu,
      loose: this.loose,
    }
  }
}
