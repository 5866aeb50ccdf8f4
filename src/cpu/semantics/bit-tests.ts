import { load64, store } from '../wasm/wasm-module.ts'
import { type I64, i32, i64 } from '../wasm/wasm-values.ts'
import { BOTH, type Emitter, type Handler, operation } from './emitter.ts'
import { setCarry, setZero } from './flags.ts'

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

export function bitHandlers(): Handler[] {
  return [
    ...Object.entries(CHANGES).flatMap(([name, change]) => [
      ...operation(name, [2, 4, 8], BOTH, testBit(change)),
      ...operation(`${name}far`, [2, 4, 8], ['mr'], testFarBit(change)),
    ]),
    ...operation('bsf', [2, 4, 8], ['rr', 'rm'], scan(true)),
    ...operation('bsr', [2, 4, 8], ['rr', 'rm'], scan(false)),
  ]
}
