import type { I32, I64 } from '../../wasm/wasm-values.ts'

/**
 * Conditions straight from operands, without the flags between: each of `size` bytes, zero extended, or null where the flags
 * are the shorter way. Codes are those of jcc.
 */

/** After `cmp a, b` or a subtraction. */
export function afterSub(size: number, code: number, a: I64, b: I64): I32 | null {
  const [x, y] = [a.signExtend(size), b.signExtend(size)]
  switch (code) {
    case 2:
      return a.ltU(b)
    case 3:
      return a.geU(b)
    case 4:
      return a.eq(b)
    case 5:
      return a.ne(b)
    case 6:
      return a.leU(b)
    case 7:
      return a.gtU(b)
    case 12:
      return x.ltS(y)
    case 13:
      return x.ltS(y).eqz()
    case 14:
      return y.ltS(x).eqz()
    case 15:
      return y.ltS(x)
    default:
      return null
  }
}

/** By the result `r` alone: zero and sign. */
export function afterResult(size: number, code: number, r: I64): I32 | null {
  switch (code) {
    case 4:
      return r.eqz()
    case 5:
      return r.ne(0)
    case 8:
      return r.signExtend(size).ltS(0)
    case 9:
      return r.signExtend(size).ltS(0).eqz()
    default:
      return null
  }
}
