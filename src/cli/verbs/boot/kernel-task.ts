import { LineSplitter } from '../../../bits/line-splitter.ts'
import { withoutColours } from '../../../bits/lines.ts'
import { writeWhole } from '../../../files/write.ts'
import { type Sink, traceHeader, traceLine } from '../../../run/boot/boot.ts'
import { type KernelResult, KernelRun, type KernelSpec } from '../../../run/kernel/kernel-boot.ts'
import { explanationLines } from '../../../run/kernel/kernel-explain.ts'
import type { Compiled } from '../../../run/tiers.ts'
import { withTrace } from '../../files.ts'
import { painted } from '../../io.ts'
import type { Here } from '../../thread/thread.ts'
import type { KernelFlags } from './boot-kernel.ts'
import { hostMemory, memoryNote } from './host-memory.ts'
import { configOf, kernelHeader, kernelSpec } from './kernel-spec.ts'
import { runOnTerminal } from './terminal.ts'

/** What the task is told: what was typed, and how large the terminal is, if it is to have one. */
export type KernelTask = {
  readonly flags: KernelFlags
  readonly terminal: { readonly columns: number; readonly rows: number } | null
}

/** What it comes to. A snapshot is written, was not asked for, or could not be made of a guest that is no more. */
export type KernelTaskResult = {
  readonly result: KernelResult
  /** What of its code has been compiled. */
  readonly compiled: Compiled
  /** Its explanations in words: a title, and lines. */
  readonly explained: readonly (readonly string[])[]
  readonly snapshot: 'written' | 'none' | 'impossible'
}

/** Settings of a configuration that are named, where they have no effect. */
const MOST_NAMED = 20

/** Boot a real kernel, here on this thread: on a terminal, or as a batch. */
export function run({ flags, terminal }: KernelTask, here: Here): KernelTaskResult {
  const config = configOf(flags)
  if (config !== null && config.ignored.length > 0) {
    const named = config.ignored.slice(0, MOST_NAMED).join(', ')
    const more = config.ignored.length > MOST_NAMED ? `, and ${config.ignored.length - MOST_NAMED} more` : ''
    here.io.err(`xenolith: ${flags.guest ?? flags.config}: of no effect here: ${named}${more}`)
  }
  const spec = { ...kernelSpec(flags, config), hostMemory: hostMemory() }
  const note = memoryNote(spec, spec.hostMemory)
  if (note !== null) here.io.err(`xenolith: ${note}`)
  const kernel = terminal === null ? runTraced(spec, flags, here) : runTerminal(spec, flags, terminal, here)
  here.over()
  const result = kernel.result()
  return {
    result,
    compiled: kernel.machine.guest.cpu.compiled,
    explained: result.explanations.map((explanation) => explanationLines(explanation, result.fault)),
    snapshot: writeSnapshot(kernel, flags.snapshot),
  }
}

function writeSnapshot(kernel: KernelRun, file: string | undefined): KernelTaskResult['snapshot'] {
  if (file === undefined) return 'none'
  if (!kernel.isAlive) return 'impossible'
  writeWhole(file, kernel.snapshotParts())
  return 'written'
}

const STEPS = { unpack: 'unpacking the kernel', read: 'reading it', build: 'building the domain' } as const

/** Progress, for people who watch: it would only be in the way in a file. */
function progressOf({ io, isWatched }: Here): (step: keyof typeof STEPS) => void {
  return (step) => {
    if (isWatched) io.err(`xenolith: ${STEPS[step]}`)
  }
}

/** A batch, with every event in a file if one is named for it. */
function runTraced(spec: KernelSpec, flags: KernelFlags, here: Here): KernelRun {
  return withTrace(flags.trace, (line) => {
    line?.(traceHeader(kernelHeader(flags, spec)))
    const sink: Sink | null = line === undefined ? null : (event) => line(traceLine(event))
    return runBatch(spec, flags, here, sink)
  })
}

/**
 * The console goes out line by line, fit for any terminal; with `--raw` as it comes. A terminal's carriage returns mean
 * nothing in a file, and colours nothing to a reader of lines.
 */
function runBatch(spec: KernelSpec, flags: KernelFlags, here: Here, sink: Sink | null): KernelRun {
  const { io } = here
  const isSilent = flags.json === true
  const ended: string[] = []
  const lines = new LineSplitter((line) => ended.push(withoutColours(line)))
  const kernel = new KernelRun(spec, {
    progress: progressOf(here),
    stop: here.stop,
    pulse: here.pulse,
    ready: (xen) => {
      xen.sink = sink
    },
    keepsConsole: keepsConsole(flags),
    output: (bytes, source) => {
      if (isSilent) return
      if (source === 'xen') {
        const line = new TextDecoder().decode(bytes).replace(/\n$/, '')
        return io.out(line.startsWith('(XEN)') ? painted(io, 'yellow', line) : line)
      }
      if (flags.raw) return io.raw(bytes)
      lines.push(bytes)
      // Lines that came together go out together: a guest may write many thousands of short ones.
      if (ended.length > 0) io.out(ended.join('\n'))
      ended.length = 0
    },
  })
  kernel.runToEnd()
  if (lines.rest !== '') io.out(withoutColours(lines.rest))
  return kernel
}

/** Whether the console is wanted whole at the end; what is only printed needs no memory. */
function keepsConsole(flags: KernelFlags): boolean {
  return flags.json === true || flags.junit !== undefined
}

function runTerminal(
  spec: KernelSpec,
  flags: KernelFlags,
  { columns, rows }: { columns: number; rows: number },
  here: Here,
): KernelRun {
  // Nothing tells a PV guest how large its console is; what the kernel does not know of its command line is init's.
  const size = `TERM=${process.env.TERM ?? 'linux'} COLUMNS=${columns} LINES=${rows}`
  const append = 'append' in spec && spec.append !== undefined ? `${spec.append} ${size}` : size
  // Somebody watches, who can leave: there is no limit to what he is shown unless he sets one.
  const keeps = keepsConsole(flags)
  const options = { ...spec, ...(keeps || spec.consoleLimit !== undefined ? {} : { consoleLimit: Infinity }) }
  const kernel = new KernelRun('restore' in options ? options : { ...options, append }, {
    progress: progressOf(here),
    stop: here.stop,
    pulse: here.pulse,
    keepsConsole: keeps,
    output: (bytes) => here.io.raw(bytes),
  })
  here.io.err('xenolith: ^] leaves')
  here.begins()
  runOnTerminal(kernel, here)
  return kernel
}
