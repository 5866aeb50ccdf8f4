import { withoutReturns } from '../../bits/lines.ts'
import { beginsLine, isBroken, isMended } from './broken-lines.ts'
import { cleanLine, decodeLine, isQuotedPrintable } from './clean-line.ts'
import {
  calledFunction,
  guestBug,
  guestFault,
  guestMark,
  multicallEntry,
  multicallHead,
  oopsCode,
} from './linux-lines.ts'
import type {
  At,
  GuestFaultRecord,
  LogRecord,
  MulticallEntry,
  RegistersRecord,
  WalkLevel,
} from './records.ts'
import { isStackHead, registerLine, stackRow } from './register-lines.ts'
import { tells } from './sieve.ts'
import { LINE_SIEVE } from './telling-words.ts'
import { crashOf, otherXenLine, trapOf, walkHead, walkLevel, xenMessage } from './xen-lines.ts'

/** A line of the input with its number, from 1. */
export type NumberedLine = { readonly number: number; readonly text: string }

/** One boot's part of a log: a host's, with the guests that ran on it, or a guest's. */
export type BootPart = {
  /** Where it begins in the input. */
  readonly firstLine: number
  readonly records: LogRecord[]
  /** Its lines, cleaned; Xen's have their mark again. At most `KEPT_LINES`. */
  readonly lines: string[]
}

/** What is wrong with a log, in a sentence, and where. */
export type Damage = { readonly line?: number; readonly what: string }

export type ReadLog = {
  readonly boots: readonly BootPart[]
  readonly damage: readonly Damage[]
}

const KEPT_LINES = 4000
const KEPT_RECORDS = 4000
const SHOWN = 240
/** Longer lines are no log's; what is beyond is not read. */
const LONGEST = 4096
/** A block of lines (a trace, a dump, a walk) may be broken by so many lines of others. */
const GAP = 6

const MOST_WORDS = 256
/** A line is broken into at most so many more. */
const MOST_BROKEN = 3
const CUT = /^\W{2,}$/
const NOWHERE: At = { line: 0, text: '' }

/** The marks that begin something, in the order of a boot. */
const BEGINNINGS = ['xen-version', 'dom0-kernel', 'mapping-kernel', 'linux-version']

/** The lines of a text, as they stand in it. */
export function numberedLines(text: string): NumberedLine[] {
  const lines = text.split('\n').map((line, i) => ({ number: i + 1, text: line }))
  if (lines.at(-1)?.text === '') lines.pop()
  return lines
}

/** Any line ends, and quoted-printable's soft breaks undone. Numbers stay those of the input. */
function tidyLines(lines: readonly NumberedLine[], softBreaks: boolean): NumberedLine[] {
  const tidy: NumberedLine[] = []
  let held: (NumberedLine & { readonly quote: string }) | undefined
  for (const raw of lines) {
    const line = withoutReturns(raw.text)
    const whole: NumberedLine =
      held === undefined
        ? { number: raw.number, text: line }
        : { number: held.number, text: held.text + unquoted(line, held.quote) }
    const quote: string | undefined = held?.text === '' ? undefined : held?.quote
    held = undefined
    if (softBreaks && whole.text.endsWith('=') && whole.text.length < LONGEST) {
      const text = whole.text.slice(0, -1)
      held = { number: whole.number, text, quote: quote ?? quoteOf(text) }
    } else if (whole.text.includes('\r')) {
      // A serial console's lone carriage return begins the line anew: both halves are lines.
      for (const part of whole.text.split('\r')) tidy.push({ number: whole.number, text: part })
    } else tidy.push(whole)
  }
  if (held !== undefined) tidy.push(held)
  return tidy
}

/** Quote marks at the continuation of a soft break belong to the quoting and not to the line. */
function unquoted(line: string, quote: string): string {
  return quote !== '' && line.startsWith(quote.trimEnd()) ? line.slice(quote.length) : line
}

/** The quote marks that a line begins with. */
function quoteOf(line: string): string {
  return /^[>| ]*>\s?/.exec(line)?.[0] ?? ''
}

