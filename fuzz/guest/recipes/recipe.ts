import { HYPERCALL } from '../../../src/xen/abi.ts'
import type { Values } from '../values.ts'

/** What a hostile kernel does, a kind of thing each: some lines of a program. */
export type Recipe = (v: Values) => readonly string[]

export const H = HYPERCALL
export const SELF = '0x7ff0'

/** A call with a list or structure in memory, which is there from the beginning. */
export function withList(
  v: Values,
  values: readonly string[],
  call: (at: string) => string,
): readonly string[] {
  const at = v.room(values.length)
  // Now and then the list lies elsewhere: in a table, in code, at the end of a page, or is not mapped.
  return [`data ${at} ${values.join(' ')}`, call(v.once(24) ? v.address() : at)]
}

export function some<T>(v: Values, most: number, make: () => T): T[] {
  return Array.from({ length: 1 + v.upTo(most) }, make)
}
