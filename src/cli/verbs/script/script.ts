import { auditMachine } from '../../../run/check/audit.ts'
import { type CallResult, runScript, type TranscriptLine } from '../../../run/script/script.ts'
import { type TraceEvent, traceHeader, traceLine } from '../../../run/trace.ts'
import { withTrace } from '../../files.ts'
import { type Io, painted } from '../../io.ts'
import { scriptSpec } from '../../run-spec.ts'
import { runWithin } from '../../thread/run-within.ts'

/** What `xenolith script` takes. */
export type ScriptFlags = {
  readonly file: string
  readonly xen?: string
  readonly holes?: string
  readonly domu?: boolean
  readonly frames?: string
  readonly trace?: string
  readonly check?: boolean
  readonly json?: boolean
  readonly wall?: string
}

/** Runs a script of hypercalls and prints its transcript: for people, or as the recordings have it. */
export function run(options: ScriptFlags, io: Io): number | Promise<number> {
  return options.wall === undefined
    ? runScriptHere(options, io)
    : runWithin({ task: 'script', options, wall: options.wall }, io)
}

/** The same on this thread, however long it takes. */
export function runScriptHere(options: ScriptFlags, io: Io): number {
  const spec = scriptSpec(options.file, options)
  const source = options.file === '-' ? 'standard input' : options.file
  /** What --check found after each operation. */
  const wrong: (readonly string[])[] = []
  const result = withTrace(options.trace, (line) => {
    line?.(traceHeader(spec))
    return runScript(spec.script.text, {
      ...spec.script,
      source,
      ...(line === undefined ? {} : { sink: (event: TraceEvent) => line(traceLine(event)) }),
      ...(options.check === true ? { after: (xen) => void wrong.push(auditMachine(xen)) } : {}),
    })
  })
  if (options.json) {
    io.json(JSON.stringify(result.header))
    result.lines.forEach((line, i) => {
      io.json(JSON.stringify(wrong[i]?.length > 0 ? { ...line, wrong: wrong[i] } : line))
    })
  } else {
    result.lines.forEach((line, i) => {
      show(line, io)
      for (const text of wrong[i] ?? []) io.out(painted(io, 'bold', `      !! ${text}`))
    })
    io.out(`== ${result.header.status}`)
  }
  return wrong.some((found) => found.length > 0) ? 1 : 0
}

/** One operation and what came of it, its lines indented below it. */
function show(line: TranscriptLine, io: Io): void {
  if (/^echo\b/.test(line.op)) {
    io.out('')
    io.out(painted(io, 'bold', `# ${line.op.replace(/^echo\s*/, '')}`))
    return
  }
  const results = [
    line.err === undefined ? '' : `error: ${line.err}`,
    line.rc === undefined ? '' : `rc=${line.rc}`,
    line.done === undefined ? '' : `done=${line.done}`,
    line.calls === undefined ? '' : `calls=${line.calls.map(callText).join(',')}`,
    line.back === undefined ? '' : `back=${line.back}`,
    line.fault === undefined ? '' : `fault=${line.fault}`,
    line.cr2 === undefined ? '' : `cr2=${line.cr2}`,
    line.val === undefined ? '' : `val=${line.val}`,
  ].filter((text) => text !== '')
  io.out(results.length === 0 ? line.op : `${line.op.padEnd(44)} -> ${results.join(' ')}`)
  if (line.trap !== undefined) io.out(`      the probe died of a trap: ${line.trap}`)
  for (const text of line.log ?? []) io.out(painted(io, 'yellow', `      (XEN) ${text}`))
  for (const [place, value] of Object.entries(line.dump ?? {})) io.out(`      ${place} = ${value}`)
  for (const [page, mfn] of Object.entries(line.sym ?? {})) io.out(`      ${page} is frame ${mfn}`)
  for (const [page, words] of Object.entries(line.info ?? {})) io.out(`      [${page} ${words}]`)
}

/** A call of a multicall: its result, and what it did of its request; `-` for what Xen did not write. */
function callText({ rc, done }: CallResult): string {
  return `${rc ?? '-'}${done === undefined ? '' : `/${done ?? '-'}`}`
}
