import { BadInput } from '../../bits/bad-input.ts'
import { DomainCrash, GuestTrap } from '../../machine/vcpu/vcpu.ts'
import { execute } from '../../script/execute.ts'
import { parseScript, type ScriptLine } from '../../script/parse.ts'
import { Probe } from '../../script/probe.ts'
import { Symbols } from '../../script/symbols.ts'
import { Transcript, type TranscriptLine } from '../../script/transcript.ts'
import type { Sink } from '../../trace/events.ts'
import { FillEvents } from '../../trace/fill-events.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { DEFAULT_XEN } from '../../xen/versions/index.ts'
import type { Recording } from './recording.ts'
import { type RecordedSyms, scriptMachine } from './script-machine.ts'

export type { CallResult } from '../../script/multi.ts'
export type { TranscriptLine } from '../../script/transcript.ts'
export { parseRecording, type Recording } from './recording.ts'

export type ScriptOptions = {
  /** The version profile of Xen, default 4.17. */
  readonly xen?: string
  readonly domain?: 'dom0' | 'domU'
  /** Holes of the past that are open: `none`, or advisories as in `148,182`; default the profile's own. */
  readonly holes?: string
  /** Use the frames of this recording, so that results are equal to the digit. */
  readonly frames?: Recording
  /** What errors call the script. */
  readonly source?: string
  /** Receives every event of the run. */
  readonly sink?: Sink
  /** @internal Told of the machine before the script runs on it. */
  readonly ready?: (xen: Hypervisor) => void
  /** @internal Called after every operation with the machine: for tests and counts. */
  readonly after?: (xen: Hypervisor, line: TranscriptLine) => void
}

/** What a script came to: the transcript's first line and the others. */
export type ScriptResult = {
  readonly header: {
    readonly schema: 1
    readonly xen: string
    readonly domain: 'dom0' | 'domU'
    readonly ops: number
    status: 'end' | 'crash' | 'die'
    readonly syms: RecordedSyms
  }
  readonly lines: readonly TranscriptLine[]
}

/** Run a script on a machine of its own. Throws BadInput for a script that cannot be read. */
export function runScript(text: string, options: ScriptOptions = {}): ScriptResult {
  const { frames, domain = 'dom0', xen: profile = DEFAULT_XEN.others, source = 'script' } = options
  const script = parseScript(text)
  // The lines that the recorded probe could not read either are part of what it did.
  const bad = script.find((line, i) => line.error !== null && frames?.lines[i]?.err === undefined)
  if (bad !== undefined) throw new BadInput(`${source}:${bad.n}: ${bad.error}`)
  if (frames !== undefined) checkSameScript(script, frames, source)
  const { xen, vcpu, dom0 } = scriptMachine({
    xen: profile,
    domain,
    scriptBytes: text.length,
    frames: frames === undefined ? null : { syms: frames.header.syms, p2m: frames.header.p2m ?? [] },
    reserved: new Set(frames?.lines.flatMap((line) => framesGiven(line.sym))),
    holes: options.holes,
  })
  const events = options.sink === undefined ? null : new FillEvents(options.sink)
  options.ready?.(xen)
  const transcript = new Transcript(domain === 'domU' ? 'd1' : 'd0')
  const probe = new Probe(vcpu, new Symbols((symbol) => transcript.named(symbol)))
  const asker = dom0 === null ? probe : new Probe(dom0, new Symbols(() => {}))
  if (asker !== probe) asker.start()
  probe.start()
  if (events !== null) {
    xen.sink = (event) => events.add(event)
    vcpu.observer = (table, slot, count, lo, hi) => events.store(table, slot, count, lo, hi)
  }
  const run = new Run(xen, probe, asker, transcript)
  const lines: TranscriptLine[] = []
  const header: ScriptResult['header'] = {
    schema: 1,
    xen: profile,
    domain,
    ops: script.length,
    status: 'end',
    syms: transcript.syms,
  }
  for (const [i, line] of script.entries()) {
    events?.add({ kind: 'op', line: line.n, text: line.text })
    xen.heap.wishes = /^(popp|exch|incr)$/.test(line.op?.verb ?? '') ? framesGiven(frames?.lines[i]?.sym) : []
    const result = run.line(line)
    lines.push(result)
    options.after?.(xen, result)
    if (run.ended !== null) {
      header.status = run.ended
      break
    }
  }
  events?.flush()
  return { header, lines }
}

/** The frames in a recorded line's `sym`: hex, with the old name of the frame behind an equals sign. */
function framesGiven(sym: Record<string, string> | undefined): number[] {
  return Object.values(sym ?? {}).map((text) => Number.parseInt(text, 16))
}

function checkSameScript(script: readonly ScriptLine[], frames: Recording, source: string): void {
  const other = script.find((line, i) => frames.lines[i] !== undefined && frames.lines[i].op !== line.text)
  if (other === undefined) return
  throw new BadInput(
    `${source}:${other.n}: the recording is of another script: it does not have '${other.text}' here`,
  )
}

/** One run under way. */
class Run {
  /** How the run ended, before its script did. */
  ended: 'crash' | 'die' | null = null
  private autoinfo = false
  private readonly xen: Hypervisor
  private readonly probe: Probe
  private readonly asker: Probe
  private readonly transcript: Transcript

  constructor(xen: Hypervisor, probe: Probe, asker: Probe, transcript: Transcript) {
    this.xen = xen
    this.probe = probe
    this.asker = asker
    this.transcript = transcript
    this.taken()
  }

  /** Xen's lines since the last call, without their mark. */
  private taken(): string[] {
    const { lines } = this.xen.console
    const texts = lines.filter((l) => l.source === 'xen').map((l) => l.text.slice(6))
    lines.length = 0
    return texts
  }

  line(line: ScriptLine): TranscriptLine {
    const result = this.transcript.begin(line.text)
    if (line.op === null) {
      this.transcript.outcome({ error: line.error ?? '' })
      return result
    }
    // A domU's output goes by way of dom0: the CPU changes its root, and forgets, around every operation.
    if (this.asker !== this.probe) this.xen.flushTlbs()
    try {
      const outcome = execute(this.probe, line)
      this.transcript.outcome(outcome)
      this.transcript.console(this.taken(), false)
      if (line.op.verb === 'autoinfo') this.autoinfo = line.op.on
      if (line.op.verb === 'info') {
        if (line.op.frames.length === 0) this.ask(true)
        for (const frame of line.op.frames) {
          const [lo, hi] = this.probe.argument(frame)
          this.asker.askAbout(hi * 2 ** 32 + lo)
          this.transcript.words(this.taken(), true)
        }
      } else if (this.autoinfo && outcome.rc !== undefined) this.ask(false)
    } catch (error) {
      if (error instanceof DomainCrash) {
        this.ended = 'crash'
        this.transcript.console(this.taken(), true)
        result.crash = 1
      } else if (error instanceof GuestTrap) {
        // A fault in the probe's own work, for which it has no remedy.
        this.ended = 'die'
        this.transcript.console(this.taken(), false)
        result.trap = `vec=${error.vector} err=0x${error.error.toString(16)}`
      } else throw error
    }
    return result
  }

  /** The words of every scratch page. */
  private ask(always: boolean): void {
    for (const symbol of this.probe.symbols.all) if (symbol.pool) this.asker.askAbout(symbol.mfn)
    this.transcript.words(this.taken(), always)
  }
}

export type { FrameRun, RecordedSyms } from './script-machine.ts'
