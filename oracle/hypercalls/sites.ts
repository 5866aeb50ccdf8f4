import { BadInput } from '../../src/bits/bad-input.ts'
import type { SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import type { Image } from '../../src/toolstack/image/image.ts'

/** Where a kernel makes hypercalls: 64-bit addresses. */
export type SyscallSites = {
  /** The push that stands before the system call, and the pop that stands behind it, both of r11 and of `PUSH_BYTES`. */
  readonly push: bigint
  readonly pop: bigint
  /** The system call of iret, from which nothing comes back. */
  readonly iret: bigint
}

/** push %r11; syscall; pop %r11 */
const CALL = [0x41, 0x53, 0x0f, 0x05, 0x41, 0x5b]
const SYSCALL = [0x0f, 0x05]
export const PUSH_BYTES = 2n
const POP_AT = 4n
/** Bytes of a function that are looked at. */
const MOST_BYTES = 64

/**
 * Where a kernel makes its hypercalls: Linux has one function for all of them since 6.1.120, and another one that goes back to
 * whom an event has come between (its xen-asm.S). Throws BadInput for a kernel that does it elsewhere.
 */
export function syscallSites(image: Image, symbols: SymbolTable): SyscallSites {
  const push = siteOf(image, symbols, 'xen_hypercall_pv', CALL)
  return { push, pop: push + POP_AT, iret: siteOf(image, symbols, 'xen_iret', SYSCALL) }
}

function siteOf(image: Image, symbols: SymbolTable, name: string, code: readonly number[]): bigint {
  const start = symbols.addressOf(name)
  const segment = image.segments.find(
    ({ va, bytes }) => start !== null && start >= va && start < va + bytes.length,
  )
  if (start === null || segment === undefined)
    throw new BadInput(`the kernel has no ${name}: Linux has it since 6.1.120`)
  const at = Buffer.from(segment.bytes.subarray(start - segment.va, start - segment.va + MOST_BYTES))
  const offset = at.indexOf(Buffer.from(code))
  if (offset === -1) throw new BadInput(`the kernel's ${name} makes no system call that is known`)
  return BigInt.asUintN(64, BigInt.asIntN(48, BigInt(start + offset)))
}
