import { load64, store } from '../../wasm/wasm-module.ts'
import { type I64, i32, i64 } from '../../wasm/wasm-values.ts'
import { CF, ZF } from '../state.ts'
import type { Emitter } from './emitter.ts'
import { setCarry, setZero } from './flags.ts'
import { BOTH, flags, LOADING, type Semantic, semantic, WIDE } from './semantic.ts'

/** Tests and searches of single bits. */

type Change = (value: I64, mask: I64) => I64

const CHANGES: Readonly<Record<string, Change | null>> = {
  bt: null,
  bts: (value, mask) => value.or(mask),
  btr: (value, mask) => value.and(mask.not()),
  btc: (value, mask) => value.xor(mask),
}

/** The bit's number counts within the operand. */
function testBit(change: Change | null): (e: Emitter) => void {
  return (e) => {
    const n = e.let(e.second().and(e.size * 8 - 1))
    const value = e.let(change === null ? e.destination() : e.modify())
    if (change !== null) e.write(change(value, i64(1).shl(n)))
    setCarry(e, value.shr(n).wrap().and(1))
  }
}

/** With a register as the number and memory as the operand, the number reaches beyond the operand, both ways. */
function testFarBit(change: Change | null): (e: Emitter) => void {
  return (e) => {
    const n = e.let(e.second().signExtend(e.size))
    const at = e.let(e.address().add(n.sar(3).and(-e.size)))
    const low = e.let(n.and(e.size * 8 - 1))
    const host = e.let(e.host(at, e.size, change === null ? 'read' : 'modify'))
    const value = e.let(load64(host, e.size))
    if (change !== null) {
      e.emit(store(host, change(value, i64(1).shl(low)), e.size))
      e.commit(host)
    }
    setCarry(e, value.shr(low).wrap().and(1))
  }
}

/** Of a source of zero the destination stays as it was. */
function scan(forward: boolean): (e: Emitter) => void {
  return (e) => {
    const value = e.let(e.source())
    e.if(
      value.eqz(),
      () => setZero(e, i32(1)),
      () => {
        e.write(forward ? value.ctz() : i64(63).sub(value.clz()))
        setZero(e, i32(0))
      },
    )
  }
}

const SETS_CARRY = flags({ sets: CF })
const SETS_ZERO = flags({ sets: ZF })

/** The bits of a register, and of memory by an immediate, or by a register: `far`. */
export const BIT_SEMANTICS: readonly Semantic[] = [
  ...Object.entries(CHANGES).flatMap(([name, change]) => [
    semantic({ name, sizes: WIDE, forms: BOTH, flags: SETS_CARRY, write: testBit(change) }),
    semantic({
      name: `${name} far`,
      mnemonics: [],
      sizes: WIDE,
      forms: ['mr'],
      flags: SETS_CARRY,
      write: testFarBit(change),
    }),
  ]),
  semantic({ name: 'bsf', sizes: WIDE, forms: LOADING, flags: SETS_ZERO, write: scan(true) }),
  semantic({ name: 'bsr', sizes: WIDE, forms: LOADING, flags: SETS_ZERO, write: scan(false) }),
]
