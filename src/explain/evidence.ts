import type { TypeWord } from '../bits/type-word.ts'
import { loggedXen } from './decode/fingerprint.ts'
import { addressOfSlots, isXenRange } from './decode/regions.ts'
import { badTypes as readBadTypes } from './decode/type-words.ts'
import type { BootPart } from './log/read-log.ts'
import type { LogRecord, RegistersRecord, WalkRecord, XenMessage } from './log/records.ts'

/** A type word of a message, read in the layout that fits the log. */
export type ReadWord = TypeWord & { readonly word: string; readonly layout: string }

/** A refused type: `Bad type (saw … != exp …)`, its words read. */
export type BadType = {
  readonly record: XenMessage
  readonly saw: ReadWord
  readonly exp: ReadWord
  readonly mfn: string
  readonly pfn: string
}

/** What is known of the Xen that wrote a log. */
export type LoggedXen = {
  /** As printed, or the release that the evidence names; `4.1`, `4.2-unstable of April and May 2011`. */
  readonly version: string
  /** First and last release that the evidence allows, by the names of the message table. */
  readonly from: string
  readonly to: string
  readonly how: 'banner' | 'line-numbers' | 'near-line-numbers' | 'wording' | 'nothing'
  /** How sure, in a sentence. */
  readonly sure: string
  readonly debug?: boolean
}

/** What one boot's part of a log says, read: what the signatures of causes look at. */
export type Evidence = {
  readonly firstLine: number
  readonly records: readonly LogRecord[]
  readonly xen: LoggedXen
  readonly badTypes: readonly BadType[]
  /** Versions in whose layouts the type words would say something else, when the log leaves it open. */
  readonly otherLayouts: readonly string[]
  /** Lines of this boot, cleaned, without prefixes but with Xen's mark; bounded. */
  readonly lines: readonly string[]
}

/**
 * Reads a boot's records for what they say together.
 *
 * @param before the evidence of the boot before it in the same log: a guest that starts again runs on the same Xen
 */
export function evidenceOf(boot: BootPart, before?: Evidence): Evidence {
  const own = loggedXen(boot.records)
  const inherits =
    own.how !== 'banner' && before !== undefined && before.xen.how === 'banner' && !startsHost(boot)
  const xen = inherits ? before.xen : own
  const { badTypes, alternatives } = readBadTypes(boot.records, xen)
  return {
    firstLine: boot.firstLine,
    // Dumps of HVM guests and of Xen itself are no evidence about a PV guest's tables.
    records: boot.records.filter(
      (record) =>
        record.kind !== 'registers' || record.context === undefined || record.context === 'pv guest',
    ),
    xen,
    badTypes,
    otherLayouts: alternatives,
    lines: boot.lines,
  }
}

function startsHost(boot: BootPart): boolean {
  return boot.records.some((record) => record.kind === 'xen-version')
}

/** The records of a kind. */
export function recordsOf<K extends LogRecord['kind']>(
  evidence: Evidence,
  kind: K,
): Extract<LogRecord, { kind: K }>[] {
  return evidence.records.filter((record) => record.kind === kind) as Extract<LogRecord, { kind: K }>[]
}

/** Xen's messages of these groups. */
export function messagesOf(evidence: Evidence, ...groups: readonly string[]): XenMessage[] {
  return recordsOf(evidence, 'xen').filter((message) => groups.includes(message.group))
}

/** Whether the log has a mark of that name (linux-lines.ts). */
export function hasMark(evidence: Evidence, ...marks: readonly string[]): boolean {
  return recordsOf(evidence, 'mark').some(({ mark }) => marks.includes(mark))
}

/** Whether a function of that name, or one that the pattern fits, is in a call trace or beside a RIP. */
export function calls(evidence: Evidence, pattern: RegExp): boolean {
  return (
    recordsOf(evidence, 'calls').some(({ symbols }) => symbols.some((symbol) => pattern.test(symbol))) ||
    recordsOf(evidence, 'registers').some(({ symbol }) => symbol !== undefined && pattern.test(symbol)) ||
    recordsOf(evidence, 'guest-bug').some(({ symbol }) => symbol !== undefined && pattern.test(symbol))
  )
}

/**
 * Whether a guest's kernel was in early boot: it had begun, and none of what comes later is in the log. A refusal then
 * is the kernel's end, so one in a domain other than 0 that did not die is of a guest that ran already.
 */
export function inEarlyBoot(evidence: Evidence): boolean {
  const began = hasMark(evidence, 'mapping-kernel', 'about-to-start', 'early-tables', 'init-memory-mapping')
  const died = crashed(evidence) || recordsOf(evidence, 'guest-fault').length > 0
  const elsewhere = evidence.badTypes.some(({ record }) => /^d[1-9]/.test(record.vcpu ?? ''))
  return (began || noHandlerYet(evidence)) && !afterBoot(evidence) && (died || !elsewhere)
}

