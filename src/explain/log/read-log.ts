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
import type { GuestFaultRecord, LogRecord, MulticallEntry, RegistersRecord, WalkLevel } from './records.ts'
import { isStackHead, registerLine, stackRow } from './register-lines.ts'
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

/** The lines of a text, as they stand in it. */
export function numberedLines(text: string): NumberedLine[] {
  const lines = text.split('\n').map((line, i) => ({ number: i + 1, text: line }))
  if (lines.at(-1)?.text === '') lines.pop()
  return lines
}

/** Any line ends, and quoted-printable's soft breaks undone. Numbers stay those of the input. */
function tidyLines(lines: readonly NumberedLine[], softBreaks: boolean): NumberedLine[] {
  const tidy: NumberedLine[] = []
  let held: NumberedLine | undefined
  for (const raw of lines) {
    const line = raw.text.replace(/\r+$/, '')
    const whole: NumberedLine =
      held === undefined
        ? { number: raw.number, text: line }
        : { number: held.number, text: held.text + unquoted(line, held.text) }
    held = undefined
    if (softBreaks && whole.text.endsWith('=') && whole.text.length < LONGEST) {
      held = { number: whole.number, text: whole.text.slice(0, -1) }
    } else if (whole.text.includes('\r')) {
      // A serial console's lone carriage return begins the line anew: both halves are lines.
      for (const part of whole.text.split('\r')) tidy.push({ number: whole.number, text: part })
    } else tidy.push(whole)
  }
  if (held !== undefined) tidy.push(held)
  return tidy
}

