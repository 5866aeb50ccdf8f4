import { byte, bytesOf, type Code, code, unsigned } from './bytes.ts'
import { I32, I64, ofType, TYPE_BYTE, typeOf, V128, type Value, type ValueType } from './wasm-values.ts'

const BLOCK = byte(0x02)
const LOOP = byte(0x03)
const IF = byte(0x04)
const ELSE = byte(0x05)
const END = byte(0x0b)
const BR = byte(0x0c)
const BR_IF = byte(0x0d)
const BR_TABLE = byte(0x0e)
const RETURN = byte(0x0f)
const CALL = byte(0x10)
const GET = byte(0x20)
const SET = byte(0x21)
const EMPTY = byte(0x40)

/** A place to branch to: a block's end or a loop's start. */
export type Label = { readonly depth: number }

/** A variable of a function. */
export type Local<V extends Value> = {
  readonly index: number
  readonly type: ValueType
  readonly value: V
  /** The code that takes what it is set to from the stack. */
  readonly setter: Code
}

/** The variables of all functions, which differ in nothing but type and number. */
const LOCALS: Readonly<Record<ValueType, Local<Value>[]>> = { i32: [], i64: [], f32: [], f64: [], v128: [] }

function localOf(type: ValueType, index: number): Local<Value> {
  const all = LOCALS[type]
  for (let n = all.length; n <= index; n++) {
    all.push({ index: n, type, value: ofType(type, GET + unsigned(n)), setter: SET + unsigned(n) })
  }
  return all[index]
}

/** The body of one function, written statement by statement. */
export class FunctionBody {
  private before: Code = ''
  private out: Code = ''
  private readonly types: ValueType[] = []
  private readonly parameters: number
  private depth = 0
  /** Which way branches mostly go: places in `out`, and 1 where it is to the label, or into the `if`. */
  private readonly hints: { readonly at: number; readonly taken: 0 | 1 }[] = []
  private expected: 0 | 1 | null = null
  /** Variables of finished instructions, for the next one to use again. */
  private readonly free: Record<ValueType, Local<Value>[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] }
  private readonly taken: Local<Value>[] = []
  private takenCount = 0

  constructor(parameters: readonly ValueType[]) {
    this.parameters = parameters.length
    this.types.push(...parameters)
  }

  parameter<T extends Value>(index: number): Local<T> {
    return localOf(this.types[index], index) as Local<T>
  }

  /** A variable for the whole function; it starts as zero. */
  local<T extends Value>(type: ValueType): Local<T> {
    return localOf(type, this.types.push(type) - 1) as Local<T>
  }

  /** Compute a value once: what is returned reads the variable that keeps it until `release`. */
  let<T extends Value>(value: T): T {
    if ((value instanceof I64 || value instanceof I32) && value.isKnown) return value
    const kept = this.variable(typeOf(value))
    this.set(kept, value)
    return kept.value as T
  }

  /** A variable until `release`, which holds anything. */
  variable<T extends Value>(type: ValueType): Local<T> {
    const local = this.free[type].pop() ?? this.local(type)
    this.taken[this.takenCount++] = local
    return local as Local<T>
  }

  /** The end of an instruction: its variables are free again. */
  release(): void {
    const { taken, free } = this
    for (let i = 0; i < this.takenCount; i++) free[taken[i].type].push(taken[i])
    this.takenCount = 0
  }

  set<T extends Value>(local: Local<T>, value: T): void {
    this.out += value.code + local.setter
  }

  emit(code: Code): void {
    this.out += code
  }

  /** A block, whose label is its end. */
  block(body: (label: Label) => void): void {
    this.open(BLOCK)
    body({ depth: ++this.depth })
    this.end()
  }

  /** A loop, whose label is its start; it ends where its body does. */
  loop(body: (label: Label) => void): void {
    this.open(LOOP)
    body({ depth: ++this.depth })
    this.end()
  }

  /** Say whether the next `if` or `brIf` mostly holds: engines keep what does not out of the way. */
  expect(holds: boolean): void {
    this.expected = holds ? 1 : 0
  }

  private hint(): void {
    if (this.expected !== null) this.hints.push({ at: this.out.length, taken: this.expected })
    this.expected = null
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    if (condition.known !== undefined) {
      if (condition.known !== 0) then()
      else otherwise?.()
      return
    }
    this.out += condition.code
    this.hint()
    this.open(IF)
    this.depth++
    then()
    if (otherwise !== undefined) {
      this.out += ELSE
      otherwise()
    }
    this.end()
  }

  private open(opcode: Code): void {
    this.out += opcode
    this.out += EMPTY
  }

  private end(): void {
    this.out += END
    this.depth--
  }

  br(label: Label): void {
    this.out += BR
    this.out += unsigned(this.depth - label.depth)
  }

  brIf(label: Label, condition: I32): void {
    this.out += condition.code
    this.hint()
    this.out += BR_IF
    this.out += unsigned(this.depth - label.depth)
  }

  /**
   * Branch to the end of the `index`th of the `count` innermost blocks, counted from within; what is beyond goes to the
   * last.
   */
  brTable(index: I32, count: number): void {
    this.out += index.code
    this.out += BR_TABLE
    this.out += unsigned(count - 1)
    for (let i = 0; i < count; i++) this.out += unsigned(i)
  }

  /** Open `count` blocks at once, for `brTable`; `closeBlock` ends the innermost of them. */
  openBlocks(count: number): void {
    for (let i = 0; i < count; i++) this.open(BLOCK)
    this.depth += count
  }

  closeBlock(): void {
    this.end()
  }

  return(value?: Value): void {
    if (value !== undefined) this.out += value.code
    this.out += RETURN
  }

  unreachable(): void {
    this.out += byte(0x00)
  }

  /** Put code before all that `emit` has written. */
  prepend(code: Code): void {
    this.before += code
  }

  /** Bytes of a written function before its first statement. */
  private headBytes = 0

  /** The hints of a written function, for the section of hints; null where it has none. */
  hintCode(): Code | null {
    if (this.hints.length === 0) return null
    return vector(this.hints.map(({ at, taken }) => unsigned(this.headBytes + at) + code(1, taken)))
  }

  /** The written function, for the code section. */
  functionCode(): Code {
    const groups: Code[] = []
    for (let i = this.parameters; i < this.types.length; ) {
      let n = 1
      while (this.types[i + n] === this.types[i] && i + n < this.types.length) n++
      groups.push(unsigned(n) + byte(TYPE_BYTE[this.types[i]]))
      i += n
    }
    const head = vector(groups) + this.before
    this.headBytes = head.length
    return sized(head + this.out + END)
  }
}