/** Reads the lines of a log into records, boot by boot. */
export function readLog(lines: readonly NumberedLine[]): ReadLog {
  const quotedPrintable = lines.some(({ text }) => text.includes('=') && isQuotedPrintable(text))
  return new Reader(tidyLines(lines, quotedPrintable), quotedPrintable).read()
}

type Cleaned = {
  readonly number: number
  readonly text: string
  readonly xen: boolean
}

/** A record that still grows, and the last line that it has. */
type Growing<T extends LogRecord> = { readonly record: { -readonly [K in keyof T]: T[K] }; at: number }

// Blocks of lines that are being read.
type Open = {
  walk?: { readonly levels: WalkLevel[]; at: number }
  registers?: Growing<RegistersRecord> & {
    readonly values: Record<string, string>
    readonly stack: string[]
    inStack: boolean
  }
  multicall?: { readonly calls: MulticallEntry[]; at: number }
  calls?: { readonly symbols: string[]; at: number }
  fault?: Growing<GuestFaultRecord>
}

class Reader {
  private readonly lines: readonly NumberedLine[]
  private readonly quotedPrintable: boolean
  private readonly boots: BootPart[] = []
  private readonly damage: Damage[] = []
  private readonly seen = new Set<string>()
  private boot: BootPart = { firstLine: 1, records: [], lines: [] }
  private open: Open = {}
  /** The last line that is not Xen's, and how many lines of the boot there were with it. */
  private guestAt = { line: 0, lines: 0 }
  private at = 0
  /** The line that was cleaned last: most are looked at twice, as what follows another and for themselves. */
  private ahead: { readonly index: number; readonly line: Cleaned } | undefined

  constructor(lines: readonly NumberedLine[], quotedPrintable: boolean) {
    this.lines = lines
    this.quotedPrintable = quotedPrintable
  }

  read(): ReadLog {
    this.boots.push(this.boot)
    while (this.at < this.lines.length) {
      const line = this.clean(this.at)
      this.line(line, this.at)
      this.at++
    }
    return {
      boots: this.boots.filter((boot) => boot.lines.length > 0),
      damage: this.damage,
    }
  }

  private clean(index: number): Cleaned {
    if (this.ahead?.index === index) return this.ahead.line
    const { number, text } = this.lines[index]
    const decoded = decodeLine(text.length > LONGEST ? text.slice(0, LONGEST) : text, this.quotedPrintable)
    const cleaned = cleanLine(decoded)
    const line = { number, ...cleaned }
    this.ahead = { index, line }
    return line
  }

  private line(line: Cleaned, index: number): void {
    if (line.text === '') return
    const shown = `${line.xen ? '(XEN) ' : ''}${line.text}`
    const at = { line: line.number, text: shown.slice(0, SHOWN) }
    const joined = this.readOne(line, at, index)
    if (this.boot.lines.length < KEPT_LINES) this.boot.lines.push(joined ?? shown)
    if (!line.xen && !CUT.test(line.text)) this.guestAt = { line: line.number, lines: this.boot.lines.length }
  }

  /** Reads a line, with its continuation when a mail client broke it; returns the joined line in that case. */
  private readOne(line: Cleaned, at: At, index: number): string | undefined {
    const longer = this.wholeLine(line, index)
    const { text } = longer ?? line
    const mark = line.xen ? '(XEN) ' : ''
    const shown = longer === undefined ? at : { line: at.line, text: `${mark}${text}`.slice(0, SHOWN) }
    const message = xenMessage(text, shown)
    if (message !== undefined) {
      const { whole, ...record } = message
      if (!whole) this.note(line.number, `the line is cut short: "${at.text.slice(0, 60)}"`)
      this.push(record)
      const trap = trapOf(record)
      if (trap !== undefined) this.push(trap)
      const crash = crashOf(record)
      if (crash !== undefined) this.push(crash)
      delete this.open.calls
      delete this.open.fault
    } else this.otherLine(text, shown, line)
    return longer === undefined ? undefined : `${mark}${text}`
  }

