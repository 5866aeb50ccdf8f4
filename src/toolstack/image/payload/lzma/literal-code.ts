import { type Local, load32, select, store } from '../../../../wasm/wasm-module.ts'
import { type I32, i32 } from '../../../../wasm/wasm-values.ts'
import { type DecodeFunction, LITERAL_STATES } from './decode-function.ts'
import { LITERAL_BYTES, PROB_SHIFT, PROBS } from './lzma-memory.ts'

/** Probabilities of a tree of eight bits: what lies between the three trees of a literal. */
const TREE = 1 << 8

/** Write code that decodes a literal. */
export function writeLiteral(d: DecodeFunction): void {
  const { f, r, range, symbol } = d
  const tree = f.variable<I32>('i32')
  f.set(tree, literalTree(d))
  f.if(
    r.state.value.ltU(LITERAL_STATES),
    () => {
      range.tree(symbol, 8, { index: tree.value, table: PROBS.literal })
      f.set(r.state, select(r.state.value.ltU(4), i32(0), r.state.value.sub(3)))
    },
    () => {
      matchedLiteral(d, tree)
      f.set(r.state, select(r.state.value.ltU(10), r.state.value.sub(3), r.state.value.sub(6)))
    },
  )
  f.emit(store(r.to.value, symbol.value, 1))
  f.set(r.to, r.to.value.add(1))
  f.release()
}

/** Where the probabilities of a literal are, in their table: by bits of the byte before, and of the position. */
function literalTree(d: DecodeFunction): I32 {
  const { to, dictionary, lc, lpMask } = d.r
  const before = select(to.value.eq(dictionary.value), i32(0), load32(to.value.sub(1), 1))
  const position = d.position().and(lpMask.value)
  return position
    .shl(lc.value)
    .add(before.shr(i32(8).sub(lc.value)))
    .mul(LITERAL_BYTES)
}

/** After a match a literal is coded by the byte that the match would have gone on with, as far as it is like it. */
function matchedLiteral(d: DecodeFunction, tree: Local<I32>): void {
  const { f, r, range, symbol } = d
  const matched = f.variable<I32>('i32')
  const alike = f.variable<I32>('i32')
  const bit = f.variable<I32>('i32')
  const index = f.variable<I32>('i32')
  d.leaveIfBeforeBeginning()
  f.set(matched, load32(r.to.value.sub(r.rep0.value).sub(1), 1))
  f.set(symbol, i32(1))
  // While they are alike, the second tree is that of bits that should be 0, the third that of those that should be 1.
  f.set(alike, i32(TREE))
  for (let i = 0; i < 8; i++) {
    f.set(matched, matched.value.shl(1))
    f.set(bit, matched.value.and(alike.value))
    const node = alike.value.add(bit.value).add(symbol.value)
    f.set(index, tree.value.add(node.shl(PROB_SHIFT)))
    range.bit(
      { index: index.value, table: PROBS.literal },
      () => {
        f.set(symbol, symbol.value.shl(1))
        f.set(alike, alike.value.xor(bit.value))
      },
      () => {
        f.set(symbol, symbol.value.shl(1).add(1))
        f.set(alike, bit.value)
      },
    )
  }
}
