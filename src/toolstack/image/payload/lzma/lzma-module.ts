import { ModuleBuilder } from '../../../../wasm/wasm-module.ts'
import { DecodeFunction, STATUS } from './decode-function.ts'
import { writeLiteral } from './literal-code.ts'
import { writeCopy, writeRepeatedMatch, writeSimpleMatch } from './match-code.ts'

/**
 * LZMA: literals and matches, each number arithmetically coded by what came before it. The output is also the dictionary: a
 * match copies from what stands there already.
 *
 *     copy what is pending
 *     loop
 *       the output or the input at its end -> out
 *       isMatch 0: a literal
 *               1: isRep 0: length and distance
 *                        1: which of the last four distances, and the length
 *                  copy
 */
let compiled: WebAssembly.Module | null = null

/**
 * The module with decode(end, inputEnd), whose parameters are addresses: decode until the output is at its end, or the
 * input used up. Its result is one of STATUS. It is made once.
 */
export function lzmaModule(): WebAssembly.Module {
  if (compiled !== null) return compiled
  const builder = new ModuleBuilder()
  builder.function('decode', { parameters: ['i32', 'i32'], result: 'i32' }, decodeFunction())
  compiled = new WebAssembly.Module(builder.bytes())
  return compiled
}

function decodeFunction() {
  const d = new DecodeFunction()
  const { f, r, range } = d
  return d.around(() => {
    f.if(r.pending.value.ne(0), () => {
      f.set(d.length, r.pending.value)
      writeCopy(d)
    })
    f.loop((next) => {
      f.if(r.to.value.ltU(d.end.value), () => {
        d.leaveIf(r.from.value.gtU(d.inputEnd.value), STATUS.inputUsedUp)
        f.set(d.posState, d.position().and(r.pbMask.value))
        const literal = (): void => {
          writeLiteral(d)
          f.br(next)
        }
        range.bit(d.byStateAndPosition('isMatch'), literal, () => {
          range.bit(
            d.byState('isRep'),
            () => writeSimpleMatch(d),
            () => writeRepeatedMatch(d),
          )
          d.leaveIfBeforeBeginning()
          writeCopy(d)
          f.br(next)
        })
      })
    })
  })
}
