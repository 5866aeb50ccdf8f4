import { select } from '../../wasm/wasm-module.ts'
import { i64 } from '../../wasm/wasm-values.ts'
import type { Emitter } from './emitter.ts'
import { CONDITION_FLAGS, condition } from './flags.ts'
import {
  BOTH,
  flags,
  LOADING,
  NO_OPERANDS,
  plainSemantic,
  READS_ONE,
  REGISTERS,
  type Semantic,
  STACK_SIZES,
  semantic,
  WIDE,
  WRITES_ONE,
} from './semantic.ts'

/** Moves between registers and memory, stack operations among them. */
const RAX = 0
const RDX = 2
const RBX = 3
const RSP = 4
const RBP = 5

function exchange(e: Emitter): void {
  const a = e.let(e.modify())
  const b = e.let(e.second())
  e.write(b)
  e.writeSecond(a)
}

/** Push a value of the operand's size; rsp moves once nothing can fault any more. */
export function push(e: Emitter, bytes: number, value: Parameters<Emitter['write']>[0]): void {
  const top = e.let(e.register(RSP).sub(bytes))
  e.store(top, value, bytes)
  e.setRegister(RSP, top)
}

function pop(e: Emitter): void {
  const value = e.let(e.load(e.register(RSP), e.size))
  // The address of a memory operand is computed with the rsp of after.
  if (e.form === 'mr') {
    const before = e.let(e.register(RSP))
    e.setRegister(RSP, before.add(e.size))
    const at = e.let(e.address())
    e.setRegister(RSP, before)
    e.store(at, value, e.size)
    e.setRegister(RSP, before.add(e.size))
    return
  }
  e.setRegister(RSP, e.register(RSP).add(e.size))
  e.write(value)
}

function leave(e: Emitter): void {
  const frame = e.let(e.register(RBP))
  const saved = e.let(e.load(frame, e.size))
  e.setRegister(RSP, frame.add(e.size))
  e.setRegister(RBP, saved, e.size)
}

/** `movzx` and `movsx`, by the sizes of source and destination: select.ts. The semantic's size is the source's. */
function extensions(): Semantic[] {
  const all: Semantic[] = []
  for (const from of [1, 2, 4] as const) {
    for (const to of WIDE) {
      if (from >= to && !(from === 4 && to === 4)) continue
      // What zero extends 4 bytes is mov.
      for (const signed of from === 4 ? [true] : [false, true]) {
        all.push(
          semantic({
            name: `${signed ? 'movsx' : 'movzx'} ${from} to ${to}`,
            mnemonics: [],
            sizes: [from],
            forms: LOADING,
            write: (e) => {
              const value = e.source()
              e.writeAs(signed ? value.signExtend(from) : value, to)
            },
          }),
        )
      }
    }
  }
  return all
}

/** The condition's code is part of the name: select.ts. */
function conditionalMoves(): Semantic[] {
  return CONDITION_FLAGS.flatMap((reads, code) => [
    // The source is loaded, and of 32 bits the upper half cleared, whether the condition holds or not.
    semantic({
      name: `cmovcc ${code}`,
      mnemonics: [],
      sizes: WIDE,
      forms: LOADING,
      flags: flags({ reads }),
      write: (e) => {
        const value = e.let(e.source())
        e.write(select(condition(e, code), value, e.destination()))
      },
    }),
    semantic({
      name: `setcc ${code}`,
      mnemonics: [],
      operands: WRITES_ONE,
      sizes: [1],
      forms: BOTH,
      flags: flags({ reads }),
      write: (e) => e.write(condition(e, code).extend()),
    }),
  ])
}

function swapBytes(e: Emitter): void {
  // The 16-bit form is undefined; processors clear the register.
  if (e.size === 2) {
    e.write(i64(0))
    return
  }
  // Swap neighbours of 8, of 16 and of 32 bits.
  const v = e.let(e.destination())
  const bytes = e.let(
    v
      .shr(8)
      .and(i64(0x00ff00ff, 0x00ff00ff))
      .or(v.and(i64(0x00ff00ff, 0x00ff00ff)).shl(8)),
  )
  const halves = e.let(
    bytes
      .shr(16)
      .and(i64(0x0000ffff, 0x0000ffff))
      .or(bytes.and(i64(0x0000ffff, 0x0000ffff)).shl(16)),
  )
  e.write(e.size === 8 ? halves.rotl(32) : halves)
}

/** cbw, cwde and cdqe. */
function widenAccumulator(e: Emitter): void {
  const half = e.size / 2
  e.setRegister(RAX, e.register(RAX, half).signExtend(half), e.size)
}

/** cwd, cdq and cqo. */
function spreadSign(e: Emitter): void {
  const sign = e.register(RAX, e.size).signExtend(e.size).sar(63)
  e.setRegister(RDX, sign, e.size)
}

function lookUpByte(e: Emitter): void {
  const value = e.let(e.load(e.address().add(e.register(RAX, 1)), 1))
  e.setRegister(RAX, value, 1)
}

/** With 32-bit addresses the sum is cut, and then the segment's base is added. */
function lookUpByteShort(e: Emitter): void {
  const sum = e.register(RBX, 4).add(e.register(RAX, 1)).and(i64(-1, 0))
  const value = e.let(e.load(e.let(sum.add(e.segmentBase())), 1))
  e.setRegister(RAX, value, 1)
}

const STACK = { sizes: STACK_SIZES, usesStack: true } as const

export const MOVE_SEMANTICS: readonly Semantic[] = [
  semantic({ name: 'mov', mnemonics: [], write: (e) => e.write(e.source()) }),
  semantic({ name: 'lea', mnemonics: [], sizes: WIDE, forms: REGISTERS, write: (e) => e.write(e.offset()) }),
  semantic({ name: 'xchg', forms: BOTH, write: exchange }),
  semantic({
    name: 'push',
    mnemonics: [],
    operands: READS_ONE,
    forms: LOADING,
    ...STACK,
    write: (e) => push(e, e.size, e.let(e.source())),
  }),
  semantic({ name: 'pop', mnemonics: [], operands: WRITES_ONE, forms: BOTH, ...STACK, write: pop }),
  semantic({ name: 'leave', operands: NO_OPERANDS, forms: REGISTERS, ...STACK, write: leave }),
  ...extensions(),
  ...conditionalMoves(),
  semantic({ name: 'bswap', operands: WRITES_ONE, sizes: WIDE, forms: REGISTERS, write: swapBytes }),
  semantic({ name: 'cbw', operands: NO_OPERANDS, sizes: WIDE, forms: REGISTERS, write: widenAccumulator }),
  semantic({ name: 'cwd', operands: NO_OPERANDS, sizes: WIDE, forms: REGISTERS, write: spreadSign }),
  plainSemantic({ name: 'xlat 8', mnemonics: [], sizes: [1], write: lookUpByte }),
  plainSemantic({ name: 'xlat 4', mnemonics: [], sizes: [1], write: lookUpByteShort }),
]
