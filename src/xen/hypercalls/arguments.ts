import { vaOf } from '../../bits/address.ts'
import { ARGUMENTS, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import { copyFromGuest, copyToGuest } from '../mm/guest-copy.ts'
import { type Refusal, refuse, refused } from '../refusal.ts'

/** Argument `i` (0 to 4) as an unsigned 32-bit number, as most hypercalls take their counts and commands. */
export function arg32(port: Vcpu, i: number): number {
  return port.regs[ARGUMENTS[i] * 2]
}

/** The high half of argument `i`. */
export function argHigh(port: Vcpu, i: number): number {
  return port.regs[ARGUMENTS[i] * 2 + 1]
}

/** Argument `i` as a 48-bit address, or -1 when it is not canonical. */
export function argVa(port: Vcpu, i: number): number {
  return vaOf(arg32(port, i), argHigh(port, i))
}

const NO_WORDS = new Uint32Array(0)

/** `count` words of the guest's memory at `va`; refused when one of them cannot be read. */
export function wordsAt({ xen, port }: Call, va: number, count: number): Uint32Array | Refusal {
  const words = count === 0 ? NO_WORDS : new Uint32Array(count)
  return copyFromGuest(port, va, words, count) ? words : refused(xen, 'unreadable', { va })
}

/** Write words to the guest's memory: 0, or what it is told when they cannot be written. */
export function giveWords({ xen, port }: Call, va: number, words: ArrayLike<number>): number {
  return copyToGuest(port, va, words, words.length) ? 0 : refuse(xen, 'unwritable', { va })
}
