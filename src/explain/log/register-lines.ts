import { plainHex } from './message-table.ts'

/**
 * Register dumps, as Xen and Linux print them, 64 and 32 bits:
 *
 *     rax: ffffffffffffffea   rbx: ffffffffff4b9800   rcx: ffffffff81297000         Xen
 *     RAX: ffff88807d416398 RBX: ffff88807d416350 RCX: ffff88807d416398             Linux
 *     EAX: 00000000 EBX: c1808860 …                                                 Linux, 32 bits
 */
const REGISTER =
  /\b(r[abcd]x|r[sd]i|r[bs]p|r(?:0?[89]|1[0-5])|e[abcd]x|e[sd]i|e[bs]p|cr[0234]|fsb|gsb|gss)\s*:\s*(?:[0-9a-f]{4}:)?([0-9a-fA-FoOlI]{8,16})\b/gi
const RIP_XEN = /\b[RE]IP\s*:\s*([0-9a-fA-F]{4}):\[<([0-9a-fA-FoOlI]{8,16})>\](?:\s+(\S+))?/i
/** Of a dump whose numbers somebody replaced by names. */
const RIP_NAMED = /\bRIP\s*:\s*([0-9a-f]{4}):\[<(?:(?![0-9a-f]{8,16}>)([A-Za-z_]\w*))>\]/i
const RIP_LINUX =
  /\b[RE]IP:\s*([0-9a-fA-F]{4}):\s*(?:\[<([0-9a-f]{8,16})>\]\s*)?(?:\[<[0-9a-f]+>\]\s*)?([A-Za-z_][\w.]*)?/
const CONTEXT = /CONTEXT:\s*(hypervisor|pv guest|hvm guest|guest)/
const STACK_HEAD = /Guest stack trace from (?:r|e)?s?s?:?sp\s*=|Xen stack trace from/i
const STACK_ROW = /^\s{0,8}((?:[0-9a-fA-F]{16}\s*){1,4}|(?:[0-9a-fA-F]{8}\s*){4,8})$/

export type RegisterLine = {
  readonly values: Readonly<Record<string, string>>
  readonly cs?: string
  readonly symbol?: string
  readonly context?: string
}

/** The registers of a line; undefined where there are none. */
export function registerLine(text: string): RegisterLine | undefined {
  const values: Record<string, string> = {}
  let result: RegisterLine = { values }
  const rip = /IP\s*:/i.test(text) ? (RIP_XEN.exec(text) ?? RIP_LINUX.exec(text)) : null
  if (rip) {
    if (rip[2] !== undefined) values.rip = plainHex(rip[2])
    const symbol = rip[3]?.replace(/\+0x.*/, '')
    result = { ...result, cs: rip[1].toLowerCase(), ...(symbol === undefined ? {} : { symbol }) }
  }
  const named = rip === null ? RIP_NAMED.exec(text) : null
  if (named) result = { ...result, cs: named[1].toLowerCase(), symbol: named[2] }
  for (const match of text.matchAll(REGISTER))
    values[match[1].toLowerCase().replace(/^r0/, 'r')] ??= plainHex(match[2])
  const context = CONTEXT.exec(text)?.[1]
  if (context !== undefined) result = { ...result, context }
  const any = Object.keys(values).length > 0 || result.cs !== undefined || context !== undefined
  return any ? result : undefined
}

/** Whether a line announces the words of a stack. */
export function isStackHead(text: string): boolean {
  return STACK_HEAD.test(text)
}

/** The words of a row of a stack. */
export function stackRow(text: string): string[] | undefined {
  const row = STACK_ROW.exec(text)
  return row === null ? undefined : row[1].trim().toLowerCase().split(/\s+/)
}
