import { select } from '../wasm/wasm-module.ts'
import { i64 } from '../wasm/wasm-values.ts'
import { ALL_FORMS, BOTH, type Emitter, type Handler, operation, SIZES, withSimple } from './emitter.ts'
import { condition } from './flags.ts'

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

/** `movzx` and `movsx` from a source of another size than the destination's: the key names both. */
function extensions(): Handler[] {
  const handlers: Handler[] = []
  for (const from of [1, 2, 4] as const) {
    for (const to of [2, 4, 8] as const) {
      if (from >= to && !(from === 4 && to === 4)) continue
      for (const form of ['rr', 'rm'] as const) {
        for (const signed of [false, true]) {
          const key = `${signed ? 'movsx' : 'movzx'}${from}to${to}${form}`
          handlers.push({
            key,
            size: from,
            form,
            write: (e) => {
              const value = e.source()
              e.writeAs(signed ? value.signExtend(from) : value, to)
            },
          })
        }
      }
    }
  }
  return handlers
}

/** cmovcc loads its source, and of 32 bits clears the upper half, whether the condition holds or not. */
function conditionalMoves(): Handler[] {
  const handlers: Handler[] = []
  for (let code = 0; code < 16; code++) {
    handlers.push(
      ...operation(`cmov${code}:`, [2, 4, 8], ['rr', 'rm'], (e) => {
        const value = e.let(e.source())
        e.write(select(condition(e, code), value, e.destination()))
      }),
      ...operation(`set${code}:`, [1], BOTH, (e) => e.write(condition(e, code).extend())),
    )
  }
  return handlers
}

export function moveHandlers(): Handler[] {
  return [
    ...withSimple(operation('mov', SIZES, ALL_FORMS, (e) => e.write(e.source()))),
    ...operation('lea', [2, 4, 8], ['rr'], (e) => e.write(e.offset())),
    ...operation('xchg', SIZES, BOTH, exchange),
    ...operation('push', [2, 8], ['rr', 'rm'], (e) => push(e, e.size, e.let(e.source()))),
    ...operation('pop', [2, 8], BOTH, pop),
    ...operation('leave', [2, 8], ['rr'], leave),
    ...withSimple(extensions()),
    ...conditionalMoves(),
    ...operation('bswap', [4, 8], ['rr'], (e) => {
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
    }),
    // The 16-bit form is undefined; processors clear the register.
    ...operation('bswap', [2], ['rr'], (e) => e.write(i64(0))),
    ...operation('cbw', [2, 4, 8], ['rr'], (e) => {
      const half = e.size / 2
      e.setRegister(RAX, e.register(RAX, half).signExtend(half), e.size)
    }),
    ...operation('cwd', [2, 4, 8], ['rr'], (e) => {
      const sign = e.register(RAX, e.size).signExtend(e.size).sar(63)
      e.setRegister(RDX, sign, e.size)
    }),
    ...operation('xlat', [1], ['rr'], (e) => {
      const value = e.let(e.load(e.address().add(e.register(RAX, 1)), 1))
      e.setRegister(RAX, value, 1)
    }),
    // With 32-bit addresses the sum is cut, and then the segment's base is added.
    ...operation('xlatshort', [1], ['rr'], (e) => {
      const sum = e.register(RBX, 4).add(e.register(RAX, 1)).and(i64(-1, 0))
      const value = e.let(e.load(e.let(sum.add(e.segmentBase())), 1))
      e.setRegister(RAX, value, 1)
    }),
  ]
}
