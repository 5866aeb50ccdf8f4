import { type FunctionBody, type Local, load32, loadVector, store } from '../../../wasm/wasm-module.ts'
import type { I32, Value } from '../../../wasm/wasm-values.ts'

/** Bytes of a vector: what is copied at once. */
const WIDE = 16

/** Addresses, in variables. */
type Copy = { readonly to: Local<I32>; readonly from: Local<I32>; readonly stop: Local<I32> }

/**
 * Write code that copies up to `stop`, at least a byte, and leaves `to` there, and `from` somewhere. Up to 15 bytes more
 * are overwritten.
 */
export function copyWide(f: FunctionBody, copy: Copy): void {
  copyBy(f, copy, WIDE, loadVector(copy.from.value))
  f.set(copy.to, copy.stop.value)
}

/** The same from `distance` bytes back, a variable that is changed: what is copied may be what has just been written. */
export function copyMatch(
  f: FunctionBody,
  copy: Omit<Copy, 'from'> & { readonly distance: Local<I32> },
): void {
  const { to, stop, distance } = copy
  const from = f.variable<I32>('i32')
  const first = f.variable<I32>('i32')
  const whole = { to, from, stop }
  f.set(from, to.value.sub(distance.value))
  f.block((done) => {
    f.if(distance.value.ltU(WIDE), () => {
      f.set(first, to.value.add(2 * WIDE))
      f.if(first.value.gtU(stop.value), () => f.set(first, stop.value))
      copyBy(f, { ...whole, stop: first }, 1, load32(from.value, 1))
      f.brIf(done, to.value.eq(stop.value))
      // So many bytes repeat themselves by now that they do so from twice as far back, too.
      f.loop((again) => {
        f.set(distance, distance.value.shl(1))
        f.brIf(again, distance.value.ltU(WIDE))
      })
      f.set(from, to.value.sub(distance.value))
    })
    copyWide(f, whole)
  })
}

function copyBy(f: FunctionBody, { to, from, stop }: Copy, bytes: number, value: Value): void {
  f.loop((again) => {
    f.emit(store(to.value, value, bytes))
    f.set(from, from.value.add(bytes))
    f.set(to, to.value.add(bytes))
    f.brIf(again, to.value.ltU(stop.value))
  })
}
