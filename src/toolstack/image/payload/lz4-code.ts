import { FunctionBody, type Local, load32, ModuleBuilder, select, store } from '../../../wasm/wasm-module.ts'
import { type I32, i32 } from '../../../wasm/wasm-values.ts'
import { copyMatch, copyWide } from './copy-code.ts'

/**
 * The decoder of LZ4's blocks. A block is a row of sequences, of which the last one has no match:
 *
 *     token: literals (4 bits), match - 4 (4 bits) | more of the first, if 15 | literals | distance (16) | more of the second
 */

/** Addresses of what the decoder keeps between two calls: where the next bytes of input and output are. */
export const FIELD = { from: 0, to: 4 } as const
export const FIELD_BYTES = 8

/** Why decoding has ended. */
export const STATUS = {
  done: 0,
  paused: 1,
  cutOff: 2,
  blockTooLong: 3,
  beforeBeginning: 4,
  tooLong: 5,
} as const

const LEAST_MATCH = 4
const LENGTH_BITS = 4
const LONGEST_SHORT = 15
/** As much as any content has at most: lengths are counted no further. */
const ENOUGH = 2 ** 30

let compiled: WebAssembly.Module | null = null

/**
 * The module with decode(inputEnd, begin, end, pause), whose parameters are addresses: decode a block whose input ends
 * there and whose output began there, into memory that ends there; pause between two sequences when the output is as far as
 * that. Its result is one of STATUS. It is made once.
 */
export function lz4Module(): WebAssembly.Module {
  if (compiled !== null) return compiled
  const builder = new ModuleBuilder()
  const type = { parameters: ['i32', 'i32', 'i32', 'i32'], result: 'i32' } as const
  builder.function('decode', type, decodeFunction())
  compiled = new WebAssembly.Module(builder.bytes())
  return compiled
}

/** The function while it is written: its variables, of which the first three are parameters. */
type Decoder = {
  readonly f: FunctionBody
  readonly inputEnd: Local<I32>
  readonly begin: Local<I32>
  readonly end: Local<I32>
  readonly from: Local<I32>
  readonly to: Local<I32>
  readonly length: Local<I32>
  readonly distance: Local<I32>
  /** Where what is copied ends. */
  readonly stop: Local<I32>
  readonly leaveIf: (condition: I32, status: number) => void
}

function decodeFunction(): FunctionBody {
  const f = new FunctionBody(['i32', 'i32', 'i32', 'i32'])
  const [inputEnd, begin, end, pause] = [0, 1, 2, 3].map((index) => f.parameter<I32>(index))
  const local = (): Local<I32> => f.local('i32')
  const [from, to, token, length, distance, stop, status] = Array.from({ length: 7 }, local)
  f.set(from, load32(i32(FIELD.from), 4))
  f.set(to, load32(i32(FIELD.to), 4))
  f.block((out) => {
    const leaveIf = (condition: I32, why: number): void => {
      f.if(condition, () => {
        f.set(status, i32(why))
        f.br(out)
      })
    }
    const decoder: Decoder = { f, inputEnd, begin, end, from, to, length, distance, stop, leaveIf }
    f.loop((next) => {
      f.brIf(out, from.value.geU(inputEnd.value))
      leaveIf(to.value.geU(pause.value), STATUS.paused)
      f.set(token, load32(from.value, 1))
      f.set(from, from.value.add(1))
      writeLiterals(decoder, token.value.shr(LENGTH_BITS))
      f.brIf(out, from.value.eq(inputEnd.value))
      writeMatch(decoder, token.value.and(LONGEST_SHORT))
      f.br(next)
    })
  })
  f.emit(store(i32(FIELD.from), from.value, 4))
  f.emit(store(i32(FIELD.to), to.value, 4))
  f.return(status.value)
  return f
}

/** A length whose four bits are all set goes on in bytes, up to the first that is not 255. */
function writeLength({ f, inputEnd, from, length, leaveIf }: Decoder, short: I32): void {
  const byte = f.variable<I32>('i32')
  f.set(length, short)
  f.if(length.value.eq(LONGEST_SHORT), () =>
    f.loop((again) => {
      leaveIf(from.value.geU(inputEnd.value), STATUS.cutOff)
      f.set(byte, load32(from.value, 1))
      f.set(from, from.value.add(1))
      f.set(length, length.value.add(byte.value))
      f.set(length, select(length.value.ltU(ENOUGH), length.value, i32(ENOUGH)))
      f.brIf(again, byte.value.eq(0xff))
    }),
  )
  f.release()
}

function writeLiterals(decoder: Decoder, short: I32): void {
  const { f, inputEnd, end, from, to, length, stop, leaveIf } = decoder
  writeLength(decoder, short)
  const isBeyondInput = length.value.gtU(inputEnd.value.sub(from.value))
  leaveIf(isBeyondInput.or(length.value.gtU(end.value.sub(to.value))), STATUS.blockTooLong)
  f.if(length.value.ne(0), () => {
    const source = f.variable<I32>('i32')
    f.set(source, from.value)
    f.set(from, from.value.add(length.value))
    f.set(stop, to.value.add(length.value))
    copyWide(f, { to, from: source, stop })
  })
  f.release()
}

function writeMatch(decoder: Decoder, short: I32): void {
  const { f, inputEnd, begin, end, from, to, length, distance, stop, leaveIf } = decoder
  leaveIf(inputEnd.value.sub(from.value).ltU(2), STATUS.cutOff)
  f.set(distance, load32(from.value, 2))
  f.set(from, from.value.add(2))
  writeLength(decoder, short)
  f.set(length, length.value.add(LEAST_MATCH))
  const isBefore = distance.value.gtU(to.value.sub(begin.value))
  leaveIf(distance.value.eqz().or(isBefore), STATUS.beforeBeginning)
  leaveIf(length.value.gtU(end.value.sub(to.value)), STATUS.tooLong)
  f.set(stop, to.value.add(length.value))
  copyMatch(f, { to, stop, distance })
  f.release()
}
