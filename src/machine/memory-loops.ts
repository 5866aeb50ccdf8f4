import { FunctionBody, ModuleBuilder, store } from '../wasm/wasm-module.ts'
import { type I32, type I64, i32 } from '../wasm/wasm-values.ts'
import { OWNER_WORD, RECORD_WORDS } from './frames.ts'

/**
 * The stores of which a machine of many frames needs millions before its guest runs, in WebAssembly: JavaScript looks at the
 * bounds of each. Addresses are bytes of the machine's memory.
 */
export type MemoryLoops = {
  /** `count` numbers of 64 bits in a row: `first`, `first` + `step` and so on, which have 32 bits. */
  readonly numbers: (at: number, count: number, first: number, step: number) => void
  /** The first three words of `count` records in a row. */
  readonly records: (at: number, count: number, type: number, refs: number, owner: number) => void
}

type Loop = (...args: number[]) => number

let compiled: WebAssembly.Module | null = null

/** Compiled once, and linked to each memory. Of fewer than one nothing is stored. */
export function linkLoops(memory: WebAssembly.Memory): MemoryLoops {
  compiled ??= new WebAssembly.Module(build())
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } })
  return { numbers: exports.numbers as Loop, records: exports.records as Loop }
}

function build(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const four = ['i32', 'i32', 'i32', 'i32'] as const
  module.function('numbers', { parameters: four, result: null }, numbers(new FunctionBody(four)))
  const five = [...four, 'i32'] as const
  module.function('records', { parameters: five, result: null }, records(new FunctionBody(five)))
  return module.bytes()
}

function numbers(f: FunctionBody): FunctionBody {
  const [at, count, value, step] = [0, 1, 2, 3].map((n) => f.parameter<I32>(n))
  f.loop((again) => {
    f.if(i32(0).ltS(count.value), () => {
      f.emit(store(at.value, value.value.extend(), 8))
      f.set(at, at.value.add(8))
      f.set(value, value.value.add(step.value))
      f.set(count, count.value.sub(1))
      f.br(again)
    })
  })
  return f
}

function records(f: FunctionBody): FunctionBody {
  const [at, count, type, refs, owner] = [0, 1, 2, 3, 4].map((n) => f.parameter<I32>(n))
  const words = f.local<I64>('i64')
  f.set(words, type.value.extend().or(refs.value.extend().shl(32)))
  f.loop((again) => {
    f.if(i32(0).ltS(count.value), () => {
      f.emit(store(at.value, words.value, 8))
      f.emit(store(at.value, owner.value, 4, OWNER_WORD * 4))
      f.set(at, at.value.add(RECORD_WORDS * 4))
      f.set(count, count.value.sub(1))
      f.br(again)
    })
  })
  return f
}
