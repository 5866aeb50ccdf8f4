import { findMessage, plainHex } from './message-table.ts'
import type { At, CrashRecord, TrapRecord, WalkLevel, XenBanner, XenMessage } from './records.ts'

/**
 * The hypervisor's lines. What stands before a message says much about the version (Xen's gdprintk, gprintk, dprintk):
 *
 *     DOM3: (file=mm.c, line=479)     until October 2006
 *     mm.c:2466:d0                    3.0.4 to 4.4
 *     mm.c:2550:d0v0                  4.5 to 4.16
 *     arch/x86/mm.c:2940:d0v0         4.17 and later
 *     d0v0                            gprintk, 4.6 and later
 */
const OLD_PREFIX = /DOM(\d+):\s*\(file=([\w./-]+),\s*line=(\w+)\)/i
const PREFIX =
  /(?<![\w./-])([\w./-]*[\w-]\.[chS])\s*:\s*([0-9oOlIxX]+)\s*:\s*(?:(d(?:\d+|\[\w+\])(?:v\d+)?)\b)?/i
const VCPU_PREFIX = /(?:^|[\s)])(d(?:\d+|\[\w+\])v\d+):?\s*$/

/** A message of Xen in a cleaned line, with what its prefix says. */
export function xenMessage(text: string, at: At): (XenMessage & { readonly whole: boolean }) | undefined {
  const found = findMessage(text)
  if (found === undefined) return undefined
  return {
    kind: 'xen',
    ...at,
    group: found.message.group,
    message: found.index,
    fields: found.fields,
    whole: found.whole,
    ...prefixOf(text.slice(0, found.start)),
  }
}

type Prefix = Pick<XenMessage, 'file' | 'sourceLine' | 'vcpu' | 'prefix'>

function prefixOf(before: string): Prefix {
  const old = OLD_PREFIX.exec(before)
  if (old) return { prefix: 'DOM', file: old[2], vcpu: `d${old[1]}`, ...sourceLine(old[3]) }
  const match = PREFIX.exec(before)
  if (match === null) {
    const vcpu = VCPU_PREFIX.exec(before)?.[1]
    return vcpu === undefined ? { prefix: 'none' } : { prefix: 'vcpu', vcpu }
  }
  const [, file, line, vcpu] = match
  const prefix = vcpu === undefined ? 'file' : vcpu.includes('v') ? 'file-vcpu' : 'file-domain'
  return { prefix, file, ...sourceLine(line), ...(vcpu === undefined ? {} : { vcpu }) }
}

function sourceLine(text: string): { sourceLine?: number } {
  const number = Number(plainHex(text))
  return Number.isInteger(number) ? { sourceLine: number } : {}
}

/** The CPU's exceptions by the words of Xen before 4.17 and by the mnemonics since. */
const VECTORS: readonly (readonly [vector: number, words: string, mnemonic: string])[] = [
  [0, 'divide error', '#DE'],
  [1, 'debug', '#DB'],
  [2, 'nmi', 'NMI'],
  [3, 'bkpt', '#BP'],
  [4, 'overflow', '#OF'],
  [5, 'bounds', '#BR'],
  [6, 'invalid opcode', '#UD'],
  [7, 'device not available', '#NM'],
  [8, 'double fault', '#DF'],
  [10, 'invalid tss', '#TS'],
  [11, 'segment not found', '#NP'],
  [12, 'stack error', '#SS'],
  [13, 'general protection fault', '#GP'],
  [14, 'page fault', '#PF'],
  [16, 'coprocessor error', '#MF'],
  [17, 'alignment check', '#AC'],
  [18, 'machine check', '#MC'],
  [19, 'simd error', '#XM'],
]

/** `invalid opcode (#UD)` of a vector. */
export function vectorName(vector: number): string {
  const row = VECTORS.find(([number]) => number === vector)
  return row === undefined ? `vector ${vector}` : `${row[1]} (${row[2]})`
}

/** A trap without a handler, in any of the wordings. */
export function trapOf(message: XenMessage): TrapRecord | undefined {
  const { group, fields, line, text, vcpu } = message
  const errorCode = fields.ec === undefined ? undefined : Number.parseInt(fields.ec, 16)
  const own = vcpu ?? (fields.domid === undefined ? fields.v : `d${fields.domid}`)
  const rest = {
    ...(errorCode === undefined || errorCode === 0xffffffff ? {} : { errorCode }),
    ...(own === undefined ? {} : { vcpu: own }),
  }
  if (group === 'unhandled-pf') return { kind: 'trap', line, text, vector: 14, ...rest }
  if (group !== 'unhandled-trap') return undefined
  const byWords = VECTORS.find(
    ([, words, mnemonic]) => words === fields.trap?.toLowerCase() || mnemonic === fields.trap,
  )
  const vector = fields.vec === undefined ? byWords?.[0] : Number(fields.vec)
  return vector === undefined ? undefined : { kind: 'trap', line, text, vector, ...rest }
}

