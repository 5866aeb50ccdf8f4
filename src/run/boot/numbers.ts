import { BadInput } from '../../bits/bad-input.ts'

/** Suffixes as in Xen's `dom0_mem`; `p` counts pages. */
const UNITS = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 4096 }

/** x86-64 has 52 bits of physical address; a double counts that far without rounding. */
const LIMIT = 2 ** 52

/**
 * A size in bytes: a whole number, decimal or hex, with or without a suffix. `plain` is the unit of a number that
 * has none. Xen reads `0x1b` as 27, never as one byte, and so does this.
 */
export function parseSize(option: string, text: string, plain: 'B' | 'K', examples: string): number {
  const match = /^(0x[0-9a-f]+|[0-9]+)([bkmgtp]?)$/i.exec(text.trim())
  if (match === null) {
    throw new BadInput(
      `${option} '${text}' is not a size; write a whole number and a unit, as in ${examples}`,
    )
  }
  const [, digits, suffix] = match
  if (/^0[0-9]/.test(digits)) {
    throw new BadInput(`${option} ${text}: Xen would read a leading 0 as octal; write the number without it`)
  }
  const bytes = Number(digits) * UNITS[(suffix || plain).toLowerCase() as keyof typeof UNITS]
  if (bytes > LIMIT) {
    throw new BadInput(`${option} ${text} is more than 52 bits of address can reach; write a smaller one`)
  }
  return bytes
}

/** A hex number with or without `0x`; undefined when it is none or too long to be exact. */
export function parseHex(text: string): number | undefined {
  return /^(0x)?[0-9a-f]{1,13}$/i.test(text) ? Number.parseInt(text, 16) : undefined
}

/** The number of an event, counted from 1 in the order of a trace; undefined stays so. Throws BadInput. */
export function eventNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text))
    throw new BadInput(`${option} ${text}: not the number of an event; give one from 0 on`)
  return Number(text)
}
