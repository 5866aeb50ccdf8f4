import {
  callCode,
  type Label,
  type Local,
  load32,
  load64,
  loadSigned32,
  store,
} from '../../wasm/wasm-module.ts'
import { I32, type I64, i32 } from '../../wasm/wasm-values.ts'
import { CoreEmitter } from '../emit/core-emitter.ts'
import { MODIFY, READ, WRITE, WRITE_MORE } from '../memory/access.ts'
import type { Access, Emitter } from '../semantics/emitter.ts'
import { type Arithmetic, type FlagWords, wordsOf } from '../semantics/flags.ts'
import { EXIT, FIELD, GENERAL, HOT_BYTES, LOW_END, RECORD, RECORD_BYTES } from '../state.ts'

/** The functions that handlers call, by their index in the module. */
export type Calls = {
  readonly translate: number
  readonly commit: number
  readonly assist: number
  readonly effort: number
  /** Where jumps are counted, what is told of a place that many have come to. */
  readonly hot: number | null
}

const KINDS = { read: READ, write: WRITE, modify: MODIFY, 'write more': WRITE_MORE } as const

/** What a rare handler returns. */
export const RARE = { next: 0, fault: 1, again: 2, assist: 3 } as const

/**
 * Emits handlers of the interpreter: operands come from the decoded instruction at `record`. Two functions hold handlers.
 * The main one keeps flags, the count and the running page in variables; rare handlers live in a second one, which takes
 * them from the state and gives them back.
 */
export class InterpreterEmitter extends CoreEmitter implements Emitter {
  /** Whether the memory operand is a base and a displacement alone. */
  isSimple = false
  /** Whether a direct jump stays in its page. */
  isNear = false
  readonly record: Local<I32>
  readonly result: Local<I64>
  readonly carries: Local<I32>
  /** Address of the running page, its table of instructions and the TLB; of the main function only. */
  readonly page: Local<I64>
  readonly map: Local<I32>
  readonly left: Local<I32>
  readonly tlb: Local<I32>
  readonly target: Local<I64>
  readonly reason: Local<I32>
  /** Where handlers branch to; set by whoever builds the function. */
  labels: { next: Label; goTo: Label; fault: Label; here: Label; stored: Label } | null = null
  private readonly calls: Calls
  /** The place of the operand that `modify` has translated. */
  private modified: I32 | null = null

  constructor(calls: Calls, isMain: boolean) {
    super(isMain ? ['i32'] : ['i32', 'i32'])
    this.calls = calls
    this.record = isMain ? this.local('i32') : this.parameter<I32>(1)
    this.result = this.local('i64')
    this.carries = this.local('i32')
    this.page = this.local('i64')
    this.map = this.local('i32')
    this.left = this.local('i32')
    this.tlb = this.local('i32')
    this.target = this.local('i64')
    this.reason = this.local('i32')
    this.isMain = isMain
  }
  readonly isMain: boolean

  // ---- the decoded instruction ----

  private word(at: number): I32 {
    return load32(this.record.value, 4, at)
  }

  private half(at: number): I32 {
    return load32(this.record.value, 2, at)
  }

  immediate(): I64 {
    return load64(this.record.value, 8, RECORD.immediate)
  }

  offset(): I64 {
    if (this.isSimple) {
      return load64(this.half(RECORD.base), 8).add(loadSigned32(this.record.value, RECORD.displacement))
    }
    const base = load64(this.half(RECORD.base), 8)
    const index = load64(this.half(RECORD.index), 8).shl(load32(this.record.value, 1, RECORD.scale).extend())
    return base.add(index).add(loadSigned32(this.record.value, RECORD.displacement))
  }

  address(): I64 {
    return this.isSimple ? this.offset() : this.offset().add(this.segmentBase())
  }

  segmentBase(): I64 {
    return load64(this.half(RECORD.segment), 8)
  }

  nextRip(): I64 {
    const bytes = this.half(RECORD.offset).add(load32(this.record.value, 1, RECORD.length))
    return this.pageAddress().add(bytes.extend())
  }

  private pageAddress(): I64 {
    return this.isMain ? this.page.value : this.field64(FIELD.page)
  }

  // ---- operands ----

  source(): I64 {
    if (this.form === 'rm') return this.load(this.address(), this.size)
    return this.second()
  }