/** The code that sets a variable. */
export function setCode<T extends Value>(local: Local<T>, value: T): Code {
  return value.code + local.setter
}

/** The code of a call whose function has a result. */
export function callCode(index: number, args: readonly Value[]): Code {
  return codeOf(args) + CALL + unsigned(index)
}

/** The same of the function at a place of the module's imported table; `type` is the number of its type: `ModuleBuilder`. */
export function callIndirectCode(place: I32, type: number, args: readonly Value[]): Code {
  return codeOf(args) + place.code + byte(0x11) + unsigned(type) + byte(0)
}

function codeOf(values: readonly Value[]): Code {
  return values.map(({ code }) => code).join('')
}

// ---- memory ----

const LOADS = {
  i64: { 8: 0x29, 4: 0x35, 2: 0x33, 1: 0x31 },
  i32: { 4: 0x28, 2: 0x2f, 1: 0x2d },
} as const
const STORES = {
  i64: { 8: 0x37, 4: 0x3e, 2: 0x3d, 1: 0x3c },
  i32: { 4: 0x36, 2: 0x3b, 1: 0x3a },
} as const

/** What follows the opcode of an access: alignment, of which nothing is said, and offset. */
function at(offset: number): Code {
  return byte(0) + unsigned(offset)
}

/** The bytes at `address` + `offset`, zero extended. */
export function load64(address: I32, bytes: number, offset = 0): I64 {
  return new I64(address.code + byte(LOADS.i64[bytes as 8]) + at(offset))
}

/** Load 1, 2 or 4 bytes, zero extended to 32 bits. */
export function load32(address: I32, bytes: number, offset = 0): I32 {
  return new I32(address.code + byte(LOADS.i32[bytes as 4]) + at(offset))
}

/** Load 4 bytes, sign extended to 64 bits. */
export function loadSigned32(address: I32, offset: number): I64 {
  return new I64(address.code + byte(0x34) + at(offset))
}

/** Load 16 bytes, which need not be aligned. */
export function loadVector(address: I32, offset = 0): V128 {
  return new V128(address.code + code(0xfd, 0x00) + at(offset))
}

/** Four or eight bytes in the low lane of a vector of zeros. */
export function loadLane(address: I32, bytes: number, offset = 0): V128 {
  return new V128(address.code + code(0xfd, bytes === 4 ? 0x5c : 0x5d) + at(offset))
}

