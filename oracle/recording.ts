import type { FrameRun, Recording } from '../src/run/script/script.ts'
import type { Outcome } from '../src/script/execute.ts'
import type { CallResult } from '../src/script/multi.ts'
import { parseScript, type ScriptLine } from '../src/script/parse.ts'
import type { Pair } from '../src/script/probe.ts'
import { Transcript, type TranscriptLine } from '../src/script/transcript.ts'
import type { Booted } from './boot.ts'

/**
 * The recording of a run on real Xen: its console's lines as a transcript, in the form of `xenolith script --json`. What
 * the probe says of an operation stands between `@op` and `@done`, and Xen's lines stand among it.
 */
export function recordingOf(script: string, booted: Booted, domain: 'dom0' | 'domU'): Recording {
  const reader = new ConsoleReader(parseScript(script), new Transcript(domain === 'domU' ? 'd1' : 'd0'))
  for (const line of booted.lines) reader.line(line)
  reader.finish(booted.end === 'crash')
  const header = {
    schema: 1,
    ...bannerOf(booted.lines),
    domain,
    ops: reader.lines.length,
    status: booted.end,
    syms: reader.transcript.syms,
    p2m: reader.runs,
  }
  return { header, lines: reader.lines }
}

/** What Xen says of itself when it starts: `Xen version 4.17.7 (Debian …) (…) debug=n Tue Jun …`. */
function bannerOf(lines: readonly string[]): { xen: 'debug' | 'release'; version?: string } {
  const banner = lines.find((line) => line.startsWith('(XEN) Xen version ')) ?? ''
  const version = /^\(XEN\) Xen version (\d+\.\d+\S*)/.exec(banner)?.[1]
  const xen = / debug=y /.test(banner) ? 'debug' : 'release'
  return { xen, ...(version === undefined ? {} : { version }) }
}

class ConsoleReader {
  readonly lines: TranscriptLine[] = []
  readonly runs: FrameRun[] = []
  readonly transcript: Transcript
  private readonly script: Map<number, ScriptLine>
  private readonly verbs = new Map<TranscriptLine, string>()
  /** The operation that runs, its outcome, and Xen's lines about it and about frames. */
  private current: TranscriptLine | null = null
  private outcome: Outcome = {}
  private log: string[] = []
  private words: string[] = []
  private asking = false

  constructor(script: readonly ScriptLine[], transcript: Transcript) {
    this.script = new Map(script.map((line) => [line.n, line]))
    this.transcript = transcript
  }

  line(text: string): void {
    if (text.startsWith('(XEN) ')) {
      if (this.current !== null) (this.asking ? this.words : this.log).push(text.slice('(XEN) '.length))
      return
    }
    const [what, ...words] = text.split(' ')
    switch (what) {
      case '@op':
        this.begin(Number(words[0]))
        return
      case '@run': {
        const [pfn, mfn, count, step] = words.map(Number)
        this.runs.push([pfn, mfn, count, step])
        return
      }
      case '@sym':
        this.name(words)
        return
      case '@rc':
        this.outcome = { ...this.outcome, ...outcomeOf(words) }
        return
      case '@error':
        this.outcome = { error: words.join(' ') }
        return
      case '@dump': {
        const value = words[1] === 'fault' ? 'fault' : pairOf(words[1])
        this.outcome = { ...this.outcome, dump: [...(this.outcome.dump ?? []), [words[0], value]] }
        return
      }
      case '@words':
        this.asking = words[0] !== 'end'
        return
      case '@die':
        if (this.current !== null) this.current.trap = words.slice(0, 2).join(' ')
        return
      case '@done':
        this.done()
    }
  }

  /** The last operation, when it did not come to its end. */
  finish(crashed: boolean): void {
    if (this.current === null) return
    this.transcript.console(this.log, crashed)
    if (crashed) this.current.crash = 1
  }

  private begin(number: number): void {
    const line = this.script.get(number)
    this.current = this.transcript.begin(line?.text ?? '')
    this.verbs.set(this.current, line?.op?.verb ?? '')
    this.lines.push(this.current)
    this.outcome = {}
    this.log = []
    this.words = []
  }

  private name([name, mfn, pfn]: readonly string[]): void {
    this.transcript.named({ name, mfn: Number(mfn), pfn: pfn === '-' ? -1 : Number(pfn), va: 0, pool: false })
  }

  private done(): void {
    if (this.current === null) return
    this.transcript.outcome(this.outcome)
    this.transcript.console(this.log, false)
    if (this.words.length > 0) this.transcript.words(this.words, this.verbs.get(this.current) === 'info')
    this.current = null
  }
}

/** `NUMBER key=value…`, as the probe writes a result. */
function outcomeOf([rc, ...fields]: readonly string[]): Outcome {
  const outcome: Outcome = { rc: Number(rc) }
  for (const field of fields) {
    const at = field.indexOf('=')
    const value = field.slice(at + 1)
    switch (field.slice(0, at)) {
      case 'done':
        outcome.done = numberOrNull(value)
        break
      case 'calls':
        outcome.calls = value.split(',').map(callOf)
        break
      case 'by':
        outcome.back = 'syscall'
        break
      case 'fault':
        outcome.fault = value
        break
      case 'cr2':
        outcome.cr2 = Number(BigInt.asUintN(48, BigInt(value)))
        break
      case 'val':
        outcome.value = pairOf(value)
    }
  }
  return outcome
}

function callOf(text: string): CallResult {
  const [rc, done] = text.split('/')
  return { rc: numberOrNull(rc), ...(done === undefined ? {} : { done: numberOrNull(done) }) }
}

function numberOrNull(text: string): number | null {
  return text === '-' ? null : Number(text)
}

function pairOf(text: string): Pair {
  const value = BigInt(text)
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)]
}