  second(): I64 {
    return load64(this.word(RECORD.b), this.size)
  }

  writeSecond(value: I64): void {
    this.writeRegister(this.word(RECORD.b), value, this.size)
  }

  destination(): I64 {
    if (this.form === 'mr') return this.load(this.address(), this.size)
    return load64(this.word(RECORD.a), this.size)
  }

  modify(): I64 {
    if (this.form !== 'mr') return this.destination()
    this.modified = this.let(this.host(this.address(), this.size, 'modify'))
    return load64(this.modified, this.size)
  }

  write(value: I64): void {
    if (this.form !== 'mr') {
      this.writeRegister(this.word(RECORD.a), value, this.size)
    } else if (this.modified === null) {
      this.store(this.address(), value, this.size)
    } else {
      this.emit(store(this.modified, value, this.size))
      this.commit(this.modified)
      this.modified = null
    }
  }

  writeAs(value: I64, bytes: number): void {
    this.writeRegister(this.word(RECORD.a), value, bytes)
  }

  /** A write of 4 bytes clears the upper half of the register; of 1 and 2 it leaves the rest. */
  private writeRegister(at: I32, value: I64, bytes: number): void {
    if (bytes === 4) this.emit(store(at, value.zeroExtend(4), 8))
    else this.emit(store(at, value, bytes))
  }

  firstPlace(): I32 {
    return this.word(RECORD.a)
  }

  secondPlace(): I32 {
    return this.word(RECORD.b)
  }

  // ---- registers by number ----

  register(n: number, bytes = 8): I64 {
    return load64(this.state.value, bytes, GENERAL + n * 8)
  }

  setRegister(n: number, value: I64, bytes = 8): void {
    const whole = bytes === 4 ? value.zeroExtend(4) : value
    this.emit(store(this.state.value, whole, bytes === 4 ? 8 : bytes, GENERAL + n * 8))
  }

  // ---- memory ----

  protected tlbAddress(): I32 {
    return this.isMain ? this.tlb.value : this.field(FIELD.tlb)
  }

  host(va: I64, bytes: number, access: Access): I32 {
    const at = this.let(va)
    const place = this.variable<I32>('i32')
    const { isHit, host } = this.look(at, bytes, access)
    this.expect(true)
    this.if(
      isHit,
      () => this.set(place, host),
      () => {
        this.setField(FIELD.va, at, 8)
        this.spill()
        const kind = i32(KINDS[access])
        this.set(place, new I32(callCode(this.calls.translate, [kind, i32(bytes)])))
        this.unspill()
        this.ifFault(place.value.eqz())
      },
    )
    return place.value
  }

  commit(host: I32): void {
    this.if(host.ltU(LOW_END), () => {
      this.spill()
      const done = this.let(new I32(callCode(this.calls.commit, [])))
      this.unspill()
      this.ifFault(done.eqz())
    })
  }

  /** What the outside may look at or change while it is called. */
  private spill(): void {
    this.setField(FIELD.record, this.record.value)
    if (this.isMain) this.setField(FIELD.left, this.left.value)
  }

  private unspill(): void {
    if (this.isMain) this.set(this.left, this.field(FIELD.left))
  }

  private ifFault(condition: I32): void {
    if (this.labels !== null) this.brIf(this.labels.fault, condition)
    else this.if(condition, () => this.return(i32(RARE.fault)))
  }

  /** Have TypeScript carry this instruction out; see assist.ts. */
  assist(): void {
    const { next, goTo, fault, stored } = this.mainLabels()
    this.saveFlags()
    this.spill()
    const outcome = this.let(new I32(callCode(this.calls.assist, [])))
    this.unspill()
    this.loadFlags()
    this.if(outcome.eqz(), () => {
      this.advance()
      this.br(next)
    })
    this.brIf(fault, outcome.eq(1))
    this.set(this.target, this.field64(FIELD.rip))
    this.brIf(goTo, outcome.eq(2))
    this.set(this.reason, i32(EXIT.exception))
    this.brIf(stored, outcome.eq(3))
    this.exit(EXIT.segment)
  }

  // ---- flags ----

  readonly areFlagsUsed = true

  setArithmetic(operation: Arithmetic, a: I64, b: I64, r: I64): void {
    this.setFlagWords(wordsOf(this.size, operation, a, b, r))
  }