/** Quote marks at the continuation of a soft break belong to the quoting and not to the line. */
function unquoted(line: string, before: string): string {
  const quote = /^[>| ]*>\s?/.exec(before)?.[0]
  return quote !== undefined && line.startsWith(quote.trimEnd()) ? line.slice(quote.length) : line
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
  readonly carried: boolean
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
  private at = 0

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
    const { number, text } = this.lines[index]
    const decoded = decodeLine(text.length > LONGEST ? text.slice(0, LONGEST) : text, this.quotedPrintable)
    const cleaned = cleanLine(decoded)
    return { number, ...cleaned, carried: cleaned.text.length < decoded.trimStart().length }
  }

  private line(line: Cleaned, index: number): void {
    if (line.text === '') return
    const shown = `${line.xen ? '(XEN) ' : ''}${line.text}`
    const at = { line: line.number, text: shown.slice(0, SHOWN) }
    const joined = this.readOne(line, at, index)
    if (this.boot.lines.length < KEPT_LINES) this.boot.lines.push(joined ?? shown)
  }

  /** Reads a line, with its continuation when a mail client broke it; returns the joined line in that case. */
  private readOne(line: Cleaned, at: { line: number; text: string }, index: number): string | undefined {
    const { text } = line
    const next = this.continuation(index)
    let joined: string | undefined

    let message = xenMessage(text, at)
    const level = message === undefined ? walkLevel(text) : undefined
    if (message === undefined || !message.whole) {
      for (const glue of next === undefined ? [] : [' ', '']) {
        const longer = text + glue + next!.text
        const better = xenMessage(longer, at)
        if (better === undefined || (message !== undefined && !better.whole)) continue
        if (message === undefined && !(line.xen || /\.[chS]:\d+/.test(text))) continue
        message = better
        joined = `${line.xen ? '(XEN) ' : ''}${longer}`
        break
      }
    }
    if (joined !== undefined) this.at++

    if (message !== undefined) {
      const { whole, ...record } = message
      const shown = joined === undefined ? record : { ...record, text: joined.slice(0, SHOWN) }
      if (!whole) this.note(line.number, `the line is cut short: "${at.text.slice(0, 60)}"`)
      this.startsBoot(undefined, line)
      this.push(shown)
      const trap = trapOf(shown)
      if (trap !== undefined) this.push(trap)
      const crash = crashOf(shown)
      if (crash !== undefined) this.push(crash)
      this.closeBlocks()
      return joined
    }

    if (level !== undefined) {
      this.walkLevel(level, at)
      return undefined
    }
    const address = walkHead(text)
    if (address !== undefined) {
      this.startWalk(address, [], at)
      return undefined
    }
    const other = otherXenLine(text, at)
    if (other !== undefined) {
      if (other.kind === 'xen-version' && !text.includes('[')) this.startsBoot('xen-version', line)
      this.push(other)
    }

    if (isStackHead(text) && this.open.registers) {
      this.open.registers.inStack = true
      return undefined
    }
    const row = this.open.registers?.inStack ? stackRow(text) : undefined
    if (row !== undefined) {
      if (this.open.registers!.stack.length < 256) this.open.registers!.stack.push(...row)
      return undefined
    }

    this.guestLine(text, at, index, line)
    return undefined
  }

  private guestLine(text: string, at: { line: number; text: string }, index: number, line: Cleaned): void {
    const head = multicallHead(text)
    if (head !== undefined) {
      const calls: MulticallEntry[] = []
      this.push({ kind: 'multicall', ...at, ...head, calls })
      this.open.multicall = { calls, at: at.line }
    }
    let call = multicallEntry(text, at)
    const next = call !== undefined && call.args.length === 0 ? this.continuation(index) : undefined
    if (next !== undefined) {
      call = multicallEntry(`${text} ${next.text}`, at) ?? call
      if (call!.args.length > 0) this.at++
    }
    if (call !== undefined) {
      if (this.open.multicall === undefined || at.line - this.open.multicall.at > 64) {
        const calls: MulticallEntry[] = []
        this.push({ kind: 'multicall', ...at, failed: call.result < 0 ? 1 : 0, calls })
        this.open.multicall = { calls, at: at.line }
      }
      if (this.open.multicall.calls.length < 256) this.open.multicall.calls.push(call)
    }

    const fault = guestFault(text, at)
    if (fault !== undefined) {
      this.push(fault)
      this.open.fault = { record: fault, at: at.line }
    }
    const code = oopsCode(text)
    if (code !== undefined) {
      if (this.open.fault !== undefined && at.line - this.open.fault.at < 16) {
        this.open.fault.record.errorCode ??= code
      } else if (/Oops/.test(text)) {
        const record: GuestFaultRecord = { kind: 'guest-fault', ...at, errorCode: code }
        this.push(record)
        this.open.fault = { record, at: at.line }
      }
    }
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
    if (symbol !== undefined) {
      const calls = this.open.calls
      if (calls === undefined || at.line - calls.at > GAP) {
        const symbols = [symbol]
        this.push({ kind: 'calls', ...at, symbols })
        this.open.calls = { symbols, at: at.line }
      } else {
        if (calls.symbols.length < 128) calls.symbols.push(symbol)
        calls.at = at.line
      }
    }
  }

  private walkLevel(level: WalkLevel, at: { line: number; text: string }): void {
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

  private startWalk(address: string, levels: WalkLevel[], at: { line: number; text: string }): void {
    this.push({ kind: 'walk', ...at, address, levels })
    this.open.walk = { levels, at: at.line }
  }

  private registers(text: string, at: { line: number; text: string }): void {
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

  /** The next line, when it can be the rest of this one: it has no prefix of its own. */
  private continuation(index: number): Cleaned | undefined {
    if (index + 1 >= this.lines.length) return undefined
    const next = this.clean(index + 1)
    if (next.xen || next.text === '') return undefined
    const own =
      /^\[|^\(XEN\)|^(?:mm|traps)\.c:|^arch\/|^L[1-4]\[|^[a-z0-9]{2,3}: |^(?:Domain|Pagetable|Error|Bad|Call Trace|CPU)\b/
    return own.test(next.text) ? undefined : next
  }

  /** A mark that can only stand once in a boot begins the next one when it comes again. */
  private startsBoot(mark: string | undefined, line: Cleaned): void {
    if (mark === undefined || !['xen-version', 'mapping-kernel', 'linux-version'].includes(mark)) return
    const again = this.seen.has(mark)
    const earlier =
      (mark === 'xen-version' && (this.seen.has('mapping-kernel') || this.seen.has('linux-version'))) ||
      (mark === 'mapping-kernel' && this.seen.has('linux-version'))
    if (again || earlier) {
      this.boot = { firstLine: line.number, records: [], lines: [] }
      this.boots.push(this.boot)
      this.seen.clear()
      this.open = {}
    }
    this.seen.add(mark)
  }

  private closeBlocks(): void {
    delete this.open.calls
    delete this.open.fault
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