/** What a message of a crash says of it. */
export function crashOf(message: XenMessage): CrashRecord | undefined {
  const { group, fields, line, text } = message
  const at = { kind: 'crash', line, text } as const
  if (group === 'crashed') return { ...at, what: 'domain-crashed', domain: Number(fields.domid) }
  if (group === 'crash-sync')
    return { ...at, what: 'crash-sync', ...place(fields.addr2 ?? placeOf(fields)), ...domainOf(message) }
  if (group === 'domain-crash')
    return { ...at, what: 'domain-crash', ...place(placeOf(fields)), ...domainOf(message) }
  return undefined
}

function placeOf(fields: Readonly<Record<string, string>>): string | undefined {
  return fields.file === undefined ? undefined : `${fields.file}:${fields.line ?? '?'}`
}

function place(text: string | undefined): { place?: string } {
  return text === undefined ? {} : { place: text }
}

function domainOf(message: XenMessage): { domain?: number } {
  const domain = /^d(\d+)/.exec(message.vcpu ?? '')?.[1]
  return domain === undefined ? {} : { domain: Number(domain) }
}

const VERSION_LINE = /\bXen version (\d+\.\d+(?:[^\s(\d][^\s(]*)?)(?: \(|\b)/
const DUMP_BANNER =
  /(?<!-)-{2,}\s*\[\s*Xen-(\d+\.\d+(?:[^\s\d[][^\s[]*)?)\s+(x86_64|x86_32p?|\S+)\s+(?:debug=([yn]))?/i
/** `xen_version            : 4.17.2` of xl info, and what Linux says: `Xen version: 4.1.0 (preserve-AD)`. */
const TOLD_VERSION = /\bxen_version\s*:\s*(\d+\.\d+\S*)|\bXen version:\s*(\d+\.\d+\S*)/
/** The host crashed because its dom0 did: by name since 4.2. */
const DOM0_GONE = /(?:Hardware Dom0|Domain 0) crashed: (?:rebooting|'noreboot' set)/
const XEN_PANIC = /\b(?:FATAL TRAP:|FATAL PAGE FAULT|Xen BUG at|Panic on CPU \d+|DOUBLE FAULT --)/

/** A line of Xen that is no message of the table: its version, a panic, the end of dom0. */
export function otherXenLine(text: string, at: At): XenBanner | CrashRecord | undefined {
  const version = DUMP_BANNER.exec(text)
  if (version) {
    const debug = version[3] === undefined ? {} : { debug: version[3].toLowerCase() === 'y' }
    return { kind: 'xen-version', ...at, of: 'dump', version: version[1], ...debug }
  }
  const banner = VERSION_LINE.exec(text)
  if (banner) {
    const debug = /\bdebug=([yn])/.exec(text)?.[1]
    return {
      kind: 'xen-version',
      ...at,
      of: 'host',
      version: banner[1],
      ...(debug === undefined ? {} : { debug: debug === 'y' }),
    }
  }
  const told = TOLD_VERSION.exec(text)
  if (told)
    return { kind: 'xen-version', ...at, of: 'told', version: (told[1] ?? told[2]).replace(/[,;]$/, '') }
  if (DOM0_GONE.test(text)) return { kind: 'crash', ...at, what: 'dom0-crashed', domain: 0 }
  if (XEN_PANIC.test(text) || isFailedAssertion(text)) return { kind: 'crash', ...at, what: 'xen-panic' }
  return undefined
}

/** `Assertion 'page_get_owner(page) == d' failed at mm.c:1234`; what is asserted may hold quotes itself. */
function isFailedAssertion(text: string): boolean {
  const start = text.search(/\bAssertion '/)
  return start >= 0 && text.includes("' failed at", start + "Assertion '".length)
}

const WALK_HEAD = /Pagetable walk from (?:0x)?([0-9a-fA-FoOlI]{4,16})\s*:?/i
/** ` L4[0x1ff] = 0000000332815067 0000000000002815`, with ` (PSE)` behind a large page. */
const WALK_LEVEL =
  /\bL([1-4])\s*\[\s*0x([0-9a-fA-F]{1,3})\s*\]\s*=\s*([0-9a-fA-FoOlI]{8,16})(?:\s+([0-9a-fA-FoOlI]{8,16}))?(\s*\(PSE\))?/

/** The address of a walk's header; 16 digits. */
export function walkHead(text: string): string | undefined {
  const address = WALK_HEAD.exec(text)?.[1]
  return address === undefined ? undefined : plainHex(address).padStart(16, '0')
}

/** One level of a walk. */
export function walkLevel(text: string): WalkLevel | undefined {
  const match = WALK_LEVEL.exec(text)
  if (match === null) return undefined
  return {
    level: Number(match[1]) as 1 | 2 | 3 | 4,
    slot: Number.parseInt(match[2], 16),
    entry: plainHex(match[3]).padStart(16, '0'),
    pfn: plainHex(match[4] ?? 'ffffffffffffffff').padStart(16, '0'),
    large: match[5] !== undefined,
  }
}