/** Store the low `bytes` bytes of a value, 1 to 16. */
export function store(address: I32, value: Value, bytes: number, offset = 0): Code {
  return address.code + value.code + storeOpcode(value, bytes) + at(offset)
}

function storeOpcode(value: Value, bytes: number): Code {
  if (value instanceof V128) return code(0xfd, 0x0b)
  return byte(value instanceof I64 ? STORES.i64[bytes as 8] : STORES.i32[bytes as 4])
}

/** memory.copy of `count` bytes; the ranges may overlap. */
export function copyBytes(to: I32, from: I32, count: I32): Code {
  return to.code + from.code + count.code + code(0xfc, 0x0a, 0x00, 0x00)
}

/** memory.fill. */
export function fillBytes(to: I32, value: I32, count: I32): Code {
  return to.code + value.code + count.code + code(0xfc, 0x0b, 0x00)
}

/** `a` where the condition is not zero, else `b`; both are computed. */
export function select<T extends Value>(condition: I32, a: T, b: T): T {
  if (condition.known !== undefined) return condition.known !== 0 ? a : b
  const operands = a.code + b.code + condition.code
  // Vectors need the form that names the type.
  return (
    a instanceof V128
      ? ofType('v128', operands + code(0x1c, 1, TYPE_BYTE.v128))
      : ofType(typeOf(a), operands + byte(0x1b))
  ) as T
}

// ---- the module ----

export type FunctionType = { readonly parameters: readonly ValueType[]; readonly result: ValueType | null }

/** Pages of 64 KiB in 4 GiB: any memory may be imported. */
const MAX_PAGES = 65536

/** A module of functions over one imported memory. Imports come before functions in the numbering. */
export class ModuleBuilder {
  private readonly imports: { name: string; type: FunctionType }[] = []
  private readonly functions: { name: string; type: FunctionType; body: FunctionBody }[] = []
  /** Whether a table of functions is imported, too. */
  private hasTable = false

  /** Import a table of functions, for `callIndirectCode`. */
  importTable(): void {
    this.hasTable = true
  }

  /** Number of the type of an import or function: that is its own number. */
  typeOf(index: number): number {
    return index
  }

  import(name: string, type: FunctionType): number {
    return this.imports.push({ name, type }) - 1
  }

  /** Add a function, which is exported under its name; its index. */
  function(name: string, type: FunctionType, body: FunctionBody): number {
    return this.imports.length + this.functions.push({ name, type, body }) - 1
  }

  /** The binary module; its memory and functions are imported from `env`. */
  bytes(): Uint8Array<ArrayBuffer> {
    const types = [...this.imports, ...this.functions].map(
      ({ type: { parameters, result } }) =>
        byte(0x60) +
        vector(parameters.map((p) => byte(TYPE_BYTE[p]))) +
        vector(result === null ? [] : [byte(TYPE_BYTE[result])]),
    )
    const imports = this.imports.map((f, i) => name('env') + name(f.name) + byte(0x00) + unsigned(i))
    imports.push(name('env') + name('memory') + code(0x02, 0x01) + unsigned(1) + unsigned(MAX_PAGES))
    if (this.hasTable) imports.push(name('env') + name('table') + code(0x01, 0x70, 0x00) + unsigned(0))
    const first = this.imports.length
    const functions = vector(this.functions.map(({ body }) => body.functionCode()))
    return bytesOf(
      code(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0) +
        section(1, vector(types)) +
        section(2, vector(imports)) +
        section(3, vector(this.functions.map((_, i) => unsigned(first + i)))) +
        section(7, vector(this.functions.map((f, i) => name(f.name) + byte(0x00) + unsigned(first + i)))) +
        this.hintSection() +
        section(10, functions),
    )
  }

  /** The custom section of branch hints, which the specification of that name says. */
  private hintSection(): Code {
    const first = this.imports.length
    const all = this.functions.flatMap(({ body }, i) => {
      const hints = body.hintCode()
      return hints === null ? [] : [unsigned(first + i) + hints]
    })
    return all.length === 0 ? '' : section(0, name('metadata.code.branch_hint') + vector(all))
  }
}

/** Items behind their number. */
function vector(items: readonly Code[]): Code {
  return unsigned(items.length) + items.join('')
}

/** Code behind its length. */
function sized(content: Code): Code {
  return unsigned(content.length) + content
}

function section(id: number, content: Code): Code {
  return byte(id) + sized(content)
}

/** Names are ASCII. */
function name(text: string): Code {
  return sized(text)
}
