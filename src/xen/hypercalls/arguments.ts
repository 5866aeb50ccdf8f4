import { vaOf } from '../../bits/address.ts'
import { ARGUMENTS, type Vcpu } from '../../machine/vcpu/vcpu.ts'

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
