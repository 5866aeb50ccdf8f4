import type { Code } from '../../wasm/bytes.ts'
import type { Local } from '../../wasm/wasm-module.ts'
import type { I32, I64, V128, Value, ValueType } from '../../wasm/wasm-values.ts'
import type { Arithmetic, FlagWords } from './flags.ts'

/**
 * What the semantics of an instruction are written against. They say once what is read, computed and written; who
 * implements this decides where operands come from. The interpreter reads them from the decoded instruction at run time;
 * the compiler of regions knows them.
 *
 * The one rule: everything that can fault comes before the first register or flag is written.
 */
export type Emitter = Build & Operands & Vectors & RegistersByNumber & MemoryAccess & Flags & Flow

/** Statements of WebAssembly. */
export type Build = {
  let<T extends Value>(value: T): T
  variable<T extends Value>(type: ValueType): Local<T>
  set<T extends Value>(local: Local<T>, value: T): void
  emit(code: Code): void
  if(condition: I32, then: () => void, otherwise?: () => void): void
  loop(body: (again: { depth: number }) => void): void
  block(body: (end: { depth: number }) => void): void
  br(label: { depth: number }): void
  brIf(label: { depth: number }, condition: I32): void
  choose(condition: I32, a: I64, b: I64): I64
  smaller(a: I32, b: number): I32
}

/** Operands: values of `size` bytes, zero extended. */
export type Operands = {
  /** Bytes of the operation. */
  readonly size: 1 | 2 | 4 | 8
  readonly form: OperandForm
  /** The second operand. */
  source(): I64
  /** The first operand, to be read alone. */
  destination(): I64
  /** The first operand, to be read and then written. */
  modify(): I64
  /** Write the first operand; the bits of `value` above the operand's size do not matter. */
  write(value: I64): void
  /** Write the first operand, a register, with `bytes` bytes instead of `size`. */
  writeAs(value: I64, bytes: number): void
  /** The second register operand, whatever the form: of instructions whose other operands are memory and an immediate. */
  second(): I64
  writeSecond(value: I64): void
  immediate(): I64
  /** The effective address, with its segment's base or without. */
  address(): I64
  offset(): I64
  segmentBase(): I64
  /** Where the first two register operands lie, to be read, or of vectors also to be written. */
  firstPlace(): I32
  secondPlace(): I32
}

/** Operands that are vectors. */
export type Vectors = {
  /** The first operand, an xmm register, and the second one. */
  vector(): V128
  secondVector(): V128
  /**
   * The second operand: an xmm register, or `bytes` bytes of memory with zeros above. 16 bytes have to be aligned, or
   * it is #GP, but where `aligned` is false.
   */
  vectorSource(bytes: number, aligned?: boolean): V128
  /** The low `bytes` bytes of the second operand, a general register, with zeros above. */
  vectorFromSecond(bytes: number): V128
  writeVector(value: V128): void
  /** Store 16 bytes to the memory operand. */
  storeVector(value: V128, aligned: boolean): void
}

/** Registers by number, and fields of the vCPU's state: 4 bytes, or 8. */
export type RegistersByNumber = {
  register(n: number, bytes?: number): I64
  setRegister(n: number, value: I64, bytes?: number): void
  field(at: number): I32
  field64(at: number): I64
  setField(at: number, value: Value, bytes?: number): void
}

export type MemoryAccess = {
  load(va: I64, bytes: number): I64
  loadVector(va: I64): V128
  store(va: I64, value: Value, bytes: number): void
  /** Where the bytes at `va` are, for loads, for stores or for both at once: an address in WebAssembly's memory. */
  host(va: I64, bytes: number, access: Access): I32
  /** The end of a store through `host(va, n, 'write')`. It may fault. */
  commit(host: I32): void
}

/** The flags as they are kept: see flags.ts, whose functions are what semantics use. */
export type Flags = {
  /** Whether anybody may look at flags that the instruction sets. */
  readonly areFlagsUsed: boolean
  /** They follow from an addition or a subtraction of `size` bytes. */
  setArithmetic(operation: Arithmetic, a: I64, b: I64, r: I64): void
  /** They follow from the result of a bitwise operation. */
  setLogic(r: I64): void
  flagWords(): FlagWords
  setFlagWords(words: FlagWords): void
  /** One of the sixteen conditions, where the operands that it follows from are at hand. */
  knownCondition(code: number): I32 | null
}

/** Where it goes on. */
export type Flow = {
  /** Go on with the next instruction, from within; the end of the code does it by itself. */
  next(): void
  /** Have TypeScript carry the instruction out after all; nothing of it may have happened. */
  assistInstead(): void
  /** What the instruction has done took as long as hundreds of others: the slice may have to end behind it. */
  effort(): void
  nextRip(): I64
  /** Go on at any address, or at the target that the instruction names. */
  jump(target: I64): void
  jumpDirect(): void
  /** Execute this instruction again, as `rep` does. */
  again(): void
  /** Raise an exception of this instruction; nothing of it may have happened. */
  raise(vector: number): void
  /** Leave before this instruction: its owner carries it out. */
  exit(reason: number): void
}

/** How memory is accessed: `write more` is a store to these bytes and then to others of their page. */
export type Access = 'read' | 'write' | 'modify' | 'write more'

/** How the first two operands are found: register and register, register and memory, memory and register. */
export type OperandForm = 'rr' | 'rm' | 'mr'
