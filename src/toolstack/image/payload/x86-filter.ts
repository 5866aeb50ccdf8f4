import {
  FunctionBody,
  type Label,
  type Local,
  load32,
  loadVector,
  ModuleBuilder,
  select,
  store,
} from '../../../wasm/wasm-module.ts'
import { type I32, i32, v128 } from '../../../wasm/wasm-values.ts'
import type { DecoderMemory } from './decoder-memory.ts'

/**
 * xz's filter for x86 code: before packing, the operand of each call and jmp was made absolute, so that calls of one
 * function look alike. Here they become relative again.
 *
 * Only operands whose highest byte is 0 or 0xff are changed. As any byte may look like an opcode, what was one is guessed
 * from the opcode-like bytes in the three bytes before: `seen` has a bit for each, the nearest lowest.
 */
const CALL = 0xe8
const CALL_OR_JMP = 0xfe
const OPERAND_BYTES = 4
/** By `seen`: whether an opcode may begin here at all (a bit each), and which byte of the operand the former one would reach. */
const MAY_BEGIN = 0b0001_0111
const REACHED_BYTE = [0, 1, 2, 2, 3, 3, 3, 3]

/** Instructions of vectors. */
const SIMD = { equalBytes: 0x23, and: 0x4e, highBits: 0x64 } as const
const VECTOR_BYTES = 16

const everyByte = (byte: number) => v128(Array.from({ length: 4 }, () => byte * 0x0101_0101))

/** The function while it is written, with its variables: addresses, but for `seen` and `value`. */
type Filter = {
  readonly f: FunctionBody
  /** The parameters: where the code begins and ends. */
  readonly begin: Local<I32>
  readonly end: Local<I32>
  readonly at: Local<I32>
  readonly seen: Local<I32>
  /** The last byte like an opcode. */
  readonly last: Local<I32>
  readonly value: Local<I32>
}

let compiled: WebAssembly.Module | null = null

/** Undo the filter in a decoder's memory, for `bytes` bytes at an address. Operands count from there. */
export function unfilterX86(memory: DecoderMemory, start: number, bytes: number): void {
  compiled ??= filterModule()
  memory.run(compiled).unfilter(start, start + bytes)
}

function filterModule(): WebAssembly.Module {
  const builder = new ModuleBuilder()
  builder.function('unfilter', { parameters: ['i32', 'i32'], result: null }, filterFunction())
  return new WebAssembly.Module(builder.bytes())
}

function filterFunction(): FunctionBody {
  const f = new FunctionBody(['i32', 'i32'])
  const local = (): Local<I32> => f.local('i32')
  const begin = f.parameter<I32>(0)
  const end = f.parameter<I32>(1)
  const filter = { f, begin, end, at: local(), seen: local(), last: local(), value: local() }
  const { at, seen, last } = filter
  f.set(at, begin.value)
  f.set(last, begin.value.sub(1))
  f.loop((next) => {
    f.block((out) => {
      findOpcode(filter, next, out)
      const distance = at.value.sub(last.value)
      f.set(seen, select(distance.gtU(3), i32(0), seen.value.shl(distance.sub(1)).and(7)))
      f.set(last, at.value)
      f.if(isOperand(filter), () => {
        writeRelative(filter)
        f.set(at, at.value.add(1 + OPERAND_BYTES))
        f.br(next)
      })
      f.set(seen, seen.value.shl(1).or(1))
      f.set(at, at.value.add(1))
      f.br(next)
    })
  })
  return f
}

/** Move `at` on to the next byte that may be an opcode with its operand behind it; `out` when there is none. */
function findOpcode({ f, end, at }: Filter, next: Label, out: Label): void {
  const last = end.value.sub(OPERAND_BYTES)
  const found = f.variable<I32>('i32')
  f.brIf(out, at.value.add(OPERAND_BYTES).geU(end.value))
  const opcodes = loadVector(at.value).simd(SIMD.and, everyByte(CALL_OR_JMP))
  f.set(found, opcodes.simd(SIMD.equalBytes, everyByte(CALL)).bits(SIMD.highBits))
  f.if(found.value.eqz(), () => {
    f.set(at, at.value.add(VECTOR_BYTES))
    f.br(next)
  })
  f.set(at, at.value.add(found.value.extend().ctz().wrap()))
  f.brIf(out, at.value.geU(last))
  f.release()
}

/** Whether the four bytes behind `at` are an operand that the filter has changed. */
function isOperand(filter: Filter): I32 {
  const { at, seen } = filter
  const highest = load32(at.value, 1, OPERAND_BYTES)
  const reached = load32(at.value.add(OPERAND_BYTES).sub(reachedByte(filter)), 1)
  const mayBegin = i32(MAY_BEGIN).shr(seen.value).and(1).and(isSignByte(reached).eqz())
  return isSignByte(highest).and(seen.value.eqz().or(mayBegin))
}

/** Bytes 0 and 0xff. */
function isSignByte(byte: I32): I32 {
  return byte.add(1).and(0xff).ltU(2)
}

function reachedByte({ seen }: Filter): I32 {
  const packed = REACHED_BYTE.reduce((sum, byte, i) => sum | (byte << (2 * i)), 0)
  return i32(packed).shr(seen.value.shl(1)).and(3)
}

/** The operand behind `at` becomes relative to what follows it, 25 bits wide. */
function writeRelative(filter: Filter): void {
  const { f, begin, at, seen, value } = filter
  const next = at.value.add(1 + OPERAND_BYTES).sub(begin.value)
  f.set(value, load32(at.value, 4, 1).sub(next))
  f.if(seen.value.ne(0), () => {
    const shift = f.variable<I32>('i32')
    f.set(shift, i32(24).sub(reachedByte(filter).shl(3)))
    // Once is enough: what then stands in the reached byte is what stood there, inverted, and that is no sign byte.
    f.if(isSignByte(value.value.shr(shift.value)), () => {
      const mask = i32(2 ** 8)
        .shl(shift.value)
        .sub(1)
      f.set(value, value.value.xor(mask).sub(next))
    })
    f.release()
  })
  f.emit(store(at.value, value.value.shl(7).sar(7), 4, 1))
}
