import { vaHigh } from '../../bits/address.ts'
import {
  type Instruction,
  type MemoryOperand,
  NONE,
  type Operand,
  RIP,
} from '../../machine/vcpu/instruction.ts'
import { callCode, type Label, type Local, load64, setCode, store } from '../../wasm/wasm-module.ts'
import { I32, type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import { CoreEmitter } from '../emit/core-emitter.ts'
import type { Access, Emitter } from '../semantics/emitter.ts'
import type { Arithmetic, FlagWords } from '../semantics/flags.ts'
import { ARITHMETIC, type Semantic } from '../semantics/semantic.ts'
import { CF, FIELD, GENERAL, SELECTORS, X87, XMM } from '../state.ts'
import type { Step } from './blocks.ts'
import { RecentPages } from './recent-pages.ts'
import { RegionFlags } from './region-flags.ts'

const RSP = 4
/** In place of a register: an address with the base of a segment. */
const SEGMENTS = 32
/** The first of those that stand for pages of fixed addresses. */
const FIXED = 64

/** Where a region's code goes on; set by whoever writes its function. */
export type Ways = {
  /** To the target of the jump that ends the block. */
  taken(): void
  /** To an address that is computed. */
  computed(target: I64): void
}

/**
 * Emits the code of a region: operands are known, registers and flags are variables of the function.
 *
 * A region does only what needs nobody else: accesses that the TLB has, and no exceptions. Whatever else an instruction
 * asks for, it is handed over whole to the interpreter, which carries it out from its beginning. So nothing that is not the
 * region's own ever happens while it runs, and every fault, assist and stop is the interpreter's.
 */
export class RegionEmitter extends CoreEmitter implements Emitter {
  readonly flags: RegionFlags
  readonly left: Local<I32>
  readonly where: Local<I32>
  readonly target: Local<I64>
  /** Where instructions are handed over. */
  handOver: Label = { depth: 0 }
  ways: Ways | null = null
  areFlagsUsed = true
  private readonly tlb: Local<I32>
  private readonly registers: Local<I64>[] = []
  private readonly read = new Set<number>()
  private readonly written = new Set<number>()
  private step: Step | null = null
  /** What `where` is when the running instruction is handed over. */
  private place = 0
  private behind: Label | null = null
  /** Where the operand that `modify` has found lies. */
  private modified: I32 | null = null

  /** Register that the next access's address is made from. */
  private via = NONE
  readonly recent: RecentPages
  private readonly effortCall: number

  /** @param effort number of the function that is called where an instruction takes long */
  constructor(effort: number) {
    super(['i32'])
    this.effortCall = effort
    this.left = this.local('i32')
    this.where = this.local('i32')
    this.target = this.local('i64')
    this.tlb = this.local('i32')
    for (let n = 0; n < 16; n++) this.registers.push(this.local('i64'))
    this.flags = new RegionFlags(this)
    this.recent = new RecentPages(this)
  }

  // ---- one instruction ----

  /** @param place what tells the outside which instruction it is: `where` */
  instruction(step: Step, place: number, areFlagsUsed: boolean): void {
    const { semantic, size, form } = step.selection
    this.step = step
    this.place = place
    this.size = size
    this.form = form
    this.areFlagsUsed = areFlagsUsed
    this.modified = null
    this.via = this.ownWay()
    if (step.usesFpu) {
      // Floating point may go on from within.
      this.block((behind) => {
        this.behind = behind
        semantic.write?.(this)
      })
      this.behind = null
    } else {
      semantic.write?.(this)
    }
    this.step = null
    this.release()
  }

  private get running(): Step {
    return this.step as Step
  }

  private get semantic(): Semantic {
    return this.running.selection.semantic
  }

  private get decoded(): Instruction {
    return this.running.instruction
  }

  /** An operand by its role, or undefined. */
  private operand(role: 'first' | 'second' | 'memory'): Operand | undefined {
    return this.decoded.operands[this.running.selection[role]]
  }

  // ---- registers ----

  private local64(n: number): I64 {
    this.read.add(n)
    return this.registers[n].value
  }

  register(n: number, bytes = 8): I64 {
    return this.local64(n).zeroExtend(bytes)
  }

  /** A write of 4 bytes clears the upper half of the register; of 1 and 2 it leaves the rest. */
  setRegister(n: number, value: I64, bytes = 8): void {
    this.written.add(n)
    if (bytes >= 4) this.set(this.registers[n], value.zeroExtend(bytes))
    else this.insert(n, value.zeroExtend(bytes), bytes === 1 ? 0xff : 0xffff)
  }

  /** Put bits into a register, where `mask` has them. */
  private insert(n: number, bits: I64, mask: number): void {
    this.written.add(n)
    this.set(this.registers[n], this.local64(n).and(~mask).or(bits))
  }

  private readOperand(operand: Operand | undefined): I64 {
    if (operand?.kind === 'immediate') return i64(operand.lo, operand.hi).zeroExtend(this.size)
    if (operand?.kind !== 'register') return i64(0)
    if (operand.class === 'general') return this.register(operand.number, this.size)
    if (operand.class === 'high') return this.local64(operand.number).shr(8).and(0xff)
    return load64(this.placeOf(operand), this.size)
  }

  private writeOperand(operand: Operand | undefined, value: I64, bytes: number): void {
    if (operand?.kind !== 'register') throw new Error('only a register can be written')
    if (operand.class === 'general') this.setRegister(operand.number, value, bytes)
    else if (operand.class === 'high') this.insert(operand.number, value.and(0xff).shl(8), 0xff00)
    else this.emit(store(this.placeOf(operand), value, bytes))
  }

  /** Where a register lies in the state. A general one, which is a variable here, is put there to be read. */
  private placeOf(operand: Operand | undefined): I32 {
    if (operand?.kind !== 'register') throw new Error('only a register has a place')
    const { state } = this
    switch (operand.class) {
      case 'xmm':
        return state.value.add(XMM + operand.number * 16)
      case 'mmx':
        return state.value.add(X87 + operand.number * 16)
      case 'segment':
        return state.value.add(SELECTORS + operand.number * 8)
      default: {
        const at = GENERAL + operand.number * 8
        this.setField(at, this.local64(operand.number), 8)
        return state.value.add(at)
      }
    }
  }

  // ---- operands ----

  source(): I64 {
    return this.form === 'rm' ? this.load(this.address(), this.size) : this.second()
  }

  second(): I64 {
    return this.readOperand(this.operand('second'))
  }

  writeSecond(value: I64): void {
    this.writeOperand(this.operand('second'), value, this.size)
  }

  destination(): I64 {
    return this.form === 'mr' ? this.load(this.address(), this.size) : this.readOperand(this.operand('first'))
  }

  modify(): I64 {
    if (this.form !== 'mr') return this.destination()
    this.modified = this.let(this.host(this.address(), this.size, 'modify'))
    return load64(this.modified, this.size)
  }

  write(value: I64): void {
    if (this.form !== 'mr') this.writeOperand(this.operand('first'), value, this.size)
    else if (this.modified === null) this.store(this.address(), value, this.size)
    else this.emit(store(this.modified, value, this.size))
  }

  writeAs(value: I64, bytes: number): void {
    this.writeOperand(this.operand('first'), value, bytes)
  }

  firstPlace(): I32 {
    return this.placeOf(this.operand('first'))
  }

  secondPlace(): I32 {
    return this.placeOf(this.operand('second'))
  }

  immediate(): I64 {
    const found = this.decoded.operands.find((operand) => operand.kind === 'immediate')
    return found?.kind === 'immediate' ? i64(found.lo, found.hi) : i64(0)
  }

  // ---- addresses ----

  private get memory(): MemoryOperand {
    return this.operand('memory') as MemoryOperand
  }

  address(): I64 {
    const { base, displacement, segment } = this.memory
    // What has no register of its own to go by is a table or a variable: its page is known.
    const isFixed = base === NONE || base === RIP
    this.via = segment !== NONE ? SEGMENTS : isFixed ? FIXED + (displacement >>> 12) : base
    const offset = this.offset()
    return this.memory.segment === NONE ? offset : offset.add(this.segmentBase())
  }

  offset(): I64 {
    const { base, index, scale, displacement, displacementHigh } = this.memory
    const far = i64(displacement, displacementHigh)
    let sum =
      base === RIP ? this.nextRip().add(far) : base === NONE ? far : this.plus(this.local64(base), far)
    if (index !== NONE) sum = sum.add(this.scaled(index, scale))
    return sum.zeroExtend(this.decoded.addressSize)
  }

  private plus(base: I64, displacement: I64): I64 {
    return displacement === ZERO ? base : base.add(displacement)
  }

  private scaled(index: number, scale: number): I64 {
    return scale === 1 ? this.local64(index) : this.local64(index).shl(Math.log2(scale))
  }

  segmentBase(): I64 {
    const operand = this.operand('memory')
    if (operand?.kind !== 'memory' || operand.segment === NONE) return i64(0)
    return this.field64(operand.segment === 4 ? FIELD.fsBase : FIELD.gsBase)
  }

  nextRip(): I64 {
    return addressOf(this.running.va + this.decoded.length)
  }

  // ---- memory ----

  protected tlbAddress(): I32 {
    return this.tlb.value
  }

  /** The page that the last access of a kind went to is tried first: see recent-pages.ts. */
  host(va: I64, bytes: number, access: Access): I32 {
    const at = this.let(va)
    const recent = this.recent.of(this.via, access)
    this.via = this.ownWay()
    const find = (): void => {
      const { isMiss, hostPage } = this.look(at, bytes, access)
      this.handOverIf(isMiss)
      this.recent.keep(recent, at, hostPage)
    }
    if (this.recent.mayBeKept(recent)) {
      this.expect(false)
      super.if(this.recent.isOther(recent, at, bytes), find)
    } else {
      find()
    }
    return this.recent.host(recent, at)
  }

  /** What an address is made from that is no operand's: the stack's, or a string's. */
  private ownWay(): number {
    return this.semantic.usesStack ? RSP : NONE
  }

  /** What a TLB that has the page lets be stored to is memory that nobody looks at. */
  commit(): void {}

  // ---- flags ----

  setArithmetic(operation: Arithmetic, a: I64, b: I64, r: I64): void {
    if (!this.areFlagsUsed) return
    this.flags.setArithmetic(operation, { a, b, r }, (this.semantic.flags.reads & CF) !== 0)
  }

  setLogic(r: I64): void {
    if (this.areFlagsUsed) this.flags.setLogic(r)
  }

  flagWords(): FlagWords {
    return this.flags.words()
  }

  setFlagWords(words: FlagWords): void {
    this.flags.setWords(words)
  }

  knownCondition(code: number): I32 | null {
    return this.flags.known(code)
  }

  // ---- statements ----

  /** What is known of flags holds on both ways, and behind them: where one of them changes flags, they are words before. */
  override if(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.known !== undefined) {
      super.if(condition, then, otherwise)
      return
    }
    const changes = this.mayChangeFlags()
    if (changes) this.flags.settle()
    const before = this.flags.state
    const way = (body: () => void) => (): void => {
      this.flags.state = before
      body()
      if (changes) this.flags.settle()
    }
    super.if(condition, way(then), otherwise === undefined ? undefined : way(otherwise))
    this.flags.state = before
  }

  /** Whether the running instruction may set flags on one way and not on another. */
  private mayChangeFlags(): boolean {
    if (this.step === null || !this.areFlagsUsed) return false
    const { sets, maySet } = this.semantic.flags
    return maySet !== 0 || (sets !== 0 && (sets !== ARITHMETIC || this.behind !== null))
  }

  // ---- where it goes on ----

  /** Hand the running instruction over, or that at another place: nothing of it has happened. It is rare. */
  handOverIf(condition: I32, place = this.place): void {
    this.set(this.where, i32(place))
    this.expect(false)
    this.brIf(this.handOver, condition)
  }

  handOverAlways(place = this.place): void {
    this.set(this.where, i32(place))
    this.br(this.handOver)
  }

  next(): void {
    this.br(this.behind as Label)
  }

  raise(): void {
    this.handOverAlways()
  }

  assistInstead(): void {
    this.handOverAlways()
  }

  exit(): void {
    this.handOverAlways()
  }

  again(): void {
    this.ways?.taken()
  }

  /** What takes long is a block of its own, so that the count is right without more. */
  effort(): void {
    this.setField(FIELD.left, this.left.value)
    this.let(new I32(callCode(this.effortCall, [])))
    this.set(this.left, this.field(FIELD.left))
  }

  jump(target: I64): void {
    this.ways?.computed(target)
  }

  jumpDirect(): void {
    this.ways?.taken()
  }

  // ---- the beginning and the end ----

  /** Put before everything what the code uses: it is known once that is written. */
  writePrologue(): void {
    for (const n of new Set([...this.read, ...this.written])) {
      this.prependSet(this.registers[n], load64(this.state.value, 8, GENERAL + n * 8))
    }
    this.recent.prepare((local, value) => this.prependSet(local, value))
    this.prependSet(this.tlb, this.field(FIELD.tlb))
    this.prependSet(this.left, this.field(FIELD.left))
  }

  private prependSet<T extends I32 | I64>(local: Local<T>, value: T): void {
    this.prepend(setCode(local, value))
  }

  writeEpilogue(): void {
    for (const n of this.written) this.setField(GENERAL + n * 8, this.registers[n].value, 8)
    const { result, carries } = this.flags.words()
    this.setField(FIELD.result, result, 8)
    this.setField(FIELD.carries, carries)
    this.setField(FIELD.left, this.left.value)
  }
}

const ZERO = i64(0)

/** A 48-bit address as the 64 bits that it stands for. */
export function addressOf(va: number): I64 {
  return i64(va >>> 0, vaHigh(va))
}
