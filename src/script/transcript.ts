import { hexVa, TWO_32 } from '../bits/address.ts'
import { entryFrame, HI_FRAME } from '../bits/pte.ts'
import type { Outcome } from './execute.ts'
import type { CallResult } from './multi.ts'
import type { Pair } from './probe.ts'
import type { ScriptSymbol } from './symbols.ts'

/** One line of a transcript, as the recordings of real Xen have it. */
export type TranscriptLine = {
  op: string
  rc?: number
  done?: number | null
  calls?: readonly CallResult[]
  back?: 'syscall'
  fault?: string
  cr2?: string
  val?: string
  raw?: string
  sym?: Record<string, string>
  info?: Record<string, string>
  log?: string[]
  dump?: Record<string, string>
  err?: string
  crash?: 1
  /** The exception that the probe did not expect, and that ended it. */
  trap?: string
}

/** What of a crash is left out of a transcript: registers and stacks. */
const CRASH_DETAIL =
  /(Hardware Dom0|Domain 0) crashed: |^----\[ Xen|^(CPU|RIP|RFLAGS|rax|rbx|rdx|rbp|r9|r12|r15|cr3|fsb|ds) *:|^ {2}|Guest stack trace/
const WORDS = /Error (?:mfn|pfn) ([0-9a-f]+): rd=\S+,? od=(\S+?),? caf=([0-9a-f]+),? taf=([0-9a-f]+)/

/**
 * Makes transcript lines: frames by their names, so that nothing depends on where a domain lies. A name whose page got
 * another frame leaves the old frame `NAME~1`.
 */
export class Transcript {
  readonly syms: Record<string, { mfn: string; pfn: string }> = {}
  private readonly byMfn = new Map<number, Set<string>>()
  private readonly byPfn = new Map<number, string>()
  private readonly stale = new Map<number, string>()
  private readonly now = new Map<string, number>()
  private readonly generations = new Map<string, number>()
  private readonly lastWords = new Map<string, string>()
  /** The last line about each frame, by how it begins: most words are asked for again and again without a change. */
  private readonly lastLines = new Map<string, string>()
  private readonly self: string
  private line: TranscriptLine | null = null

  /** @param self how Xen names the domain that the script runs in: d0, d1 */
  constructor(self: string) {
    this.self = self
  }

  begin(op: string): TranscriptLine {
    this.line = { op }
    return this.line
  }

  /** A name got a frame. */
  named(symbol: ScriptSymbol): void {
    const { name, mfn, pfn } = symbol
    this.lastLines.clear()
    const old = this.now.get(name)
    if (old !== undefined && old !== mfn) {
      const names = this.byMfn.get(old)
      names?.delete(name)
      if (names?.size === 0) this.byMfn.delete(old)
      const generation = (this.generations.get(name) ?? 0) + 1
      this.generations.set(name, generation)
      this.stale.set(old, `${name}~${generation}`)
    }
    this.now.set(name, mfn)
    this.syms[name] ??= { mfn: mfn.toString(16), pfn: pfn === -1 ? '-' : pfn.toString(16) }
    if (this.line !== null && !/^pages?\b/.test(this.line.op)) {
      this.line.sym ??= {}
      const before = old !== undefined && old !== mfn ? this.stale.get(mfn) : undefined
      this.line.sym[name] = mfn.toString(16) + (before === undefined ? '' : `=${before}`)
    }
    const names = this.byMfn.get(mfn)
    if (names === undefined) this.byMfn.set(mfn, new Set([name]))
    else names.add(name)
    if (pfn !== -1) this.byPfn.set(pfn, name)
  }

  private nameOf(mfn: number): string | null {
    const names = this.byMfn.get(mfn)
    if (names !== undefined) for (const name of names) return name
    return this.stale.get(mfn) ?? null
  }

  /** An entry with its frame named, when it has a name. */
  entry([lo, hi]: Pair): string {
    const mfn = entryFrame(lo, hi)
    const name = mfn === 0 ? null : this.nameOf(mfn)
    if (name === null) return `0x${digits([lo, hi])}`
    return `${name}|0x${digits([lo & 0xfff, hi & ~HI_FRAME])}`
  }

  outcome(outcome: Outcome): void {
    const line = this.line as TranscriptLine
    if (outcome.error !== undefined) {
      line.err = outcome.error
      return
    }
    if (outcome.rc !== undefined) line.rc = outcome.rc
    if (outcome.done !== undefined) line.done = outcome.done
    if (outcome.calls !== undefined) line.calls = outcome.calls
    if (outcome.back !== undefined) line.back = outcome.back
    if (outcome.fault !== undefined) line.fault = outcome.fault
    if (outcome.cr2 !== undefined) line.cr2 = `0x${hexVa(outcome.cr2).replace(/^0+(?=.)/, '')}`
    if (outcome.value !== undefined) {
      line.val = this.entry(outcome.value)
      const raw = `0x${digits(outcome.value)}`
      if (raw !== line.val) line.raw = raw
    }
    if (outcome.dump !== undefined && outcome.dump.length > 0) {
      line.dump = {}
      for (const [place, value] of outcome.dump) {
        line.dump[place] = value === 'fault' ? value : this.entry(value)
      }
    }
  }

  /** Lines that Xen printed while the operation ran, without their `(XEN) `. */
  console(lines: readonly string[], crashed: boolean): void {
    const line = this.line as TranscriptLine
    for (const text of lines) {
      if (crashed && CRASH_DETAIL.test(text)) {
        line.crash = 1
        continue
      }
      if (text.trim() === '') continue
      line.log ??= []
      line.log.push(this.named_(text))
    }
  }

  private named_(text: string): string {
    return text
      .replace(/\b(mfn|baseptr|MMIO space|kernel page|normal mfn) ([0-9a-f]{5,})\b/g, (all, what, digits) => {
        const name = this.nameOf(Number.parseInt(digits, 16))
        return name === null ? all : `${what} <${name}>`
      })
      .replace(/\bpfn ([0-9a-f]{5,})\b/g, (all, digits) => {
        const name = this.byPfn.get(Number.parseInt(digits, 16))
        return name === undefined ? all : `pfn <${name}>`
      })
      .replace(/L1 entry ([0-9a-f]{16})/g, (_, digits) => {
        const pair: Pair = [Number.parseInt(digits.slice(8), 16), Number.parseInt(digits.slice(0, 8), 16)]
        return `L1 entry <${this.entry(pair)}>`
      })
  }

  /** The lines that Xen printed when it was asked about frames: their words, when they changed or `always`. */
  words(lines: readonly string[], always: boolean): void {
    const line = this.line as TranscriptLine
    for (const text of lines) {
      const about = text.slice(0, text.indexOf(':'))
      if (!always && this.lastLines.get(about) === text) continue
      this.lastLines.set(about, text)
      const match = WORDS.exec(text)
      if (match === null) continue
      const [, frame, owner, caf, taf] = match
      const name = this.nameOf(Number.parseInt(frame, 16)) ?? frame
      const words = `${owner === this.self ? '' : `${owner} `}${caf}/${taf}`
      if (!always && this.lastWords.get(name) === words) continue
      this.lastWords.set(name, words)
      line.info ??= {}
      line.info[name] = words
    }
  }
}

function digits([lo, hi]: Pair): string {
  const low = lo >>> 0
  const high = hi >>> 0
  if (high < 0x20_0000) return (high * TWO_32 + low).toString(16)
  return high.toString(16) + low.toString(16).padStart(8, '0')
}