  /** A line with what a mail client put on the next ones; undefined where it is whole as it is. */
  private wholeLine(line: Cleaned, index: number): { readonly text: string } | undefined {
    let text = line.text
    for (let taken = 1; taken <= MOST_BROKEN; taken++) {
      const next = this.continuation(index + taken)
      if (next === undefined) return undefined
      const message = xenMessage(text, NOWHERE)
      const broken =
        isBroken(text) || (message === undefined ? line.xen || /\.[chS]:\d+/.test(text) : !message.whole)
      if (!broken) return undefined
      const spaced = `${text} ${next.text}`
      const glued = text + next.text
      for (const candidate of [spaced, glued]) {
        const better = xenMessage(candidate, NOWHERE)
        const mended =
          better !== undefined
            ? better.whole || message === undefined
            : message === undefined && isMended(text, candidate)
        if (!mended) continue
        this.at += taken
        return { text: candidate }
      }
      text = spaced
    }
    return undefined
  }

  private otherLine(text: string, at: At, line: Cleaned): void {
    const { registers } = this.open
    if (!tells(LINE_SIEVE, text)) {
      const row = registers?.inStack ? stackRow(text) : undefined
      if (row !== undefined && registers!.stack.length < MOST_WORDS) registers!.stack.push(...row)
      return
    }
    const level = walkLevel(text)
    if (level !== undefined) {
      this.walkLevel(level, at)
      return
    }
    const address = walkHead(text)
    if (address !== undefined) {
      this.startWalk(address, [], at)
      return
    }
    const other = otherXenLine(text, at)
    if (other !== undefined) {
      if (other.kind === 'xen-version' && other.of === 'host') this.startsBoot('xen-version', line)
      this.push(other)
    }
    if (registers !== undefined && isStackHead(text)) {
      registers.inStack = true
      return
    }
    this.guestLine(text, at, line)
  }

  private guestLine(text: string, at: At, line: Cleaned): void {
    this.multicall(text, at)
    this.fault(text, at)
    const bug = guestBug(text, at)
    if (bug !== undefined) this.push(bug)
    this.registers(text, at)
    const mark = guestMark(text, at)
    if (mark !== undefined) {
      if (mark.mark === 'cut') this.note(at.line, 'lines are left out here')
      this.startsBoot(mark.mark, line)
      this.push(mark)
    }
    const symbol = calledFunction(text)
    if (symbol !== undefined) this.call(symbol, at)
  }

  private multicall(text: string, at: At): void {
    const head = multicallHead(text)
    const call = multicallEntry(text, at)
    const open = this.open.multicall
    if (head !== undefined || (call !== undefined && (open === undefined || at.line - open.at > 64))) {
      const calls: MulticallEntry[] = []
      this.push({ kind: 'multicall', ...at, ...(head ?? { failed: call!.result < 0 ? 1 : 0 }), calls })
      this.open.multicall = { calls, at: at.line }
    }
    if (call !== undefined && this.open.multicall!.calls.length < MOST_WORDS)
      this.open.multicall!.calls.push(call)
  }

  private fault(text: string, at: At): void {
    const fault = guestFault(text, at)
    if (fault !== undefined) {
      this.push(fault)
      this.open.fault = { record: fault, at: at.line }
    }
    const code = oopsCode(text)
    if (code === undefined) return
    const open = this.open.fault
    if (open !== undefined && at.line - open.at < 16) open.record.errorCode ??= code
    else if (text.includes('Oops')) {
      const record: GuestFaultRecord = { kind: 'guest-fault', ...at, errorCode: code }
      this.push(record)
      this.open.fault = { record, at: at.line }
    }
  }

  private call(symbol: string, at: At): void {
    const open = this.open.calls
    if (open === undefined || at.line - open.at > GAP) {
      const symbols = [symbol]
      this.push({ kind: 'calls', ...at, symbols })
      this.open.calls = { symbols, at: at.line }
      return
    }
    if (open.symbols.length < 128) open.symbols.push(symbol)
    open.at = at.line
  }

