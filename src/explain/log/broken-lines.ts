import { multicallEntry } from './linux-lines.ts'

/** Lines that a mail client or a web form broke in two: which they are, and when they are whole again. */

/** What a line begins with that is no continuation of another. */
const OWN_LINE =
  /^\[(?!#)|^\(XEN\)|^(?:mm|traps)\.c:|^arch\/|^L[1-4]\s?\[|^(?:[re]?[a-z0-9]{2,3}|cr\d):\s|^(?:Domain|Pagetable|Error|Bad|Call Trace|CPU|Xen|Linux|BIOS)\b/

/** Lines that end where none of their kind does: a range of a map, an arrow, a register, a call of a multicall. */
const BROKEN: readonly RegExp[] = [
  /\[[0-9a-f]{8,16},(?: [0-9a-f]{0,16}\]?)?\s*(?:\([^()]*)?$/,
  /(?:^|\s)[0-9a-f]{16} -(?: [0-9a-f]{0,16})?\s*(?:\([^()]*)?$/,
  /\[mem 0x[0-9a-f]+(?:-(?:0x[0-9a-f]*\]?)?)?\s*(?:ACPI)?$/,
  /(?:->|direct mapping tables up to|@|paddr(?: 0x[0-9a-f]*)?)\s*$/,
  /(?:Loaded kernel|Phys-Mach map|Start info|Page tables|Boot stack|TOTAL|Dom0 alloc\.):\s*[0-9a-f]*$/,
  /\[mem\s*$/,
  /unable to handle(?: kernel)?\s*$/,
  /\b(?:r[a-z0-9]{1,2}|cr\d|[fg]s[bs]?):\s*$/,
  /\bL[1-4]\s?\[0x[0-9a-f]+\](?:\s*=\s*(?:[0-9a-f]{1,16}\s*)?|\s*)$/,
]

/** Whether a line is one of its own, and not the rest of the one before it. */
export function beginsLine(text: string): boolean {
  return OWN_LINE.test(text)
}

/** A call of a multicall; its arguments stand behind it. */
const CALL = /\bcall\s+\d+(?:\/\d+)?:\s+op=\d+/
const ARGUMENTS = /\bargs?=./

/** Whether a line ends where none of its kind does. */
export function isBroken(text: string): boolean {
  if (BROKEN.some((pattern) => pattern.test(text))) return true
  const call = CALL.exec(text)
  return call !== null && !ARGUMENTS.test(text.slice(call.index + call[0].length))
}

/** Whether a broken line is whole with what was put behind it. */
export function isMended(text: string, longer: string): boolean {
  const call = multicallEntry(longer, { line: 0, text: '' })
  const begun = /\bcall\s+\d/.exec(text)
  if (begun !== null && /\bop=/.test(text.slice(begun.index)))
    return call !== undefined && call.args.length > 0
  return isBroken(text) && !isBroken(longer)
}
