import type { Memory } from '../machine/memory.ts'
import { flagsFromWords, wordsFromFlags } from './semantics/flags.ts'
import { AC, DF, FIELD, GENERAL, ID, IF, NT, RF, SELECTORS, TF, X87, XMM } from './state.ts'

/** Bits of rflags that are kept as they are; the others are arithmetic's, or fixed. */
const OTHER_FLAGS = TF | DF | NT | RF | AC | ID

/** The registers of a core, which lie in the machine's memory: code that is compiled to WebAssembly has them there, too. */
export class Registers {
  /** Address of the registers in the machine's memory: state.ts has their places. */
  readonly state: number
  readonly words: Uint32Array
  readonly bytes: Uint8Array

  constructor(memory: Memory, state: number) {
    this.words = memory.u32
    this.bytes = memory.u8
    this.state = state
  }

  word(field: number): number {
    return this.words[(this.state + field) >> 2]
  }

  setWord(field: number, value: number): void {
    this.words[(this.state + field) >> 2] = value
  }

  /** General register `n`: the low half. `registerHigh` is the other. */
  register(n: number): number {
    return this.word(GENERAL + n * 8)
  }

  registerHigh(n: number): number {
    return this.word(GENERAL + n * 8 + 4)
  }

  setRegister(n: number, lo: number, hi: number): void {
    this.setWord(GENERAL + n * 8, lo)
    this.setWord(GENERAL + n * 8 + 4, hi)
  }

  get ripLow(): number {
    return this.word(FIELD.rip)
  }

  get ripHigh(): number {
    return this.word(FIELD.rip + 4)
  }

  setRip(lo: number, hi: number): void {
    this.setWord(FIELD.rip, lo)
    this.setWord(FIELD.rip + 4, hi)
  }

  /** rflags; bit 1 and IF are always set, and IOPL is 0. */
  getFlags(): number {
    const { result, carries, otherFlags } = FIELD
    const arithmetic = flagsFromWords(this.word(result), this.word(result + 4), this.word(carries))
    return arithmetic | this.word(otherFlags) | IF | 2
  }

  /** What cannot be changed in ring 3 is ignored. */
  setFlags(flags: number): void {
    const words = wordsFromFlags(flags)
    this.setWord(FIELD.result, words.result)
    this.setWord(FIELD.result + 4, 0)
    this.setWord(FIELD.carries, words.carries)
    this.setWord(FIELD.otherFlags, flags & OTHER_FLAGS)
  }

  /** The four words of an xmm register, lowest first: a view. */
  xmm(n: number): Uint32Array {
    const at = (this.state + XMM + n * 16) >> 2
    return this.words.subarray(at, at + 4)
  }

  /** The ten bytes of a physical x87 register, with six behind them that are not used: a view. */
  x87(n: number): Uint8Array {
    return this.bytes.subarray(this.state + X87 + n * 16, this.state + X87 + n * 16 + 16)
  }

  get mxcsr(): number {
    return this.word(FIELD.mxcsr)
  }

  set mxcsr(value: number) {
    this.setWord(FIELD.mxcsr, value)
  }

  /** Whether the next use of the FPU raises #NM: the TS flag of cr0. */
  get fpuTraps(): boolean {
    return this.word(FIELD.fpuTraps) !== 0
  }

  set fpuTraps(value: boolean) {
    this.setWord(FIELD.fpuTraps, value ? 1 : 0)
  }

  /** The base of fs or gs: `FIELD.fsBase` or `FIELD.gsBase`. */
  setBase(field: number, lo: number, hi: number): void {
    this.setWord(field, lo)
    this.setWord(field + 4, hi)
  }

  /** The same by name. */
  segmentBase(which: 'fs' | 'gs'): readonly [lo: number, hi: number] {
    const field = which === 'fs' ? FIELD.fsBase : FIELD.gsBase
    return [this.word(field), this.word(field + 4)]
  }

  setSegmentBase(which: 'fs' | 'gs', lo: number, hi: number): void {
    this.setBase(which === 'fs' ? FIELD.fsBase : FIELD.gsBase, lo, hi)
  }

  /** Selector of a segment register, in the CPU's numbering. */
  selector(n: number): number {
    return this.word(SELECTORS + n * 8)
  }

  setSelector(n: number, value: number): void {
    this.setWord(SELECTORS + n * 8, value)
  }
}
