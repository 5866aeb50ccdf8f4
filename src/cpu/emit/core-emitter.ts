import {
  FunctionBody,
  type Local,
  load32,
  load64,
  loadLane,
  loadVector,
  select,
  store,
} from '../../wasm/wasm-module.ts'
import { type I32, type I64, i32, type V128, type Value } from '../../wasm/wasm-values.ts'
import type { Access, OperandForm } from '../semantics/emitter.ts'
import { TLB, TLB_ENTRIES, TLB_ENTRY_BYTES } from '../state.ts'

const GENERAL_PROTECTION = 13

/**
 * One look at the TLB: whether it has what was asked for, or has it not, and where that is, and the beginning of its page, in
 * WebAssembly's memory.
 */
export type Look = {
  readonly isHit: I32
  readonly isMiss: I32
  readonly host: I32
  readonly hostPage: I32
}

/**
 * What emitters for this core share, wherever their operands come from: the vCPU's state, the look at the TLB, vectors. Their
 * functions have the address of the state as the first parameter.
 */
export abstract class CoreEmitter extends FunctionBody {
  size: 1 | 2 | 4 | 8 = 8
  form: OperandForm = 'rr'
  readonly state: Local<I32> = this.parameter<I32>(0)

  /** Address of the TLB. */
  protected abstract tlbAddress(): I32
  abstract address(): I64
  abstract firstPlace(): I32
  abstract secondPlace(): I32
  abstract host(va: I64, bytes: number, access: Access): I32
  abstract commit(host: I32): void
  abstract raise(vector: number): void

  // ---- the state ----

  field(at: number): I32 {
    return load32(this.state.value, 4, at)
  }

  field64(at: number): I64 {
    return load64(this.state.value, 8, at)
  }

  setField(at: number, value: Value, bytes = 4): void {
    this.emit(store(this.state.value, value, bytes, at))
  }

  // ---- memory ----

  /**
   * One comparison: the tag is that of the page of the access's last byte, in the entry of its first one's, so that an access
   * to two pages never hits. The slot is SoftTlb's.
   */
  protected look(at: I64, bytes: number, access: Access): Look {
    const number = this.let(at.shr(12).wrap())
    const slot = number.xor(number.shr(10)).and(TLB_ENTRIES - 1)
    const entry = this.let(this.tlbAddress().add(slot.mul(TLB_ENTRY_BYTES)))
    const last = bytes === 1 ? at : at.add(bytes - 1)
    const page = last.and(-4096)
    const tag = load64(entry, 8, access === 'read' ? TLB.read : TLB.write)
    return {
      isHit: tag.eq(page),
      isMiss: tag.ne(page),
      host: load32(entry, 4, TLB.host).add(at.wrap().and(4095)),
      hostPage: load32(entry, 4, TLB.host),
    }
  }

  load(va: I64, bytes: number): I64 {
    return load64(this.host(va, bytes, 'read'), bytes)
  }

  loadVector(va: I64): V128 {
    return loadVector(this.host(va, 16, 'read'))
  }

  store(va: I64, value: Value, bytes: number): void {
    const host = this.let(this.host(va, bytes, 'write'))
    this.emit(store(host, value, bytes))
    this.commit(host)
  }

  // ---- vectors ----

  vector(): V128 {
    return loadVector(this.firstPlace())
  }

  secondVector(): V128 {
    return loadVector(this.secondPlace())
  }

  vectorSource(bytes: number, aligned = true): V128 {
    if (this.form !== 'rm') return this.secondVector()
    const va = this.let(this.address())
    if (bytes < 16) return loadLane(this.host(va, bytes, 'read'), bytes)
    if (aligned) this.checkAlignment(va)
    return this.loadVector(va)
  }

  vectorFromSecond(bytes: number): V128 {
    return loadLane(this.secondPlace(), bytes)
  }

  writeVector(value: V128): void {
    this.emit(store(this.firstPlace(), value, 16))
  }

  storeVector(value: V128, aligned: boolean): void {
    const va = this.let(this.address())
    if (aligned) this.checkAlignment(va)
    this.store(va, value, 16)
  }

  private checkAlignment(va: I64): void {
    this.if(va.and(15).ne(0), () => this.raise(GENERAL_PROTECTION))
  }

  // ---- small helps ----

  choose(condition: I32, a: I64, b: I64): I64 {
    return select(condition, a, b)
  }

  smaller(a: I32, b: number): I32 {
    return select(a.ltU(b), a, i32(b))
  }
}