/** Whether it had got further: init's memory freed, modules loaded, processes by name. */
export function afterBoot(evidence: Evidence): boolean {
  const late = ['freeing-kernel-memory', 'init', 'modules', 'kstop']
  return recordsOf(evidence, 'mark').some(
    ({ mark, fields }) => late.includes(mark) || (mark === 'comm' && !/^swapper/.test(fields.comm)),
  )
}

/** A trap that nobody handled: Linux sets its handlers up after its early tables. */
export function noHandlerYet(evidence: Evidence): boolean {
  return recordsOf(evidence, 'trap').length > 0
}

/** Whether a domain died. */
export function crashed(evidence: Evidence): boolean {
  return recordsOf(evidence, 'crash').length > 0
}

/** Whether Xen said why it refused anything. */
export function hasRefusals(evidence: Evidence): boolean {
  const silent = [
    'crashed',
    'crash-sync',
    'domain-crash',
    'unhandled-trap',
    'unhandled-pf',
    'rsvd-pf',
    'mmio-ro',
    'leak',
  ]
  return recordsOf(evidence, 'xen').some(({ group }) => !silent.includes(group))
}

/** Whether a dump or a report is of a PV guest: its kernel runs in Xen's e030 and e033, or e019 and Linux's own 0061 of 32 bits. */
export function isPvRegisters({ cs, context }: RegistersRecord): boolean {
  return (cs !== undefined && /^(?:e0(?:30|33|19|21|23|2b)|0061)$/.test(cs)) || context === 'pv guest'
}

/** Whether anything in it is Xen's, or of a guest that says that it runs under Xen. */
export function isXen(evidence: Evidence): boolean {
  return (
    evidence.records.some((record) => {
      switch (record.kind) {
        case 'xen':
        case 'xen-version':
        case 'trap':
        case 'walk':
        case 'crash':
        case 'multicall':
          return true
        case 'registers':
          return isPvRegisters(record)
        case 'guest-fault':
          // No other kernel has anything there: the hole that Linux leaves for a hypervisor.
          return record.address !== undefined && isXenRange(BigInt(`0x${record.address}`))
        case 'calls':
          return record.symbols.some((symbol) => /^_*xen_|_xen_|^xenvbd|^xennet/.test(symbol))
        case 'guest-bug':
          return record.place?.includes('arch/x86/xen/') === true
        case 'mark':
          return XEN_MARKS.includes(record.mark) || /^Xen/.test(record.fields.what ?? '')
        default:
          return false
      }
    }) || evidence.lines.some((line) => line.startsWith('(XEN) '))
  )
}

const XEN_MARKS = [
  'mapping-kernel',
  'about-to-start',
  'dom0-kernel',
  'dom0-halted',
  'xen-guest-loglevel',
  'remapped',
]

/** The address of a walk; one whose header is lost is made again from its slots. */
export function walkAddress(walk: WalkRecord): bigint {
  return walk.address === '' ? addressOfSlots(walk.levels) : BigInt(`0x${walk.address}`)
}

/** How a walk ended: at an entry that is not present, at a page that lacks a right, or whole. */
export function walkEnd(walk: WalkRecord): {
  readonly missing?: number
  readonly readOnlyAt?: number
  readonly whole: boolean
} {
  const last = walk.levels.at(-1)
  if (last === undefined) return { whole: false }
  if ((BigInt(`0x${last.entry}`) & 1n) === 0n) return { missing: last.level, whole: false }
  if (last.level !== 1 && !last.large) return { whole: false }
  const readOnly = walk.levels.find(({ entry }) => (BigInt(`0x${entry}`) & 2n) === 0n)
  return { whole: true, ...(readOnly === undefined ? {} : { readOnlyAt: readOnly.level }) }
}

/** Where a fault was, from whatever says it: the walk, Linux's report, cr2 of a dump that a page fault made. */
export function faultAddresses(evidence: Evidence): { readonly address: bigint; readonly line: number }[] {
  const found = [
    ...recordsOf(evidence, 'walk').map((walk) => ({ address: walkAddress(walk), line: walk.line })),
    ...recordsOf(evidence, 'guest-fault').flatMap(({ address, line }) =>
      address === undefined ? [] : [{ address: BigInt(`0x${address}`), line }],
    ),
  ]
  const pageFault = recordsOf(evidence, 'trap').some(({ vector }) => vector === 14)
  if (found.length === 0 || pageFault) {
    for (const { values, line } of recordsOf(evidence, 'registers'))
      if (values.cr2 !== undefined && BigInt(`0x${values.cr2}`) !== 0n)
        found.push({ address: BigInt(`0x${values.cr2.padStart(16, '0')}`), line })
  }
  return found
}