  private walkLevel(level: WalkLevel, at: At): void {
    const walk = this.open.walk
    const last = walk?.levels.at(-1)?.level ?? 5
    if (walk !== undefined && at.line - walk.at <= GAP && level.level < last) {
      walk.levels.push(level)
      walk.at = at.line
      return
    }
    // The header is lost: the slots say the address but for what lies below the last level.
    this.startWalk('', [level], at)
  }

  private startWalk(address: string, levels: WalkLevel[], at: At): void {
    this.push({ kind: 'walk', ...at, address, levels })
    this.open.walk = { levels, at: at.line }
  }

  private registers(text: string, at: At): void {
    const found = registerLine(text)
    if (found === undefined) return
    const open = this.open.registers
    const again = open !== undefined && found.values.rip !== undefined && open.values.rip !== undefined
    if (open === undefined || at.line - open.at > GAP || again) {
      const { values, ...said } = found
      const own = { values: { ...values }, stack: [] }
      const record: RegistersRecord = { kind: 'registers', ...at, from: originOf(text), ...own, ...said }
      this.push(record)
      this.open.registers = { record, ...own, at: at.line, inStack: false }
      return
    }
    const { values, ...said } = found
    for (const [name, value] of Object.entries(values)) open.values[name] ??= value
    Object.assign(open.record, said)
    open.at = at.line
  }

  /** A line, when it can be the rest of the one before it: it has no prefix of its own. */
  private continuation(index: number): Cleaned | undefined {
    if (index >= this.lines.length) return undefined
    const next = this.clean(index)
    return next.xen || next.text === '' || beginsLine(next.text) ? undefined : next
  }

  /**
   * A mark that stands once in a boot begins the next one when it comes again, or when the guest had come to grief
   * before it. Of a host's boot the lines before the mark belong to it, back to the last line of a guest.
   */
  private startsBoot(mark: string | undefined, line: Cleaned): void {
    if (mark === undefined || !BEGINNINGS.includes(mark)) return
    // A running system prints its version too (/proc/version); a boot goes on with its command line.
    if (mark === 'linux-version' && this.seen.has(mark) && !this.commandLineFollows()) return
    const { records, lines } = this.boot
    const ended = records.some(
      (record) =>
        record.kind === 'crash' ||
        record.kind === 'trap' ||
        (record.kind === 'xen' && record.group !== 'mmio-ro'),
    )
    const first = mark === 'xen-version' && records.length > 0
    const later = BEGINNINGS.slice(BEGINNINGS.indexOf(mark) + 1).some((other) => this.seen.has(other))
    if (this.seen.has(mark) || later || first || (ended && mark !== 'dom0-kernel')) {
      const own = mark === 'dom0-kernel' ? this.guestAt : { line: line.number - 1, lines: lines.length }
      this.boot = {
        firstLine: own.line + 1,
        records: records.filter((record) => record.line > own.line),
        lines: lines.slice(own.lines),
      }
      records.splice(0, records.length, ...records.filter((record) => record.line <= own.line))
      lines.length = Math.min(lines.length, own.lines)
      this.boots.push(this.boot)
      this.seen.clear()
      this.open = {}
    }
    this.seen.add(mark)
  }

  private commandLineFollows(): boolean {
    return [1, 2, 3].some(
      (ahead) => this.at + ahead < this.lines.length && /ommand line:/.test(this.lines[this.at + ahead].text),
    )
  }

  private push(record: LogRecord): void {
    if (this.boot.records.length < KEPT_RECORDS) this.boot.records.push(record)
  }

  private note(line: number, what: string): void {
    if (this.damage.length < 20) this.damage.push({ line, what })
  }
}

/** Linux prints the names of registers in capitals, Xen in small letters; a line with RIP alone is told by its form. */
function originOf(text: string): 'xen' | 'guest' {
  return /\b(?:R[A-D]X|R[SD]I|R[SB]P|E[A-D]X|EFLAGS|[RE]IP is at)\b|[RE]IP:\s*[0-9a-f]{4}:(?!\[<[0-9a-f]+>\]\s*$)/.test(
    text,
  )
    ? 'guest'
    : 'xen'
}