  setLogic(r: I64): void {
    this.setFlagWords({ result: r.signExtend(this.size), carries: i32(0) })
  }

  flagWords(): FlagWords {
    return { result: this.result.value, carries: this.carries.value }
  }

  setFlagWords({ result, carries }: FlagWords): void {
    this.set(this.carries, carries)
    this.set(this.result, result)
  }

  knownCondition(): I32 | null {
    return null
  }

  loadFlags(): void {
    this.set(this.result, this.field64(FIELD.result))
    this.set(this.carries, this.field(FIELD.carries))
  }

  saveFlags(): void {
    this.setField(FIELD.result, this.result.value, 8)
    this.setField(FIELD.carries, this.carries.value)
  }

  // ---- where it goes on ----

  private mainLabels(): NonNullable<InterpreterEmitter['labels']> {
    if (!this.isMain || this.labels === null) throw new Error('a rare handler cannot jump')
    return this.labels
  }

  advance(): void {
    this.set(this.record, this.record.value.add(RECORD_BYTES))
  }

  /** The end of a handler that goes on with the next instruction. */
  next(): void {
    if (this.isMain) {
      this.advance()
      this.br(this.mainLabels().next)
    } else {
      this.saveFlags()
      this.return(i32(RARE.next))
    }
  }

  assistInstead(): void {
    if (this.isMain) throw new Error('only rare handlers fall back')
    // Assisted instructions find their operand's address there.
    if (this.form !== 'rr') this.setField(FIELD.computed, this.offset(), 8)
    this.return(i32(RARE.assist))
  }

  jump(target: I64): void {
    this.set(this.target, target)
    this.br(this.mainLabels().goTo)
  }

  jumpDirect(): void {
    if (this.isNear) this.jumpNear()
    else this.jump(this.nextRip().add(loadSigned32(this.record.value, RECORD.displacement)))
  }

  /** Inside its page a jump finds the record at its target by one look at the page's table. */
  private jumpNear(): void {
    const { next, goTo } = this.mainLabels()
    const slot = this.let(this.word(RECORD.target))
    const entry = this.let(this.map.value.add(slot))
    const record = this.let(load32(entry, 4))
    this.if(record.ne(0), () => {
      this.set(this.record, record)
      this.countJump(entry)
      this.br(next)
    })
    this.set(this.target, this.page.value.add(slot.shr(2).extend()))
    this.br(goTo)
  }

  /** Count a jump to the place of an entry of the running page's table. */
  countJump(entry: I32): void {
    const { hot } = this.calls
    if (hot === null) return
    const hash = entry.xor(entry.shr(14)).and(HOT_BYTES - 4)
    const at = this.let(this.field(FIELD.hot).add(hash))
    const left = this.let(load32(at, 4).sub(1))
    this.emit(store(at, left, 4))
    this.expect(false)
    this.if(left.eqz(), () => {
      this.let(new I32(callCode(hot, [entry])))
    })
  }

  again(): void {
    if (this.isMain) {
      this.br(this.mainLabels().next)
    } else {
      this.saveFlags()
      this.return(i32(RARE.again))
    }
  }

  effort(): void {
    if (this.isMain) throw new Error('what takes long is a rare handler')
    this.let(new I32(callCode(this.calls.effort, [])))
  }

  /**
   * Count the second of two instructions that one handler carries out. Where the budget has no room for it, the handler
   * ends here, and the plain records behind its own follow.
   */
  countSecond(): void {
    const { next } = this.mainLabels()
    this.if(this.left.value.eqz(), () => {
      this.uncount()
      this.advance()
      this.br(next)
    })
    this.set(this.left, this.left.value.sub(1))
  }

  /** Go on behind `records` records more than usual. */
  skip(records: number): void {
    this.set(this.record, this.record.value.add(records * RECORD_BYTES))
  }

  /** What is no instruction of the guest does not count. */
  uncount(): void {
    this.set(this.left, this.left.value.add(1))
  }

  raise(vector: number): void {
    this.setField(FIELD.vector, i32(vector))
    this.setField(FIELD.errorCode, i32(0))
    if (this.labels !== null) this.br(this.labels.fault)
    else this.return(i32(RARE.fault))
  }

  exit(reason: number): void {
    const { here } = this.mainLabels()
    this.uncount()
    this.set(this.reason, i32(reason))
    this.br(here)
  }
}
