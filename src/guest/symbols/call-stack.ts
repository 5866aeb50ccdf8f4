import { RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { GuestReader } from '../guest-reader.ts'
import type { SymbolTable } from './symbol-table.ts'

/** A place in the guest's code: where it is, and where it will return to. */
export type Frame = { readonly va: number; readonly text: string }

/** Words of stack that are looked at, and frames that are told: Linux's stacks have 16 KiB. */
const STACK_WORDS = 2048
const MOST_FRAMES = 32

/**
 * The guest's call stack, the innermost place first. Kernels keep no frame pointers: a word of the stack is taken for a
 * return address when it lies in a function, behind a call. Some of them may be left over from calls that are done.
 *
 * @param rip where the guest is, a 48-bit address
 */
export function callStack(vcpu: Vcpu, rip: number, symbols: SymbolTable, bytes: Uint8Array): Frame[] {
  const reader = new GuestReader(vcpu, bytes)
  const frames: Frame[] = [{ va: rip, text: symbols.text(rip) ?? 'unknown' }]
  const stack = (vcpu.regs[RSP * 2 + 1] & 0xffff) * 2 ** 32 + vcpu.regs[RSP * 2]
  for (let i = 0; i < STACK_WORDS && frames.length < MOST_FRAMES; i++) {
    const [lo, hi] = [reader.word(stack + i * 8), reader.word(stack + i * 8 + 4)]
    if (lo === -1 || hi === -1) break
    // Text of the kernel lies in the upper half.
    if (hi >>> 15 !== 0x1ffff) continue
    const va = (hi & 0xffff) * 2 ** 32 + lo
    if (!isBehindCall(reader, va)) continue
    const text = symbols.text(va - 1)
    if (text !== undefined) frames.push({ va, text: symbols.text(va) ?? text })
  }
  return frames
}

/** Whether the instruction that ends at an address may be a call: of a place, or through a register or memory. */
function isBehindCall(reader: GuestReader, va: number): boolean {
  if (reader.byte(va - 5) === 0xe8) return true
  for (let length = 2; length <= 7; length++) {
    if (reader.byte(va - length) === 0xff && ((reader.byte(va - length + 1) >> 3) & 7) === 2) return true
  }
  return false
}
